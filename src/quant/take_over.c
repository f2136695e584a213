/*
 * Going on from an interrupted run: the journal says what was finished, the files say whether it is
 * still there.
 */
#include <string.h>

#include "quant/job.h"
#include "quant/verify.h"

enum { SLACK_BYTES = 1 << 20 };

struct gram_fingerprint gram_quantize_fingerprint(const struct quantize *q)
{
    struct gram_fingerprint f = {.allow_nonfinite = q->options->allow_nonfinite};
    struct gram_sha256 hash;

    gram_sha256_init(&hash);
    for (int64_t i = 0; i < q->layout.n_units; i++) {
        const struct gram_tensor *t = q->layout.units[i].source;
        gram_sha256_add(&hash, t->name, strlen(t->name) + 1);
        gram_sha256_add(&hash, &t->dtype, sizeof t->dtype);
        gram_sha256_add(&hash, t->shape, sizeof t->shape);
        gram_sha256_add(&hash, &t->file, sizeof t->file);
    }
    for (int i = 0; i < gram_store_files(q->ck.store); i++) {
        const uint64_t size = gram_store_file_size(q->ck.store, i);
        gram_sha256_add(&hash, &size, sizeof size);
    }
    gram_sha256_hex(&hash, f.sources);
    gram_layout_hash(&q->layout, f.recipe);
    memcpy(f.calibration, q->calibration, sizeof f.calibration);
    return f;
}

static bool has_done_units(const struct gram_layout *layout)
{
    for (int64_t i = 0; i < layout->n_units; i++) {
        if (layout->units[i].result.is_done)
            return true;
    }
    return false;
}

/* An empty file of the full size is as good as new: its units are undone. */
static void forget_shard(struct gram_layout *layout, const struct gram_shard *shard)
{
    for (int64_t i = 0; i < shard->n_units; i++)
        layout->units[shard->first_unit + i].result = (struct gram_unit_result){0};
}

static enum gram_status open_shard(struct quantize *q, struct gram_shard *shard,
                                   struct gram_error *err)
{
    struct gram_error missing;

    if (gram_output_file_reopen(&shard->file, q->output, shard->name, &missing) != GRAM_OK) {
        forget_shard(&q->layout, shard);
        GRAM_TRY(gram_output_file_create(&shard->file, q->output, shard->name, err));
    }
    GRAM_TRY(gram_output_resize(&shard->file, shard->bytes, err));
    return gram_output_write_surely(&shard->file, 0, shard->header.at, shard->header.len, err);
}

static enum gram_status open_shards(struct quantize *q, struct gram_error *err)
{
    const bool is_resumed = has_done_units(&q->layout);
    int64_t n_bad = 0;

    for (int i = 0; i < q->layout.n_shards; i++)
        GRAM_TRY(open_shard(q, &q->layout.shards[i], err));
    for (int i = 0; i < q->layout.n_shards && is_resumed; i++)
        GRAM_TRY(gram_verify_shard(&q->layout, &q->layout.shards[i], &q->stream, &n_bad, err));
    if (n_bad > 0)
        gram_quantize_warn(
            q, "%s: some of what the interrupted run left is damaged and is made anew%s", q->out,
            "");
    return GRAM_OK;
}

/* What an interrupted run wrote needs no new room. */
static enum gram_status check_space(const struct quantize *q, struct gram_error *err)
{
    const uint64_t room = gram_output_free_bytes(q->output);
    uint64_t need = q->need.disk + SLACK_BYTES;
    uint64_t there = 0;

    for (int i = 0; i < q->layout.n_shards; i++)
        there += gram_output_allocated(&q->layout.shards[i].file);
    need -= there < need ? there : need;
    need += need / 20; /* what else is written meanwhile */
    if (need <= room)
        return GRAM_OK;
    return gram_fail(err, GRAM_ENOSPC, "%s: needs %.1f MB, but only %.1f MB are free", q->out,
                     (double)need / 1e6, (double)room / 1e6);
}

enum gram_status gram_quantize_take_over(struct quantize *q, struct gram_error *err)
{
    const struct gram_fingerprint fingerprint = gram_quantize_fingerprint(q);
    const char *changed = NULL;

    const bool is_new = gram_output_journal(q->output)[0] == '\0';
    GRAM_TRY(
        gram_journal_read(gram_output_journal(q->output), &fingerprint, &q->layout, &changed, err));
    if (changed)
        gram_quantize_warn(q, "%s: %s changed since the interrupted run; starting afresh", q->out,
                           changed);
    if (changed || is_new)
        GRAM_TRY(gram_output_start_afresh(q->output, err));
    GRAM_TRY(open_shards(q, err));
    GRAM_TRY(check_space(q, err));
    return changed || is_new ? gram_journal_begin(q->output, &fingerprint, err) : GRAM_OK;
}
