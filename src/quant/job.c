/*
 * gram_quantize: open, plan, write, read back, certify, publish. Everything that can be refused is refused
 * before the first weight is read. A job that fails leaves nothing; one that is interrupted or killed
 * leaves <out>.partial, from which the same call goes on.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <gram/quantize.h>
#include "base/file.h"
#include "base/runtime.h"
#include "quant/certificate.h"
#include "quant/journal.h"
#include "quant/sidecar.h"
#include "quant/verify.h"
#include "quant/write.h"
#include "tensor/dtype.h"

enum { SLACK_BYTES = 1 << 20 };

struct quantize {
    struct gram_runtime *rt;
    const char *in, *out;
    const struct gram_quantize_options *options;
    const struct gram_job *job; /* may be NULL */

    struct gram_checkpoint ck;
    struct gram_recipe recipe;
    struct gram_assignment *assigned; /* [slots] */
    struct gram_plan plan;
    struct gram_output *output;
    struct gram_stream stream;
    char (*source_hash)[GRAM_SHA256_HEX]; /* [files] */
    struct gram_written written;
    struct gram_arena arena;
};

static void warn(const struct quantize *q, const char *format, const char *a, const char *b)
{
    char sentence[512];
    if (!q->job || !q->job->warn)
        return;
    snprintf(sentence, sizeof sentence, format, a, b);
    q->job->warn(q->job->user, sentence);
}

/* ---- before any work ---- */

static enum gram_status open_source(struct quantize *q, struct gram_error *err)
{
    GRAM_TRY(gram_recipe_read(&q->recipe, q->options, &q->arena, err));
    GRAM_TRY(gram_checkpoint_open(&q->ck, q->in, err));
    if (q->ck.container)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: is quantized already (%s); start from the unquantized model",
                         q->ck.config_path, q->ck.container->name);
    q->assigned = gram_arena_take(&q->arena, q->ck.desc.n_slots, sizeof *q->assigned);
    q->source_hash = gram_arena_take(&q->arena, (size_t)gram_store_files(q->ck.store) + 1,
                                     sizeof *q->source_hash);
    if (!q->assigned || !q->source_hash)
        return gram_fail_memory(err, "the plan of the output");
    GRAM_TRY(gram_recipe_assign(&q->recipe, &q->ck.desc, q->assigned, err));
    return gram_plan_make(&q->plan, &q->ck, &q->recipe, q->assigned, q->options->max_shard_bytes,
                          err);
}

/* What an interrupted run wrote needs no new room. */
static enum gram_status check_space(const struct quantize *q, struct gram_error *err)
{
    const uint64_t room = gram_output_free_bytes(q->output);
    uint64_t need = gram_sidecar_bytes(q->ck.path) + SLACK_BYTES;
    uint64_t there = 0;

    for (int i = 0; i < q->plan.n_shards; i++) {
        need += q->plan.shards[i].bytes;
        there += gram_output_allocated(&q->plan.shards[i].file);
    }
    need -= there < need ? there : need;
    if (need <= room)
        return GRAM_OK;
    return gram_fail(err, GRAM_ENOSPC, "%s: needs %.1f MB, but only %.1f MB are free", q->out,
                     (double)need / 1e6, (double)room / 1e6);
}

/* ---- taking over from an interrupted run ---- */

static struct gram_fingerprint fingerprint_of(const struct quantize *q)
{
    struct gram_fingerprint f = {.allow_nonfinite = q->options->allow_nonfinite};
    struct gram_sha256 hash;

    gram_sha256_init(&hash);
    for (int64_t i = 0; i < q->plan.n_units; i++) {
        const struct gram_tensor *t = q->plan.units[i].source;
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
    gram_plan_hash(&q->plan, f.recipe);
    return f;
}

static bool has_done_units(const struct gram_plan *plan)
{
    for (int64_t i = 0; i < plan->n_units; i++) {
        if (plan->units[i].result.is_done)
            return true;
    }
    return false;
}

/* An empty file of the full size is as good as new: its units are undone. */
static void forget_shard(struct gram_plan *plan, const struct gram_shard *shard)
{
    for (int64_t i = 0; i < shard->n_units; i++)
        plan->units[shard->first_unit + i].result = (struct gram_unit_result){0};
}

static enum gram_status open_shard(struct quantize *q, struct gram_shard *shard,
                                   struct gram_error *err)
{
    struct gram_error missing;

