/* Making the weights: unit by unit in the order of the sources, then reading all of it back. */
#include <inttypes.h>
#include <string.h>

#include "quant/blocks.h"
#include "quant/verify.h"
#include "quant/write.h"

static enum gram_status make_unit(struct quantize *q, struct gram_unit *unit,
                                  struct gram_error *err)
{
    const struct gram_writer writer = {&q->stream, &q->layout, q->ck.store,
                                       q->options->allow_nonfinite};

    unit->result = (struct gram_unit_result){0};
    GRAM_TRY(unit->how.scheme.kind == GRAM_SCHEME_CODES ? gram_write_codes(&writer, unit, err)
                                                        : gram_write_plain(&writer, unit, err));
    gram_stream_mark(&q->stream, unit->result.source_hash);
    unit->result.is_done = true;
    gram_output_flush(&q->layout.shards[unit->shard].file);
    return gram_journal_add(q->output, unit, err);
}

/* The same for a unit whose source bytes are in the hash already. */
static enum gram_status make_unit_again(struct quantize *q, struct gram_unit *unit,
                                        const char *source_hash, struct gram_error *err)
{
    const bool was_hashing = q->stream.is_hashing;

    q->stream.is_hashing = false;
    const enum gram_status status = make_unit(q, unit, err);
    q->stream.is_hashing = was_hashing;
    memcpy(unit->result.source_hash, source_hash, GRAM_SHA256_HEX);
    return status;
}

/* Blocks are made later, each from those before it: if a source changed, none of them is right. */
static void forget_blocks(struct quantize *q)
{
    for (int64_t i = 0; i < q->layout.n_units; i++) {
        if (q->layout.units[i].is_in_memory)
            q->layout.units[i].result.is_done = q->layout.units[i].result.is_resumed = false;
    }
}

/* What is done is read for its hash alone. Another hash than before: the source is another by now.
 */
static enum gram_status pass_done_unit(struct quantize *q, struct gram_unit *unit, bool *warned,
                                       struct gram_error *err)
{
    char now[GRAM_SHA256_HEX];

    GRAM_TRY(gram_stream_skip(&q->stream, unit->source, err));
    gram_stream_mark(&q->stream, now);
    if (strcmp(now, unit->result.source_hash) == 0)
        return GRAM_OK;
    if (!*warned)
        gram_quantize_warn(q, "%s: changed since the interrupted run; from %s on all is made anew",
                           gram_store_file_path(q->ck.store, unit->source->file),
                           unit->source->name);
    *warned = true;
    forget_blocks(q);
    if (!unit->is_in_memory)
        return make_unit_again(q, unit, now, err);
    memcpy(unit->result.source_hash, now, sizeof now);
    return GRAM_OK;
}

static enum gram_status first_pass(struct quantize *q, struct gram_unit *unit, bool *warned,
                                   struct gram_error *err)
{
    if (unit->result.is_done)
        return pass_done_unit(q, unit, warned, err);
    if (!unit->is_in_memory)
        return make_unit(q, unit, err);
    GRAM_TRY(gram_stream_skip(&q->stream, unit->source, err));
    gram_stream_mark(&q->stream, unit->result.source_hash);
    return GRAM_OK;
}

static enum gram_status make_units(struct quantize *q, struct gram_error *err)
{
    bool warned = false;

    for (int64_t i = 0; i < q->layout.n_units; i++) {
        struct gram_unit *unit = &q->layout.units[i];
        if (unit->shares_source) { /* read already; blocks make it */
            gram_stream_mark(&q->stream, unit->result.source_hash);
            continue;
        }
        GRAM_TRY(gram_stream_start(&q->stream, unit->source, gram_unit_label(unit), err));
        GRAM_TRY(first_pass(q, unit, &warned, err));
    }
    return gram_stream_finish(&q->stream, err);
}

/* The output so far is opened as a model, to run what it holds; these files are written again at the end. */
static enum gram_status make_blocks(struct quantize *q, struct gram_error *err)
{
    struct gram_written scratch = {0};
    enum gram_status status = gram_sidecar_config(&scratch, q->output, &q->ck, q->assigned, err);

    if (status == GRAM_OK)
        status = gram_sidecar_index(&scratch, q->output, &q->layout, err);
    gram_written_reset(&scratch);
    return status == GRAM_OK ? gram_blocks_make(q->blocks, err) : status;
}

/* A block cannot be made once more when those before it are gone. */
static bool can_be_made_again(const struct quantize *q)
{
    for (int64_t i = 0; i < q->layout.n_units; i++) {
        if (q->layout.units[i].is_in_memory && !q->layout.units[i].result.is_done)
            return false;
    }
    return true;
}

/* What does not read back as it was written is written once more; then the disk is not to be
 * trusted. */
static enum gram_status read_back(struct quantize *q, struct gram_error *err)
{
    for (int attempt = 0;; attempt++) {
        int64_t n_bad = 0;
        for (int i = 0; i < q->layout.n_shards; i++)
            GRAM_TRY(gram_verify_shard(&q->layout, &q->layout.shards[i], &q->stream, &n_bad, err));
        if (n_bad == 0)
            return GRAM_OK;
        if (attempt == 1 || !can_be_made_again(q))
            return gram_fail(err, GRAM_EIO,
                             "%s: %" PRId64 " tensors read back different from what "
                             "was written; the disk cannot be trusted",
                             q->out, n_bad);
        for (int64_t i = 0; i < q->layout.n_units; i++) {
            struct gram_unit *unit = &q->layout.units[i];
            char source_hash[GRAM_SHA256_HEX];
            memcpy(source_hash, unit->result.source_hash, sizeof source_hash);
            if (!unit->result.is_done)
                GRAM_TRY(make_unit_again(q, unit, source_hash, err));
        }
    }
}

static enum gram_status close_shards(struct quantize *q, struct gram_error *err)
{
    for (int i = 0; i < q->layout.n_shards; i++) {
        struct gram_shard *shard = &q->layout.shards[i];
        GRAM_TRY(gram_stream_poll(&q->stream, err));
        GRAM_TRY(gram_output_sync(&shard->file, err));
        GRAM_TRY(gram_output_file_close(&shard->file, err));
        if (!gram_written_add(&q->written, shard->name, shard->bytes, shard->hash))
            return gram_fail_memory(err, shard->name);
    }
    return GRAM_OK;
}

enum gram_status gram_quantize_make(struct quantize *q, struct gram_error *err)
{
    GRAM_TRY(make_units(q, err));
    if (q->blocks)
        GRAM_TRY(make_blocks(q, err));
    GRAM_TRY(read_back(q, err));
    return close_shards(q, err);
}
