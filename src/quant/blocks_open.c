/* Before the walk: the calibration text, the memory, and what cannot work. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "quant/blocks.h"
#include "quant/preflight.h"

enum { DEFAULT_CONTEXT = 2048 };

unsigned gram_blocks_needs(const struct gram_blocks *b, const struct gram_unit *unit)
{
    const struct gram_scheme *scheme = &unit->how.scheme;

    if (!unit->is_in_memory || scheme->kind != GRAM_SCHEME_CODES)
        return 0;
    return unit->how.method->needs | (scheme->is_static ? b->observer->needs : 0);
}

/* The first that needs calibration, for sentences; NULL if none does. */
static const char *who_needs(const struct gram_blocks *b)
{
    const struct quantize *q = b->q;

    if (q->transform && q->transform->needs)
        return q->transform->about->name;
    if (q->options->learn_epochs > 0)
        return "learning on whole blocks";
    for (int64_t i = 0; i < q->layout.n_units; i++) {
        const struct gram_unit *unit = &q->layout.units[i];
        if (gram_blocks_needs(b, unit))
            return unit->how.scheme.is_static ? "a scheme with static activations"
                                              : unit->how.method->about->name;
    }
    return NULL;
}

static enum gram_status read_corpus(struct gram_blocks *b, struct gram_error *err)
{
    const struct gram_quantize_options *o = b->q->options;
    const int64_t limit = b->q->ck.desc.hp.context;
    struct gram_tokenizer *tokenizer;
    const struct gram_corpus_options options = {
        .path = o->calibration,
        .context =
            o->calibration_context ? o->calibration_context : gram_min_i64(limit, DEFAULT_CONTEXT),
        .max_tokens = o->calibration_tokens,
        .seed = o->seed,
    };

    if (options.context < 2 || options.context > limit)
        return gram_fail(err, GRAM_EINVAL,
                         "calibration windows of %" PRId64 " tokens: the model takes from 2 to %" PRId64,
                         options.context, limit);
    if (options.max_tokens < 0)
        return gram_fail(err, GRAM_EINVAL, "%" PRId64 " calibration tokens make no sense",
                         options.max_tokens);
    GRAM_TRY(gram_tokenizer_open(&tokenizer, b->q->ck.path, err));
    const enum gram_status status = gram_corpus_read(&b->corpus, tokenizer, &options, err);
    gram_tokenizer_close(&tokenizer);
    return status;
}

/* X'X of fewer tokens than columns is singular: what lies outside of them is made up by damping. */
static void warn_of_few_tokens(const struct gram_blocks *b)
{
    const struct gram_unit *first = NULL;
    char numbers[128];
    int n = 0;

    for (int64_t i = 0; i < b->q->layout.n_units; i++) {
        const struct gram_unit *unit = &b->q->layout.units[i];
        if (!(gram_blocks_needs(b, unit) & GRAM_NEED_GRAM) || unit->slot->cols <= b->corpus.tokens)
            continue;
        first = first ? first : unit;
        n++;
    }
    if (!first)
        return;
    snprintf(numbers, sizeof numbers,
             "%" PRId64 " tokens are fewer than the %" PRId64 " inputs of %d linear%s",
             b->corpus.tokens, first->slot->cols, n, n == 1 ? "" : "s");
    gram_quantize_warn(b->q, "calibration: %s, such as %s: its statistics are incomplete, take more text",
                       numbers, first->slot->op);
}

enum gram_status gram_blocks_start(struct gram_blocks *b, struct gram_error *err)
{
    b->runner = (struct gram_runner){
        .desc = &b->q->ck.desc,
        .graph = &b->graph,
        .kernels = &b->kernels,
        .pool = b->q->rt->pool,
        .corpus = &b->corpus,
        .bindings = b->bindings,
        .job = b->q->job,
    };
    snprintf(b->folder, sizeof b->folder, "%s/..", gram_output_folder(b->q->output));
    GRAM_TRY(gram_runner_open(&b->runner, err));
    if (b->floats)
        GRAM_TRY(gram_boundary_open(&b->wanted, b->corpus.tokens, b->q->ck.desc.hp.hidden, b->spills,
                                    b->folder, err));
    if (b->held)
        GRAM_TRY(gram_boundary_open(&b->aims, b->corpus.tokens, b->q->ck.desc.hp.hidden, b->spills,
                                    b->folder, err));
    return gram_boundary_open(&b->boundary, b->corpus.tokens, b->q->ck.desc.hp.hidden, b->spills,
                              b->folder, err);
}

static enum gram_status open_calibration(struct gram_blocks *b, struct gram_error *err)
{
    struct gram_preflight need;

