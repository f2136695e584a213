/* Before the walk: the calibration text, the memory, and what cannot work. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "graph/op.h"
#include "quant/kept.h"

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
    if (q->options->correct_bias)
        return "correcting biases";
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
        .corpus = &b->share,
        .bindings = b->bindings,
        .job = b->q->job,
        .comm = b->q->rt->comm,
    };
    snprintf(b->folder, sizeof b->folder, "%s/..", gram_output_folder(b->q->output));
    GRAM_TRY(gram_runner_open(&b->runner, err));
    if (b->floats)
        GRAM_TRY(gram_boundary_open(&b->wanted, b->share.tokens, b->q->ck.desc.hp.hidden, b->spills,
                                    b->folder, err));
    if (b->held)
        GRAM_TRY(gram_boundary_open(&b->aims, b->share.tokens, b->q->ck.desc.hp.hidden, b->spills,
                                    b->folder, err));
    return gram_boundary_open(&b->boundary, b->share.tokens, b->q->ck.desc.hp.hidden, b->spills,
                              b->folder, err);
}

/* Where they come from; a file that is made by this very job is known by all else. */
static const char *statistics_of(const struct gram_blocks *b)
{
    return b->q->options->stats ? b->kept_digest : b->q->options->save_stats ? "kept" : "";
}

/* All that the bytes of a block depend on beside sources and recipe: floats are summed differently at
 * different levels, so the processor's is among them. */
static void identify(struct gram_blocks *b)
{
    const struct quantize *q = b->q;
    const struct gram_quantize_options *o = q->options;
    struct gram_sha256 hash;
    json_t *options =
        q->transform ? gram_spec_json(&q->transform_options, &gram_transform_table, NULL) : NULL;
    json_t *all = json_pack(
        "{s:s, s:s, s:s, s:o*, s:s, s:I, s:b, s:s, s:b, s:b, s:I, s:i}", "corpus", b->corpus.hash,
        "statistics", statistics_of(b), "transform", q->transform ? q->transform->about->name : "none",
        "options", options, "cpu", gram_runtime_cpu(q->rt), "seed", (json_int_t)o->seed, "sequential",
        o->sequential, "observer", b->observer->about->name, "drift", o->correct_drift, "bias",
        o->correct_bias, "learn", (json_int_t)o->learn_epochs, "ranks", gram_comm_size(q->rt->comm));
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);

    gram_sha256_init(&hash);
    if (text)
        gram_sha256_add(&hash, text, strlen(text));
    gram_sha256_hex(&hash, b->q->calibration);
    free(text);
    json_decref(all);
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

/* ---- biases that are corrected ---- */

static int bias_slot(const struct gram_graph *graph, int weight)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].op->forward == gram_linear_forward && graph->nodes[i].params[0] == weight)
            return graph->nodes[i].params[1];
    }
    return GRAM_NONE;
}

static bool is_coded(const struct gram_unit *unit)
{
    return unit && unit->is_in_memory && unit->slot->layer >= 0 &&
           unit->how.scheme.kind == GRAM_SCHEME_CODES;
}

/* Those of linears that are coded are made with them. */
static enum gram_status mark_biases(struct gram_blocks *b, struct gram_error *err)
{
    const size_t n = b->q->ck.desc.n_slots;
    int marked = 0;

    if (!b->q->options->correct_bias)
        return GRAM_OK;
    b->is_bias = gram_arena_take(&b->arena, n, sizeof *b->is_bias);
    if (!b->is_bias)
        return gram_fail_memory(err, "the blocks");
    for (size_t i = 0; i < n; i++) {
        const int bias = is_coded(b->units[i]) ? bias_slot(&b->graph, (int)i) : GRAM_NONE;
        if (bias != GRAM_NONE && b->units[bias])
            marked += b->is_bias[bias] = b->units[bias]->is_in_memory = true;
    }
    if (marked == 0)
        gram_quantize_warn(b->q, "%s: no linear that is quantized has a bias to correct%s", b->q->in, "");
    return GRAM_OK;
}

