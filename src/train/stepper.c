/* Forward block by block; back block by block, running each once more unless its values stayed. */
#include "train/stepper.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/plan.h"
#include "train/entropy.h"
#include "train/loss.h"
#include "train/teacher.h"

/* ---- memory ---- */

static int64_t piece_of(const struct gram_stepper_limits *limits)
{
    return limits->piece > 0 ? gram_min_i64(limits->piece, limits->rows) : limits->rows;
}

/* Positions for all sequences, each from a whole panel on. */
static int64_t cache_positions(const struct gram_stepper_limits *limits)
{
    return limits->rows + GRAM_PANEL * limits->sequences;
}

static enum gram_status place_caches(struct gram_stepper *s, struct gram_error *err)
{
    const size_t n = (size_t)s->limits.sequences;

    s->views = gram_arena_take(&s->arena, n, sizeof *s->views);
    s->segments = gram_arena_take(&s->arena, n, sizeof *s->segments);
    s->pieces = gram_arena_take(&s->arena, n, sizeof *s->pieces);
    if (!s->views || !s->segments || !s->pieces)
        return gram_fail_memory(err, "a training step");
    GRAM_TRY(gram_kv_open_shared(&s->cache, s->graph, s->limits.kv, cache_positions(&s->limits), err));
    for (size_t i = 0; i < n; i++)
        GRAM_TRY(gram_kv_view_open(&s->views[i], &s->cache, err));
    return GRAM_OK;
}

static bool place_boundaries(struct gram_stepper *s)
{
    const size_t rows = (size_t)s->limits.rows;

    if (s->limits.keeps_all)
        return true;
    s->boundaries = gram_arena_take(&s->arena, (size_t)s->graph->n_blocks, sizeof *s->boundaries);
    for (int b = 0; s->boundaries && b < s->graph->n_blocks; b++) {
        const size_t cols = (size_t)s->graph->values[s->graph->blocks[b].output].cols;
        s->boundaries[b] = gram_arena_take(&s->arena, rows * cols, sizeof(float));
        if (!s->boundaries[b])
            return false;
    }
    return s->boundaries != NULL;
}

/* Gradients of a table that is the head too have one order, with one pass as with several: those of all
 * logits come first. So what precedes the blocks goes back at the end. */
static bool place_entries(struct gram_stepper *s)
{
    const int64_t cols = s->graph->values[s->graph->nodes[s->graph->blocks[0].first - 1].output].cols;

    if (s->limits.total <= s->limits.rows)
        return true;
    s->entries = gram_arena_take(&s->arena, (size_t)(s->limits.total * cols), sizeof(float));
    return s->entries != NULL;
}

static bool place_rows(struct gram_stepper *s)
{
    const size_t vocab = (size_t)s->graph->values[s->graph->result].cols;
    const size_t floats = (size_t)piece_of(&s->limits) * vocab;

    s->logits = gram_arena_take(&s->arena, floats, sizeof(float));
    s->d_logits =
        s->limits.keeps_logits ? gram_arena_take(&s->arena, floats, sizeof(float)) : s->logits;
    s->losses = gram_arena_take(&s->arena, (size_t)s->limits.rows, sizeof *s->losses);
    s->grad.values[s->graph->result] = s->d_logits;
    return s->logits && s->d_logits && s->losses;
}

/* Floats that a row takes: values, their gradients, and what enters the blocks; -1 without memory. */
static int64_t floats_of_row(const struct gram_graph *g, bool keeps_all)
{
    int64_t *offsets = malloc((size_t)g->n_values * sizeof *offsets), floats = -1;

    if (offsets)
        floats = gram_plan_kept(g, offsets) +
                 (keeps_all ? gram_plan_whole(g, offsets) : gram_plan_kept(g, offsets));
    free(offsets);
    for (int b = 0; !keeps_all && floats >= 0 && b < g->n_blocks; b++)
        floats += g->values[g->blocks[b].output].cols;
    return floats;
}

static int64_t floats_of_cache(const struct gram_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op->forward == gram_attend_forward)
            return g->nodes[i].at.attend.kv_heads * 2 * gram_attend_width(g->nodes[i].at.attend.head_dim);
    return 0;
}