    if (gram_output_file_reopen(&shard->file, q->output, shard->name, &missing) != GRAM_OK) {
        forget_shard(&q->plan, shard);
        GRAM_TRY(gram_output_file_create(&shard->file, q->output, shard->name, err));
    }
    GRAM_TRY(gram_output_resize(&shard->file, shard->bytes, err));
    return gram_output_write_surely(&shard->file, 0, shard->header.at, shard->header.len, err);
}

static enum gram_status open_shards(struct quantize *q, struct gram_error *err)
{
    const bool is_resumed = has_done_units(&q->plan);
    int64_t n_bad = 0;

    for (int i = 0; i < q->plan.n_shards; i++)
        GRAM_TRY(open_shard(q, &q->plan.shards[i], err));
    for (int i = 0; i < q->plan.n_shards && is_resumed; i++)
        GRAM_TRY(gram_verify_shard(&q->plan, &q->plan.shards[i], &q->stream, &n_bad, err));
    if (n_bad > 0)
        warn(q, "%s: some of what the interrupted run left is damaged and is made anew%s", q->out,
             "");
    return GRAM_OK;
}

static enum gram_status take_over(struct quantize *q, struct gram_error *err)
{
    const struct gram_fingerprint fingerprint = fingerprint_of(q);
    const char *changed = NULL;

    const bool is_new = gram_output_journal(q->output)[0] == '\0';
    GRAM_TRY(gram_journal_read(gram_output_journal(q->output), &fingerprint, &q->plan, &changed,
                               err));
    if (changed)
        warn(q, "%s: %s changed since the interrupted run; starting afresh", q->out, changed);
    if (changed || is_new)
        GRAM_TRY(gram_output_start_afresh(q->output, err));
    GRAM_TRY(open_shards(q, err));
    GRAM_TRY(check_space(q, err));
    return changed || is_new ? gram_journal_begin(q->output, &fingerprint, err) : GRAM_OK;
}

/* ---- the work ---- */

static enum gram_status make_unit(struct quantize *q, struct gram_unit *unit,
                                  struct gram_error *err)
{
    const struct gram_writer writer = {&q->stream, &q->plan, q->ck.store,
                                       q->options->allow_nonfinite};

    unit->result = (struct gram_unit_result){0};
    GRAM_TRY(unit->how.scheme.kind == GRAM_SCHEME_CODES ? gram_write_codes(&writer, unit, err)
                                                        : gram_write_plain(&writer, unit, err));
    gram_stream_mark(&q->stream, unit->result.source_hash);
    unit->result.is_done = true;
    gram_output_flush(&q->plan.shards[unit->shard].file);
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

/* What is done is read for its hash alone. Another hash than before: the source is another by now. */
static enum gram_status pass_done_unit(struct quantize *q, struct gram_unit *unit, bool *warned,
                                       struct gram_error *err)
{
    char now[GRAM_SHA256_HEX];

    GRAM_TRY(gram_stream_skip(&q->stream, unit->source, err));
    gram_stream_mark(&q->stream, now);
    if (strcmp(now, unit->result.source_hash) == 0)
        return GRAM_OK;
    if (!*warned)
        warn(q, "%s: changed since the interrupted run; from %s on all is made anew",
             gram_store_file_path(q->ck.store, unit->source->file), unit->source->name);
    *warned = true;
    return make_unit_again(q, unit, now, err);
}

static enum gram_status make_units(struct quantize *q, struct gram_error *err)
{
    bool warned = false;