int gram_blocks_bias_of(const struct gram_blocks *b, size_t slot)
{
    const int bias = b->is_bias ? bias_slot(&b->graph, (int)slot) : GRAM_NONE;

    return bias != GRAM_NONE && b->is_bias[bias] ? bias : GRAM_NONE;
}

static enum gram_status find_observer(struct gram_blocks *b, struct gram_error *err)
{
    const char *name = b->q->options->observer;

    return gram_observer_find(&b->observer, name ? name : "minmax", err);
}

static enum gram_status check_options(const struct gram_blocks *b, struct gram_error *err)
{
    const struct gram_quantize_options *o = b->q->options;
    const struct gram_transform *transform = b->q->transform;
    const char *who = who_needs(b);

    if (who && !o->calibration && !o->stats)
        return gram_fail(err, GRAM_EINVAL, "%s needs calibration: name a text file (--calib)", who);
    if (o->save_stats && !o->calibration)
        return gram_fail(err, GRAM_EINVAL, "statistics are collected on a text (--calib)");
    if (o->learn_epochs > 0 && (o->stats || o->save_stats))
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "learning runs the text through whole blocks: it does not go with kept statistics");
    if (o->correct_bias && (o->stats || o->save_stats || o->learn_epochs > 0))
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "biases are corrected linear by linear while the text is run: not with kept "
                         "statistics, nor with learning on whole blocks");
    if (transform && o->correct_drift)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "drift is not corrected behind a transform; leave one of them");
    return transform ? transform->check(&b->q->ck.desc, err) : GRAM_OK;
}

/* The text, or what was kept of one. */
static enum gram_status open_calibration(struct gram_blocks *b, struct gram_error *err)
{
    const struct gram_quantize_options *o = b->q->options;

    if (o->calibration)
        GRAM_TRY(read_corpus(b, err));
    b->share = gram_corpus_share(&b->corpus, gram_comm_rank(b->q->rt->comm), gram_comm_size(b->q->rt->comm));
    if (o->stats || o->save_stats)
        GRAM_TRY(gram_kept_open(b, err));
    if (b->corpus.tokens > 0)
        warn_of_few_tokens(b);
    return GRAM_OK;
}

enum gram_status gram_blocks_open(struct gram_blocks *b, struct quantize *q, struct gram_error *err)
{
    const struct gram_quantize_options *o = q->options;

    *b = (struct gram_blocks){.q = q};
    b->is_calibrated = o->calibration && !o->stats && !o->save_stats && gram_blocks_plan(q);
    GRAM_TRY(find_observer(b, err));
    GRAM_TRY(check_options(b, err));
    gram_kernels_init(&b->kernels, q->rt->cpu_flags);
    if (!take_tables(b))
        return gram_fail_memory(err, "the blocks");
    GRAM_TRY(gram_arch_build(&q->ck.desc, &b->graph, err));
    GRAM_TRY(mark_biases(b, err));
    GRAM_TRY(open_calibration(b, err));
    identify(b);
    return GRAM_OK;
}

void gram_blocks_stop(struct gram_blocks *b)
{
    gram_runner_close(&b->runner);
    gram_boundary_close(&b->boundary);
    gram_boundary_close(&b->wanted);
    gram_boundary_close(&b->aims);
    gram_front_close(&b->front);
    gram_front_close(&b->wanted_front);
    gram_spares_close(&b->spares);
}

void gram_blocks_close(struct gram_blocks *b)
{
    gram_blocks_stop(b);
    gram_stats_file_close(&b->kept);
    gram_corpus_reset(&b->corpus);
    gram_checkpoint_reset(&b->made);
    gram_graph_reset(&b->graph);
    gram_arena_reset(&b->scratch);
    gram_arena_reset(&b->work_arena);
    gram_arena_reset(&b->block_arena);
    gram_arena_reset(&b->arena);
    *b = (struct gram_blocks){0};
}
