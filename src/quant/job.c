/*
 * gram_quantize: open, lay out, write, read back, certify, publish. Everything that can be refused
 * is refused before the first weight is read. A job that fails leaves nothing; one that is
 * interrupted or killed leaves <out>.partial, from which the same call goes on.
 */
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "quant/blocks.h"
#include "quant/certificate.h"
#include "quant/preflight.h"
#include "quant/ranks.h"

void gram_quantize_warn(const struct quantize *q, const char *format, const char *a, const char *b)
{
    char sentence[512];
    if (!q->job || !q->job->warn)
        return;
    snprintf(sentence, sizeof sentence, format, a, b);
    q->job->warn(q->job->user, sentence);
}

/* ---- before any work ---- */

static enum gram_status read_options(struct quantize *q, struct gram_error *err)
{
    const struct gram_quantize_options *o = q->options;

    q->transform_options = (struct gram_transform_options)GRAM_TRANSFORM_OPTIONS_INIT;
    q->transform_options.seed = o->seed;
    q->transform_options.as_reference = o->as_reference;
    if (!(o->damping > 0.0 && o->damping <= 1.0))
        return gram_fail(err, GRAM_EINVAL, "damping is %g, must be above 0 and at most 1", o->damping);
    return gram_transform_read(&q->transform, &q->transform_options,
                               o->transform ? o->transform : "none", err);
}

/* No block runs the head, so nothing is known of what it reads. */
static enum gram_status stand_in_for_head(struct quantize *q, struct gram_error *err)
{
    for (size_t i = 0; i < q->ck.desc.n_slots; i++) {
        struct gram_assignment *how = &q->assigned[i];
        if (q->ck.desc.slots[i].kind != GRAM_KIND_LM_HEAD || how->scheme.kind != GRAM_SCHEME_CODES ||
            !how->method->needs)
            continue;
        gram_quantize_warn(q, "%s: %s has no statistics of what it reads and is quantized by mse",
                           q->ck.desc.slots[i].op, how->method->about->name);
        GRAM_TRY(gram_method_find(&how->method, "mse", err));
    }
    return GRAM_OK;
}

static enum gram_status open_source(struct quantize *q, struct gram_error *err)
{
    GRAM_TRY(read_options(q, err));
    GRAM_TRY(gram_recipe_read(&q->recipe, q->options, &q->arena, err));
    GRAM_TRY(gram_checkpoint_open(&q->ck, q->in, err));
    if (q->ck.container)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: is quantized already (%s); start from the unquantized model",
                         q->ck.config_path, q->ck.container->name);
    if (q->transform && q->transform->unties)
        GRAM_TRY(gram_arch_untie(&q->ck.desc, &q->arena, err));
    q->assigned = gram_arena_take(&q->arena, q->ck.desc.n_slots, sizeof *q->assigned);
    q->source_hash = gram_arena_take(&q->arena, (size_t)gram_store_files(q->ck.store) + 1,
                                     sizeof *q->source_hash);
    if (!q->assigned || !q->source_hash)
        return gram_fail_memory(err, "the layout of the output");
    GRAM_TRY(gram_recipe_assign(&q->recipe, &q->ck.desc, q->assigned, err));
    GRAM_TRY(stand_in_for_head(q, err));
    return gram_layout_make(&q->layout, &q->ck, &q->recipe, q->assigned,
                            q->options->max_shard_bytes, err);
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

/* What the job knows of inputs is from this much text. */
static const struct gram_corpus *corpus_of(const struct quantize *q)
{
    return q->blocks && q->blocks->corpus.tokens > 0 ? &q->blocks->corpus : NULL;
}

/* Of static activations; NULL if there are none. */
static const char *observer_name(const struct quantize *q)
{
    for (size_t i = 0; i < q->ck.desc.n_slots; i++) {
        if (q->blocks && q->assigned[i].scheme.is_static)
            return q->blocks->observer->about->name;
    }
    return NULL;
}