int64_t gram_stepper_bytes(const struct gram_graph *g, struct gram_stepper_limits limits)
{
    const double most = 4e18; /* of an int64_t, with room */
    const int64_t per_row = floats_of_row(g, limits.keeps_all);
    const double floats = (double)per_row * (double)limits.rows +
                          (double)piece_of(&limits) * (double)g->values[g->result].cols *
                              (limits.keeps_logits ? 2.0 : 1.0) +
                          (double)floats_of_cache(g) * (double)cache_positions(&limits) +
                          (double)limits.total * (double)g->values[g->blocks[0].output].cols;

    if (per_row < 0 || floats > most / sizeof(float))
        return -1;
    return (int64_t)floats * (int64_t)sizeof(float);
}

enum gram_status gram_stepper_open(struct gram_stepper *s, const struct gram_model_desc *desc,
                                   const struct gram_graph *graph,
                                   const struct gram_binding *bindings, float **grads,
                                   const struct gram_kernels *kernels, struct gram_pool *pool,
                                   struct gram_stepper_limits limits, struct gram_error *err)
{
    GRAM_ASSERT(!limits.keeps_all || limits.kv == GRAM_KV_F32);
    GRAM_ASSERT(!limits.keeps_logits || limits.piece == 0);
    *s = (struct gram_stepper){.desc = desc, .graph = graph, .limits = limits};
    GRAM_TRY(gram_exec_open(&s->exec, graph, bindings, kernels, pool, limits.rows,
                            limits.keeps_all ? GRAM_KEEP_ALL : GRAM_KEEP_BLOCK, err));
    GRAM_TRY(gram_grad_open(&s->grad, &s->exec, grads, err));
    GRAM_TRY(place_caches(s, err));
    return place_boundaries(s) && place_entries(s) && place_rows(s)
               ? GRAM_OK
               : gram_fail_memory(err, "a training step");
}

void gram_stepper_close(struct gram_stepper *s)
{
    for (int64_t i = 0; s->views && i < s->limits.sequences; i++)
        gram_kv_close(&s->views[i]);
    gram_kv_close(&s->cache);
    gram_grad_close(&s->grad);
    gram_exec_close(&s->exec);
    gram_arena_reset(&s->arena);
    *s = (struct gram_stepper){0};
}

/* ---- forward ---- */

static struct gram_exec_call call_of(struct gram_stepper *s, const struct gram_sequences *in)
{
    int64_t first = 0;

    for (int64_t i = 0; i < in->n; i++) {
        const int64_t n = in->lengths[i];
        gram_kv_view_move(&s->views[i], &s->cache, first, n);
        first += gram_ceil_div(n, GRAM_PANEL) * GRAM_PANEL;
        s->segments[i] = (struct gram_exec_segment){
            .kv = &s->views[i], .rows = n, .length = n, .n_last = n};
    }
    return (struct gram_exec_call){
        .segments = s->segments, .n_segments = in->n, .tokens = in->tokens, .result = s->logits};
}

static int end_of_blocks(const struct gram_graph *g)
{
    return g->blocks[g->n_blocks - 1].end;
}

/* The value that enters a block: what was computed last before it. */
static int entry_of(const struct gram_graph *g, int block)
{
    return g->nodes[g->blocks[block].first - 1].output;
}

static size_t entry_bytes(const struct gram_stepper *s, int block)
{
    const int value = entry_of(s->graph, block);
    return (size_t)(s->exec.rows * s->graph->values[value].cols) * sizeof(float);
}

static void run_block(struct gram_stepper *s, const struct gram_exec_call *call, int block)
{
    gram_exec_continue(&s->exec, call, s->graph->blocks[block].first, s->graph->blocks[block].end);
}

static void forward(struct gram_stepper *s, const struct gram_exec_call *call)
{
    const struct gram_graph *g = s->graph;

    gram_exec_run_nodes(&s->exec, call, 0, g->blocks[0].first);
    for (int b = 0; b < g->n_blocks; b++) {
        if (s->boundaries)
            memcpy(s->boundaries[b], gram_exec_value(&s->exec, entry_of(g, b)), entry_bytes(s, b));
        run_block(s, call, b);
    }
}