    for (int64_t i = 0; i < q->plan.n_units; i++) {
        struct gram_unit *unit = &q->plan.units[i];
        GRAM_TRY(gram_stream_start(&q->stream, unit->source, gram_unit_label(unit), err));
        GRAM_TRY(unit->result.is_done ? pass_done_unit(q, unit, &warned, err)
                                      : make_unit(q, unit, err));
    }
    return gram_stream_finish(&q->stream, err);
}

/* What does not read back as it was written is written once more; then the disk is not to be trusted. */
static enum gram_status read_back(struct quantize *q, struct gram_error *err)
{
    for (int attempt = 0;; attempt++) {
        int64_t n_bad = 0;
        for (int i = 0; i < q->plan.n_shards; i++)
            GRAM_TRY(gram_verify_shard(&q->plan, &q->plan.shards[i], &q->stream, &n_bad, err));
        if (n_bad == 0)
            return GRAM_OK;
        if (attempt == 1)
            return gram_fail(err, GRAM_EIO, "%s: %" PRId64 " tensors read back different from what "
                             "was written; the disk cannot be trusted", q->out, n_bad);
        for (int64_t i = 0; i < q->plan.n_units; i++) {
            struct gram_unit *unit = &q->plan.units[i];
            char source_hash[GRAM_SHA256_HEX];
            memcpy(source_hash, unit->result.source_hash, sizeof source_hash);
            if (!unit->result.is_done)
                GRAM_TRY(make_unit_again(q, unit, source_hash, err));
        }
    }
}

static enum gram_status close_shards(struct quantize *q, struct gram_error *err)
{
    for (int i = 0; i < q->plan.n_shards; i++) {
        struct gram_shard *shard = &q->plan.shards[i];
        GRAM_TRY(gram_stream_poll(&q->stream, err));
        GRAM_TRY(gram_output_sync(&shard->file, err));
        GRAM_TRY(gram_output_file_close(&shard->file, err));
        if (!gram_written_add(&q->written, shard->name, shard->bytes, shard->hash))
            return gram_fail_memory(err, shard->name);
    }
    return GRAM_OK;
}

/* ---- around the weights ---- */

static void count_linears(const struct quantize *q, uint64_t *linears, uint64_t *kept)
{
    *linears = *kept = 0;
    for (size_t i = 0; i < q->ck.desc.n_slots; i++) {
        const enum gram_weight_kind kind = q->ck.desc.slots[i].kind;
        if (kind != GRAM_KIND_LINEAR && kind != GRAM_KIND_LM_HEAD)
            continue;
        *(q->assigned[i].scheme.kind == GRAM_SCHEME_KEEP ? kept : linears) += 1;
    }
}

/* The folder's own name; of a model of the hub cache, the name it was called by. */
static char *source_name(const struct quantize *q)
{
    char *path = gram_path_exists(q->in) ? realpath(q->in, NULL) : NULL;
    const char *slash = path ? strrchr(path, '/') : NULL;
    char *name = strdup(slash ? slash + 1 : q->in);
    free(path);
    return name;
}

static enum gram_status certify(struct quantize *q, struct gram_error *err)
{
    struct gram_certificate certificate = {
        .ck = &q->ck,
        .source_hash = q->source_hash,
        .recipe = &q->recipe,
        .plan = &q->plan,
        .written = &q->written,
    };
    char *name = source_name(q), *text = NULL;

