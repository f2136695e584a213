/* Forward block by block, keeping what enters each; back block by block, running each once more. */
#include "train/stepper.h"

#include <string.h>

#include "train/loss.h"
#include "train/teacher.h"

static bool place_caches(struct gram_stepper *s, struct gram_error *err)
{
    const size_t n = (size_t)s->limits.sequences;

    s->caches = gram_arena_take(&s->arena, n, sizeof *s->caches);
    s->segments = gram_arena_take(&s->arena, n, sizeof *s->segments);
    for (size_t i = 0; s->caches && s->segments && i < n; i++)
        if (gram_kv_open(&s->caches[i], s->graph, s->limits.kv, s->limits.length, err) != GRAM_OK)
            return false;
    return s->caches && s->segments;
}

static bool place_rows(struct gram_stepper *s)
{
    const size_t rows = (size_t)s->limits.rows;
    const int64_t vocab = s->graph->values[s->graph->result].cols;

    s->logits = gram_arena_take(&s->arena, rows * (size_t)vocab, sizeof(float));
    s->d_logits = gram_arena_take(&s->arena, rows * (size_t)vocab, sizeof(float));
    s->losses = gram_arena_take(&s->arena, rows, sizeof *s->losses);
    s->boundaries = gram_arena_take(&s->arena, (size_t)s->graph->n_blocks, sizeof *s->boundaries);
    bool ok = s->logits && s->d_logits && s->losses && s->boundaries;
    for (int b = 0; ok && b < s->graph->n_blocks; b++) {
        const size_t cols = (size_t)s->graph->values[s->graph->blocks[b].output].cols;
        s->boundaries[b] = gram_arena_take(&s->arena, rows * cols, sizeof(float));
        ok = s->boundaries[b] != NULL;
    }
    return ok;
}

enum gram_status gram_stepper_open(struct gram_stepper *s, const struct gram_model_desc *desc,
                                   const struct gram_graph *graph,
                                   const struct gram_binding *bindings, float **grads,
                                   const struct gram_kernels *kernels, struct gram_pool *pool,
                                   struct gram_stepper_limits limits, struct gram_error *err)
{
    *s = (struct gram_stepper){.desc = desc, .graph = graph, .limits = limits};
    GRAM_TRY(gram_exec_open(&s->exec, graph, bindings, kernels, pool, limits.rows, true, err));
    GRAM_TRY(gram_grad_open(&s->grad, &s->exec, grads, err));
    return place_caches(s, err) && place_rows(s) ? GRAM_OK
                                                 : gram_fail_memory(err, "a training step");
}

void gram_stepper_close(struct gram_stepper *s)
{
    for (int64_t i = 0; s->caches && i < s->limits.sequences; i++)
        gram_kv_close(&s->caches[i]);
    gram_grad_close(&s->grad);
    gram_exec_close(&s->exec);
    gram_arena_reset(&s->arena);
    *s = (struct gram_stepper){0};
}

/* ---- forward ---- */

static struct gram_exec_call call_of(struct gram_stepper *s, const struct gram_sequences *in)
{
    for (int64_t i = 0; i < in->n; i++)
        s->segments[i] = (struct gram_exec_segment){.kv = &s->caches[i],
                                                    .rows = in->lengths[i],
                                                    .length = in->lengths[i],
                                                    .n_last = in->lengths[i]};
    return (struct gram_exec_call){
        .segments = s->segments, .n_segments = in->n, .tokens = in->tokens, .result = s->logits};
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

static void forward(struct gram_stepper *s, const struct gram_exec_call *call)
{
    const struct gram_graph *g = s->graph;

    gram_exec_run_nodes(&s->exec, call, 0, g->blocks[0].first);
    for (int b = 0; b < g->n_blocks; b++) {
        memcpy(s->boundaries[b], gram_exec_value(&s->exec, entry_of(g, b)), entry_bytes(s, b));
        gram_exec_run_nodes(&s->exec, call, g->blocks[b].first, g->blocks[b].end);
    }
    gram_exec_run_nodes(&s->exec, call, g->blocks[g->n_blocks - 1].end, g->n_nodes);
}

struct rows {
    struct gram_stepper *s;
    const int32_t *labels;
    double divisor;
    bool with_grad;
};

static void row_losses(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rows *r = context;
    struct gram_stepper *s = r->s;
    const int64_t vocab = s->graph->values[s->graph->result].cols;

    (void)worker;
    for (int64_t t = begin; t < end; t++)
        s->losses[t] = gram_objective_row(
            &s->objective, r->with_grad ? s->d_logits + t * vocab : NULL, s->logits + t * vocab,
            s->teacher ? s->teacher->logits + t * vocab : NULL, r->labels[t], vocab, r->divisor);
}

static double losses(struct gram_stepper *s, const int32_t *labels, double divisor, bool with_grad)
{
    struct rows rows = {s, labels, divisor, with_grad};
    double sum = 0.0;

    gram_pool_for(s->exec.pool, s->exec.rows, 8, row_losses, &rows);
    for (int64_t t = 0; t < s->exec.rows; t++)
        sum += s->losses[t];
    return sum;
}

double gram_stepper_loss(struct gram_stepper *s, const struct gram_sequences *in, double divisor)
{
    const struct gram_exec_call call = call_of(s, in);

    forward(s, &call);
    return losses(s, in->labels, divisor, false);
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

    s->grad.values[g->result] = s->d_logits;
    gram_grad_run(&s->grad, g->blocks[g->n_blocks - 1].end, g->n_nodes);
    for (int b = g->n_blocks - 1; b >= 0; b--) {
        memcpy(gram_exec_value(&s->exec, entry_of(g, b)), s->boundaries[b], entry_bytes(s, b));
        gram_exec_run_nodes(&s->exec, call, g->blocks[b].first, g->blocks[b].end);
        loss += hold_block(s, b, share);
        gram_grad_run(&s->grad, g->blocks[b].first, g->blocks[b].end);
    }
    gram_exec_run_nodes(&s->exec, call, 0, g->blocks[0].first);
    gram_grad_run(&s->grad, 0, g->blocks[0].first);
    return loss;
}

double gram_stepper_run(struct gram_stepper *s, const struct gram_sequences *in, double divisor)
{
    const struct gram_exec_call call = call_of(s, in);

    if (s->teacher)
        gram_teacher_run(s->teacher, in);
    s->exec.is_watching = true;
    forward(s, &call);
    s->exec.is_watching = false;
    const double loss = losses(s, in->labels, divisor, true);
    const double share = (double)gram_loss_count(in->labels, s->exec.rows) / divisor;
    return loss + backward(s, &call, share);
}