    GRAM_TRY(read_corpus(b, err));
    warn_of_few_tokens(b);
    gram_preflight_estimate(&need, b);
    b->q->memory_estimate = need.memory;
    if (b->q->options->memory && need.memory > b->q->options->memory)
        return gram_fail(err, GRAM_EINVAL,
                         "the job needs about %.0f MB of memory, and is allowed %.0f MB; calibrate on "
                         "fewer tokens or shorter windows",
                         (double)need.memory / 1e6, (double)b->q->options->memory / 1e6);
    b->spills = need.spills;
    return GRAM_OK;
}

/* All that the bytes of a block depend on beside sources and recipe: floats are summed differently at
 * different levels, so the processor's is among them. */
static void identify(struct gram_blocks *b)
{
    const struct gram_quantize_options *o = b->q->options;
    struct gram_sha256 hash;
    char text[512];

    const int n = snprintf(
        text, sizeof text, "%s %s %s %" PRId64 " %" PRIu64 " %a %d %" PRId64 " %d %s %d %" PRId64 " %d",
        b->corpus.hash, b->q->transform ? b->q->transform->about->name : "none",
        gram_runtime_cpu(b->q->rt), o->calibration_context, o->seed, o->damping, o->act_order,
        o->iterations, o->sequential, b->observer->about->name, o->correct_drift,
        o->learn_epochs, o->as_reference);
    gram_sha256_init(&hash);
    gram_sha256_add(&hash, text, (size_t)n);
    gram_sha256_hex(&hash, b->q->calibration);
}

static bool take_tables(struct gram_blocks *b)
{
    const size_t n = b->q->ck.desc.n_slots;

    b->units = gram_arena_take(&b->arena, n, sizeof *b->units);
    b->bindings = gram_arena_take(&b->arena, n, sizeof *b->bindings);
    b->values = gram_arena_take(&b->arena, n, sizeof *b->values);
    if (b->q->options->correct_drift && b->is_calibrated)
        b->floats = gram_arena_take(&b->arena, n, sizeof *b->floats);
    if (b->q->options->learn_epochs > 0)
        b->held = gram_arena_take(&b->arena, n, sizeof *b->held);
    if (!b->units || !b->bindings || !b->values || (b->q->options->learn_epochs > 0 && !b->held))
        return false;
    for (int64_t i = 0; i < b->q->layout.n_units; i++) {
        struct gram_unit *unit = &b->q->layout.units[i];
        if (unit->slot)
            b->units[unit->slot - b->q->ck.desc.slots] = unit;
        b->linears += unit->is_in_memory && unit->how.scheme.kind == GRAM_SCHEME_CODES;
    }
    return true;
}

static enum gram_status find_observer(struct gram_blocks *b, struct gram_error *err)
{
    const char *name = b->q->options->observer ? b->q->options->observer : "minmax";

    b->observer = gram_observer_find(name);
    return b->observer ? GRAM_OK
                       : gram_fail(err, GRAM_EINVAL,
                                   "unknown observer '%.64s'; --help of quantize lists all", name);
}

enum gram_status gram_blocks_open(struct gram_blocks *b, struct quantize *q, struct gram_error *err)
{
    *b = (struct gram_blocks){.q = q, .options = q->method_options};
    GRAM_TRY(find_observer(b, err));
    const char *who = who_needs(b);
    b->is_calibrated = q->options->calibration && gram_blocks_plan(q);
    if (who && !b->is_calibrated)
        return gram_fail(err, GRAM_EINVAL, "%s needs calibration: name a text file (--calib)", who);
    if (q->transform && q->options->correct_drift)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "drift is not corrected behind a transform; leave one of them");
    if (q->transform)
        GRAM_TRY(q->transform->check(&q->ck.desc, err));
    gram_kernels_init(&b->kernels, q->rt->cpu_flags);
    if (!take_tables(b))
        return gram_fail_memory(err, "the blocks");
    GRAM_TRY(gram_arch_build(&q->ck.desc, &b->graph, err));
    if (b->is_calibrated)
        GRAM_TRY(open_calibration(b, err));
    identify(b);
    return GRAM_OK;
}

void gram_blocks_close(struct gram_blocks *b)
{
    gram_runner_close(&b->runner);
    gram_boundary_close(&b->boundary);
    gram_boundary_close(&b->wanted);
    gram_boundary_close(&b->aims);
    gram_front_close(&b->front);
    gram_front_close(&b->wanted_front);
    gram_spares_close(&b->spares);
    gram_corpus_reset(&b->corpus);
    gram_checkpoint_reset(&b->made);
    gram_graph_reset(&b->graph);
    gram_arena_reset(&b->scratch);
    gram_arena_reset(&b->work_arena);
    gram_arena_reset(&b->block_arena);
    gram_arena_reset(&b->arena);
    *b = (struct gram_blocks){0};
}