static enum gram_status certify(struct quantize *q, struct gram_error *err)
{
    struct gram_certificate certificate = {
        .ck = &q->ck,
        .source_hash = q->source_hash,
        .recipe = &q->recipe,
        .layout = &q->layout,
        .written = &q->written,
        .transform = q->transform,
        .corpus = corpus_of(q),
        .transform_options = &q->transform_options,
        .asked = q->options,
        .observer = observer_name(q),
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

/* Open what was written as any model: every weight is there, in its shape, in a form that gram
 * reads. */
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
    GRAM_TRY(gram_quantize_make(q, err));
    GRAM_TRY(gram_sidecar_config(&q->written, q->output, &q->ck, q->assigned, err));
    GRAM_TRY(gram_sidecar_index(&q->written, q->output, &q->layout, err));
    GRAM_TRY(gram_sidecar_copy(&q->written, q->output, q->ck.path, err));
    GRAM_TRY(certify(q, err));
    GRAM_TRY(check_result(q, err));
    return gram_ranks_publish(q, err);
}

/* ---- the whole ---- */

/* A run that was killed after it had published leaves only its journal to remove. True if it was
 * this job. */
static bool is_finished(struct quantize *q)
{
    const struct gram_fingerprint fingerprint = gram_quantize_fingerprint(q);
    const char *changed = "";
    struct gram_error ignored;

    if (!gram_output_is_published(q->output))
        return false;
    const enum gram_status status = gram_journal_read(gram_output_journal(q->output), &fingerprint,
                                                      &q->layout, &changed, &ignored);
    gram_output_discard(&q->output);
    return status == GRAM_OK && !changed;
}

static enum gram_status open_blocks(struct quantize *q, struct gram_error *err)
{
    if (!gram_blocks_plan(q)) {
        if (q->options->stats || q->options->save_stats)
            return gram_fail(err, GRAM_EINVAL,
                             "statistics are of use to calibrated methods and to transforms, and "
                             "this recipe has "
                             "neither");
        if (q->options->calibration)
            gram_quantize_warn(q, "%s: is not read: no linear of this recipe is calibrated%s",
                               q->options->calibration, "");
        return GRAM_OK;
    }
    q->blocks = gram_arena_take(&q->arena, 1, sizeof *q->blocks);
    return q->blocks ? gram_blocks_open(q->blocks, q, err) : gram_fail_memory(err, "the blocks");
}

static enum gram_status run(struct quantize *q, struct gram_error *err)
{
    GRAM_TRY(open_source(q, err));
    GRAM_TRY(open_blocks(q, err));
    GRAM_TRY(gram_ranks_check(q, err));
    GRAM_TRY(gram_preflight(q, err));
    gram_stream_init(&q->stream, q->ck.store, q->rt->pool, q->job, q->source_hash,
                     q->layout.bytes_before);
    GRAM_TRY(gram_output_open(&q->output, q->out, q->options->force, err));
    bool is_over = is_finished(q);
    GRAM_TRY(gram_ranks_follow(q, &is_over, err));
    if (is_over) {
        gram_output_discard(&q->output);
        return GRAM_OK;
    }
    if (!q->output) /* of another job: what it published stands there like anything else */
        GRAM_TRY(gram_output_open(&q->output, q->out, q->options->force, err));
    GRAM_TRY(gram_output_check_apart(q->output, q->ck.path, err));
    const bool had_work = gram_output_journal(q->output)[0] != '\0';
    enum gram_status status = gram_quantize_take_over(q, err);
    if (status == GRAM_OK)
        status = gram_ranks_take_over(q, err);
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
        .bytes_before = q->layout.bytes_before,
        .bytes_after = q->layout.bytes_after,
        .estimate = q->need,
        .memory_peak = (uint64_t)gram_memory_peak(),
    };
    if (corpus_of(q)) {
        report->calibration_tokens = (uint64_t)q->blocks->corpus.tokens;
        report->calibration_windows = q->blocks->corpus.n_windows;
    }
    count_linears(q, &report->linears, &report->kept);
    for (int64_t i = 0; i < q->layout.n_units; i++) {
        report->resumed += q->layout.units[i].result.is_resumed;
        report->fallbacks += q->layout.units[i].result.fell_back;
    }
    if (q->layout.parameters > 0)
        report->bits_per_weight =
            8.0 * (double)q->layout.bytes_after / (double)q->layout.parameters;
}

/* Interrupted, or another rank is gone: keep what there is. Failed: leave nothing. */
static enum gram_status settle(struct quantize *q, enum gram_status status, struct gram_error *err)
{
    const bool is_lost = gram_comm_is_broken(q->rt->comm);

    if ((status == GRAM_ECANCELED || is_lost) && q->output) {
        gram_fail(err, status,
                  is_lost && status != GRAM_ECANCELED
                      ? "another rank is gone; what is done is kept in %s.partial and the same command goes "
                        "on from there"
                      : "interrupted; what is done is kept in %s.partial and the same command "
                  "goes on from there",
                  q->out);
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
    enum gram_status status = gram_ranks_enter(&q, err);
    if (status == GRAM_OK)
        status = run(&q, err);
    status = settle(&q, status, err);
    if (status != GRAM_OK)
        gram_comm_break(rt->comm);
    if (status == GRAM_OK && report) {
        fill_report(&q, report);
        report->seconds = now() - begin;
    }
    if (q.blocks)
        gram_blocks_close(q.blocks);
    gram_layout_reset(&q.layout);
    gram_written_reset(&q.written);
    gram_checkpoint_reset(&q.ck);
    gram_arena_reset(&q.arena);
    return status;
}