/* ---- the tail: what follows the blocks, in pieces of rows ---- */

struct tail {
    struct gram_stepper *s;
    const int32_t *labels;
    double divisor;
    int64_t rows; /* of the piece */
    double *sum;  /* of losses: one chain, wherever rows are cut */
    bool with_grad;
};

static double row_objective(const struct tail *tail, int64_t t, int64_t vocab)
{
    const struct gram_stepper *s = tail->s;
    return gram_objective_row(&s->objective, s->exec.kernels,
                              tail->with_grad ? s->d_logits + t * vocab : NULL,
                              s->logits + t * vocab,
                              s->teacher && tail->with_grad ? s->teacher->logits + t * vocab : NULL,
                              tail->labels[t], vocab, tail->divisor);
}

static void row_losses(void *context, int64_t begin, int64_t end, int worker)
{
    const struct tail *tail = context;
    struct gram_stepper *s = tail->s;
    const int64_t vocab = s->graph->values[s->graph->result].cols;

    (void)worker;
    for (int64_t t = begin; t < end; t++)
        s->losses[t] = s->limits.keeps_logits
                           ? row_objective(tail, t, vocab)
                           : gram_entropy_row(s->exec.kernels, s->logits + t * vocab, tail->labels[t],
                                              vocab, 1.0 / tail->divisor) /
                                 tail->divisor;
}

/* Rows stand alone here, so they may be called sequences of any length. */
static struct gram_exec_call piece_call(struct gram_stepper *s, int64_t rows)
{
    int64_t n = 0;

    for (int64_t left = rows; left > 0; left -= s->pieces[n++].rows) {
        const int64_t some = gram_min_i64(left, s->segments[n].rows);
        s->pieces[n] = (struct gram_exec_segment){
            .kv = s->segments[n].kv, .rows = some, .length = some, .n_last = some};
    }
    return (struct gram_exec_call){.segments = s->pieces, .n_segments = n, .result = s->logits};
}

static void run_piece(struct tail *tail, const struct gram_exec_call *call)
{
    struct gram_stepper *s = tail->s;
    const struct gram_graph *g = s->graph;

    gram_exec_run_nodes(&s->exec, call, end_of_blocks(g), g->n_nodes);
    s->exec.is_watching = false;
    gram_pool_for(s->exec.pool, tail->rows, 1, row_losses, tail);
    for (int64_t t = 0; t < tail->rows; t++)
        *tail->sum += s->losses[t];
    if (tail->with_grad)
        gram_grad_run(&s->grad, end_of_blocks(g), g->n_nodes);
}

/* The values and gradients that enter are seen through a window that moves along their rows. */
static void run_tail(struct gram_stepper *s, const struct gram_exec_call *whole,
                     const int32_t *labels, double divisor, bool with_grad, double *sum)
{
    const int entry = s->graph->nodes[end_of_blocks(s->graph) - 1].output;
    const int64_t cols = s->graph->values[entry].cols, all = s->exec.rows;
    float *const values = s->exec.values[entry], *const grads = s->grad.values[entry];

    for (int64_t t = 0, n; t < all; t += n) {
        n = gram_min_i64(piece_of(&s->limits), all - t);
        s->exec.values[entry] = values + t * cols;
        s->grad.values[entry] = grads + t * cols;
        const struct gram_exec_call call = n == all ? *whole : piece_call(s, n);
        run_piece(&(struct tail){s, labels + t, divisor, n, sum, with_grad}, &call);
    }
    s->exec.values[entry] = values;
    s->grad.values[entry] = grads;
}

/* ---- passes ---- */

/* The next sequences that fit into a pass, which leave `in`. */
static struct gram_sequences take_pass(const struct gram_stepper *s, struct gram_sequences *in)
{
    struct gram_sequences pass = *in;
    int64_t tokens = 0;

    for (pass.n = 0; pass.n < in->n && pass.n < s->limits.sequences &&
                     tokens + in->lengths[pass.n] <= s->limits.rows;
         pass.n++)
        tokens += in->lengths[pass.n];
    GRAM_ASSERT(pass.n > 0);
    in->tokens += tokens;
    in->labels += tokens;
    in->lengths += pass.n;
    in->n -= pass.n;
    return pass;
}

