/*
 * gram_merge: read the adapters, write the model linear by linear, measure it beside the unmerged
 * one, certify, publish.
 */
#include <string.h>
#include <time.h>

#include <gram/eval.h>
#include <gram/tokenizer.h>

#include "base/file.h"
#include "train/merging.h"

/* ---- before any work ---- */

static enum gram_status read_adapters(struct gram_merging *m, struct gram_error *err)
{
    const size_t n_slots = m->ck.desc.n_slots;

    if (m->n == 0)
        return gram_fail(err, GRAM_EINVAL, "there is no adapter to merge");
    m->loras = gram_arena_take(&m->arena, m->n, sizeof *m->loras);
    m->moves = gram_arena_take(&m->arena, n_slots, sizeof *m->moves);
    m->results = gram_arena_take(&m->arena, n_slots, sizeof *m->results);
    if (!m->loras || !m->moves || !m->results)
        return gram_fail_memory(err, "adapters");
    for (size_t i = 0; i < m->n; i++) {
        GRAM_TRY(gram_lora_read(&m->loras[i], &m->ck.desc, m->adapters[i].path, err));
        for (size_t k = 0; k < m->loras[i].n_pairs; k++)
            m->moves[m->loras[i].pairs[k].slot - m->ck.desc.slots] = true;
    }
    return GRAM_OK;
}

static enum gram_status open_source(struct gram_merging *m, struct gram_error *err)
{
    gram_kernels_init(&m->kernels, m->rt->cpu_flags);
    GRAM_TRY(gram_checkpoint_open(&m->ck, m->in, err));
    GRAM_TRY(read_adapters(m, err));
    return gram_export_open(&m->export, &m->ck, m->o.scheme, m->o.scheme ? NULL : m->moves, NULL, err);
}

/* ---- a linear ---- */

static enum gram_status gather_pairs(struct gram_merging *m, size_t slot,
                                     struct gram_merge_linear *linear, struct gram_error *err)
{
    struct gram_merge_pair *pairs = gram_arena_take(&m->linear, m->n, sizeof *pairs);

    if (!pairs)
        return gram_fail_memory(err, linear->name);
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->loras[i].n_pairs; k++)
            if (m->loras[i].pairs[k].slot == &m->ck.desc.slots[slot])
                pairs[linear->n_pairs++] = (struct gram_merge_pair){
                    &m->loras[i], &m->loras[i].pairs[k], m->adapters[i].weight};
    linear->pairs = pairs;
    return GRAM_OK;
}

/* The type that floats or scales are stored in. */
static enum gram_dtype stored_dtype(const struct gram_merging *m, size_t slot)
{
    for (int64_t u = 0; u < m->export.layout.n_units; u++) {
        const struct gram_unit *unit = &m->export.layout.units[u];
        if (unit->slot == &m->export.ck.desc.slots[slot])
            return unit->how.scheme.kind == GRAM_SCHEME_CODES ? unit->scale_dtype
                                                              : unit->parts[0].dtype;
    }
    return GRAM_F32;
}

static void note(struct gram_merging *m, size_t slot, const struct gram_merged *merged,
                 const struct gram_merge_linear *linear)
{
    struct gram_merging_result *r = &m->results[slot];
    struct gram_merge_tensor told;

    *r = (struct gram_merging_result){.is_merged = true,
                                      .squares = merged->squares,
                                      .change = merged->change,
                                      .error = merged->error};
    if (linear->scheme->kind == GRAM_SCHEME_CODES)
        gram_scheme_name(r->scheme, linear->scheme);
    else
        snprintf(r->scheme, sizeof r->scheme, "%s", gram_dtype_name(linear->dtype));
    told = (struct gram_merge_tensor){.op = linear->name,
                                      .scheme = r->scheme,
                                      .change = gram_merging_share(r->change, r->squares),
                                      .error = gram_merging_share(r->error, r->squares)};
    told.is_exact = told.error <= GRAM_MERGE_EXACT;
    if (m->o.on_tensor)
        m->o.on_tensor(m->o.user, &told);
}

static bool is_same_scheme(const struct gram_scheme *a, const struct gram_weight *w)
{
    char mine[GRAM_SCHEME_NAME], other[GRAM_SCHEME_NAME];

    gram_scheme_name(mine, a);
    gram_weight_scheme(other, w);
    return strcmp(mine, other) == 0;
}

static enum gram_status merge_slot(struct gram_merging *m, size_t slot,
                                   struct gram_export_values *values, struct gram_error *err)
{
    const struct gram_weight_slot *at = &m->ck.desc.slots[slot];
    const struct gram_scheme *scheme = &m->export.assigned[slot].scheme;
    struct gram_merge_linear linear = {.name = at->op,
                                       .scheme = scheme,
                                       .dtype = stored_dtype(m, slot),
                                       .pool = m->rt->pool,
                                       .kernels = &m->kernels};
    struct gram_merged *merged = gram_arena_take(&m->linear, 1, sizeof *merged);

    if (!merged)
        return gram_fail_memory(err, at->op);
    GRAM_TRY(gram_checkpoint_bind(&m->ck, at, &m->linear, &linear.weight, err));
    GRAM_TRY(gather_pairs(m, slot, &linear, err));
    linear.is_same_grid = linear.weight.bits > 0 && is_same_scheme(scheme, &linear.weight);
    GRAM_TRY(gram_merge_linear(merged, &linear, &m->linear, err));
    values->coded = scheme->kind == GRAM_SCHEME_CODES ? &merged->coded : NULL;
    values->floats = merged->target;
    note(m, slot, merged, &linear);
    return GRAM_OK;
}