    certificate.source_name = name;
    count_linears(q, &certificate.linears, &certificate.kept);
    enum gram_status status = name ? gram_certificate_print(&certificate, &text, err)
                                   : gram_fail_memory(err, "gram.json");
    if (status == GRAM_OK)
        status = gram_output_put(q->output, "gram.json", text, strlen(text), err);
    free(name);
    free(text);
    return status;
}

/* Open what was written as any model: every weight is there, in its shape, in a form that gram reads. */
static enum gram_status check_result(const struct quantize *q, struct gram_error *err)
{
    struct gram_checkpoint result;
    const enum gram_status status =
        gram_checkpoint_open(&result, gram_output_folder(q->output), err);
    gram_checkpoint_reset(&result);
    return status;
}

static enum gram_status work(struct quantize *q, struct gram_error *err)
{
    GRAM_TRY(make_units(q, err));
    GRAM_TRY(read_back(q, err));
    GRAM_TRY(close_shards(q, err));
    GRAM_TRY(gram_sidecar_config(&q->written, q->output, &q->ck, q->assigned, err));
    GRAM_TRY(gram_sidecar_index(&q->written, q->output, &q->plan, err));
    GRAM_TRY(gram_sidecar_copy(&q->written, q->output, q->ck.path, err));
    GRAM_TRY(certify(q, err));
    GRAM_TRY(check_result(q, err));
    return gram_output_publish(&q->output, err);
}

/* ---- the whole ---- */

/* A run that was killed after it had published leaves only its journal to remove. True if it was this job. */
static bool is_finished(struct quantize *q)
{
    const struct gram_fingerprint fingerprint = fingerprint_of(q);
    const char *changed = "";
    struct gram_error ignored;

    if (!gram_output_is_published(q->output))
        return false;
    const enum gram_status status = gram_journal_read(gram_output_journal(q->output), &fingerprint,
                                                      &q->plan, &changed, &ignored);
    gram_output_discard(&q->output);
    return status == GRAM_OK && !changed;
}

static enum gram_status run(struct quantize *q, struct gram_error *err)
{
    GRAM_TRY(open_source(q, err));
    gram_stream_init(&q->stream, q->ck.store, q->rt->pool, q->job, q->source_hash,
                     q->plan.bytes_before);
    GRAM_TRY(gram_output_open(&q->output, q->out, q->options->force, err));
    if (is_finished(q))
        return GRAM_OK;
    if (!q->output) /* of another job: what it published stands there like anything else */
        GRAM_TRY(gram_output_open(&q->output, q->out, q->options->force, err));
    GRAM_TRY(gram_output_check_apart(q->output, q->ck.path, err));
    const bool had_work = gram_output_journal(q->output)[0] != '\0';
    const enum gram_status status = take_over(q, err);
    if (status != GRAM_OK) {
        if (had_work) /* nothing was added: leave it for a better day */
            gram_output_close(&q->output);
        return status;
    }
    return work(q, err);
}

static void fill_report(const struct quantize *q, struct gram_quantize_report *report)
{
    *report = (struct gram_quantize_report){
        .bytes_before = q->plan.bytes_before,
        .bytes_after = q->plan.bytes_after,
    };
    count_linears(q, &report->linears, &report->kept);
    for (int64_t i = 0; i < q->plan.n_units; i++)
        report->resumed += q->plan.units[i].result.is_resumed;
    if (q->plan.parameters > 0)
        report->bits_per_weight =
            8.0 * (double)q->plan.bytes_after / (double)q->plan.parameters;
}

/* Interrupted: keep what there is. Failed: leave nothing. */
static enum gram_status settle(struct quantize *q, enum gram_status status, struct gram_error *err)
{
    if (status == GRAM_ECANCELED && q->output) {
        gram_fail(err, status, "interrupted; what is done is kept in %s.partial and the same command "
                  "goes on from there", q->out);
        gram_output_close(&q->output);
    }
    gram_output_discard(&q->output);
    return status;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum gram_status gram_quantize(struct gram_runtime *rt, const char *in, const char *out,
                               const struct gram_quantize_options *options,
                               struct gram_quantize_report *report, const struct gram_job *job,
                               struct gram_error *err)
{
    struct gram_quantize_options mine = GRAM_QUANTIZE_OPTIONS_INIT;
    struct quantize q = {.rt = rt, .in = in, .out = out, .options = &mine, .job = job};
    const double begin = now();

    if (options)
        memcpy(&mine, options,
               options->struct_size < sizeof mine ? options->struct_size : sizeof mine);
    enum gram_status status = settle(&q, run(&q, err), err);
    if (status == GRAM_OK && report) {
        fill_report(&q, report);
        report->seconds = now() - begin;
    }
    gram_plan_reset(&q.plan);
    gram_written_reset(&q.written);
    gram_checkpoint_reset(&q.ck);
    gram_arena_reset(&q.arena);
    return status;
}