double gram_stepper_loss(struct gram_stepper *s, const struct gram_sequences *in, double divisor)
{
    struct gram_sequences left = *in;
    double sum = 0.0;

    while (left.n > 0) {
        const struct gram_sequences pass = take_pass(s, &left);
        const struct gram_exec_call call = call_of(s, &pass);
        forward(s, &call);
        run_tail(s, &call, pass.labels, divisor, false, &sum);
    }
    return sum;
}

/* ---- and back ---- */

/* What leaves block b, held against what left the teacher's. */
static double hold_block(struct gram_stepper *s, int b, double share)
{
    const int value = s->graph->blocks[b].output;
    const int64_t n = s->exec.rows * s->graph->values[value].cols;

    if (!s->teacher || s->objective.blocks == 0.0)
        return 0.0;
    return gram_objective_block(gram_grad_value(&s->grad, value), gram_exec_value(&s->exec, value),
                                s->teacher->blocks[b], n,
                                share * s->objective.blocks / s->graph->n_blocks);
}

/* The loss of the blocks; share: of the step's labels, that of this pass. */
static double backward(struct gram_stepper *s, const struct gram_exec_call *call, double share)
{
    const struct gram_graph *g = s->graph;
    double loss = 0.0;

    gram_exec_run_nodes(&s->exec, call, 0, 0); /* its rows are at hand again */
    for (int b = g->n_blocks - 1; b >= 0; b--) {
        if (s->boundaries) {
            memcpy(gram_exec_value(&s->exec, entry_of(g, b)), s->boundaries[b], entry_bytes(s, b));
            run_block(s, call, b);
        }
        loss += hold_block(s, b, share);
        gram_grad_run(&s->grad, g->blocks[b].first, g->blocks[b].end);
    }
    return loss;
}

static float *entry_gradient(const struct gram_stepper *s)
{
    return gram_grad_value(&s->grad, entry_of(s->graph, 0));
}

/* What precedes the blocks. */
static void backward_entry(struct gram_stepper *s, const struct gram_exec_call *call)
{
    const int end = s->graph->blocks[0].first;

    if (s->boundaries || s->entries)
        gram_exec_continue(&s->exec, call, 0, end);
    gram_grad_run(&s->grad, 0, end);
}

/* One pass; its sum is added to. */
static void run_pass(struct gram_stepper *s, const struct gram_sequences *pass, double divisor,
                     float *entries, double *sum)
{
    const struct gram_exec_call call = call_of(s, pass);

    GRAM_ASSERT(!s->teacher || s->limits.keeps_logits);
    if (s->teacher)
        gram_teacher_run(s->teacher, pass);
    s->exec.is_watching = true;
    forward(s, &call);
    run_tail(s, &call, pass->labels, divisor, true, sum);
    *sum += backward(s, &call, (double)gram_loss_count(pass->labels, s->exec.rows) / divisor);
    if (entries)
        memcpy(entries, entry_gradient(s), entry_bytes(s, 0));
    else
        backward_entry(s, &call);
}

/* The entries of all passes, one after the other. */
static void run_entries(struct gram_stepper *s, const struct gram_sequences *in)
{
    struct gram_sequences left = *in;
    const float *entries = s->entries;

    while (left.n > 0) {
        const struct gram_sequences pass = take_pass(s, &left);
        const struct gram_exec_call call = call_of(s, &pass);
        gram_exec_run_nodes(&s->exec, &call, 0, 0);
        memcpy(entry_gradient(s), entries, entry_bytes(s, 0));
        backward_entry(s, &call);
        entries += entry_bytes(s, 0) / sizeof *entries;
    }
}

double gram_stepper_run(struct gram_stepper *s, const struct gram_sequences *in, double divisor)
{
    struct gram_sequences left = *in;
    float *entries = s->entries;
    double sum = 0.0;

    while (left.n > 0) {
        const struct gram_sequences pass = take_pass(s, &left);
        run_pass(s, &pass, divisor, entries, &sum);
        if (entries)
            entries += entry_bytes(s, 0) / sizeof *entries;
    }
    if (entries)
        run_entries(s, in);
    return sum;
}