/* Linears with a pair, and those that get another scheme. */
static enum gram_status merged_values(void *context, const struct gram_unit *unit, int64_t slot,
                                      struct gram_export_values *values, struct gram_error *err)
{
    struct gram_merging *m = context;

    (void)unit;
    gram_arena_reset(&m->linear);
    if (slot == GRAM_EXPORT_NO_SLOT)
        return GRAM_OK;
    const bool is_coded = m->export.assigned[slot].scheme.kind == GRAM_SCHEME_CODES ||
                          m->export.weights[slot].bits > 0;
    return m->moves[slot] || (m->o.scheme && is_coded) ? merge_slot(m, (size_t)slot, values, err)
                                                       : GRAM_OK;
}

/* ---- what it is worth ---- */

struct measuring {
    struct gram_model *base, *unmerged, *merged;
    struct gram_tokenizer *tokenizer;
    struct gram_file *text;
    struct gram_ids ids;
};

static enum gram_status open_measuring(struct measuring *s, const struct gram_merging *m,
                                       struct gram_error *err)
{
    GRAM_TRY(gram_model_open(&s->base, m->rt, m->in, err));
    GRAM_TRY(gram_model_adapt(&s->unmerged, s->base, m->adapters, m->n, err));
    GRAM_TRY(gram_model_open(&s->merged, m->rt, gram_output_folder(m->output), err));
    GRAM_TRY(gram_tokenizer_open(&s->tokenizer, m->ck.path, err));
    GRAM_TRY(gram_file_open(&s->text, m->o.text, err));
    const size_t n = (size_t)gram_file_size(s->text);
    return gram_tokenizer_encode(s->tokenizer, gram_file_view(s->text, 0, n), n, 0, &s->ids, err);
}

static enum gram_status run_measuring(struct measuring *s, struct gram_merging *m,
                                      struct gram_error *err)
{
    struct gram_eval_options options = GRAM_EVAL_OPTIONS_INIT;
    struct gram_eval_report found;

    options.context = m->o.context;
    options.max_tokens = m->o.max_tokens;
    GRAM_TRY(open_measuring(s, m, err));
    GRAM_TRY(
        gram_eval(&found, s->merged, s->unmerged, s->ids.at, s->ids.len, &options, m->job, err));
    m->report.is_measured = true;
    m->report.tokens = found.tokens;
    m->report.ppl = found.ppl;
    m->report.ppl_unmerged = found.ppl_reference;
    m->report.kl_mean = found.kl_mean;
    m->report.top1_agreement = found.top1_agreement;
    return GRAM_OK;
}

static enum gram_status measure(struct gram_merging *m, struct gram_error *err)
{
    struct measuring s = {0};
    const enum gram_status status = m->o.text ? run_measuring(&s, m, err) : GRAM_OK;

    gram_ids_reset(&s.ids);
    gram_file_close(&s.text);
    gram_tokenizer_close(&s.tokenizer);
    gram_model_close(&s.merged);
    gram_model_close(&s.unmerged);
    gram_model_close(&s.base);
    return status;
}

/* ---- the whole ---- */

static enum gram_status run(struct gram_merging *m, struct gram_error *err)
{
    GRAM_TRY(open_source(m, err));
    GRAM_TRY(gram_output_open(&m->output, m->out, m->o.force, err));
    GRAM_TRY(gram_output_check_apart(m->output, m->ck.path, err));
    GRAM_TRY(gram_output_start_afresh(m->output, err));
    GRAM_TRY(gram_export_model(&m->export, m->output, m->rt->pool, m->job, merged_values, m, err));
    gram_merging_sum_up(m);
    GRAM_TRY(measure(m, err));
    GRAM_TRY(gram_merging_certify(m, err));
    return gram_output_publish(&m->output, err);
}

static void close_merging(struct gram_merging *m)
{
    gram_output_discard(&m->output);
    gram_export_close(&m->export);
    for (size_t i = 0; m->loras && i < m->n; i++)
        gram_lora_reset(&m->loras[i]);
    gram_arena_reset(&m->linear);
    gram_arena_reset(&m->arena);
    gram_checkpoint_reset(&m->ck);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum gram_status gram_merge(struct gram_runtime *rt, const char *in, const char *out,
                            const struct gram_adapter *adapters, size_t n,
                            const struct gram_merge_options *options,
                            struct gram_merge_report *report, const struct gram_job *job,
                            struct gram_error *err)
{
    struct gram_merging m = {.rt = rt,
                             .in = in,
                             .out = out,
                             .adapters = adapters,
                             .n = n,
                             .o = GRAM_MERGE_OPTIONS_INIT,
                             .job = job};
    const double begin = now();

    if (options)
        memcpy(&m.o, options,
               options->struct_size < sizeof m.o ? options->struct_size : sizeof m.o);
    const enum gram_status status = run(&m, err);
    if (status == GRAM_OK && report) {
        *report = m.report;
        report->seconds = now() - begin;
    }
    close_merging(&m);
    return status;
}
