/* Memory of the reverse pass, and the walk. */
#include "graph/grad.h"

#include <string.h>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/plan.h"

/* Gradients of the values of one block share memory with those of another, whatever the executor keeps. */
static bool place_values(struct gram_grad *grad)
{
    const struct gram_exec *exec = grad->exec;
    const struct gram_graph *g = exec->graph;
    const size_t n = (size_t)g->n_values;
    int64_t *offsets = gram_arena_take(&grad->arena, n, sizeof *offsets), floats;

    grad->is_begun = gram_arena_take(&grad->arena, n, sizeof *grad->is_begun);
    grad->values = gram_arena_take(&grad->arena, n, sizeof *grad->values);
    if (!offsets || !grad->is_begun || !grad->values ||
        !gram_mul_i64(&floats, gram_plan_kept(g, offsets), exec->max_rows))
        return false;
    float *base = gram_arena_take(&grad->arena, (size_t)floats, sizeof *base);
    for (int v = 0; base && v < g->n_values; v++)
        if (v != g->result)
            grad->values[v] = base + offsets[v] * exec->max_rows;
    return base != NULL;
}

static bool place_rounded(struct gram_grad *grad)
{
    const struct gram_exec *exec = grad->exec;
    int64_t floats;

    if (!exec->rounded)
        return true;
    if (!gram_mul_i64(&floats, exec->rounded_cols, exec->max_rows))
        return false;
    grad->rounded = gram_arena_take(&grad->arena, (size_t)floats, sizeof *grad->rounded);
    return grad->rounded != NULL;
}

static bool place_scratch(struct gram_grad *grad)
{
    const struct gram_exec *exec = grad->exec;

    for (int i = 0; i < exec->graph->n_nodes; i++) {
        const struct gram_node *node = &exec->graph->nodes[i];
        if (node->op->vjp == gram_attend_vjp)
            grad->scratch_bytes =
                gram_max_i64(grad->scratch_bytes, gram_attend_vjp_scratch(node, exec->max_rows));
    }
    grad->scratch_bytes = (grad->scratch_bytes + 63) / 64 * 64;
    grad->scratch = gram_arena_take(&grad->arena, (size_t)gram_pool_threads(exec->pool),
                                    (size_t)grad->scratch_bytes);
    grad->rows = gram_arena_take(&grad->arena, (size_t)exec->max_rows, sizeof *grad->rows);
    return grad->scratch && grad->rows;
}

enum gram_status gram_grad_open(struct gram_grad *grad, struct gram_exec *exec, float **params,
                                struct gram_error *err)
{
    *grad = (struct gram_grad){.exec = exec, .params = params};
    if (place_values(grad) && place_scratch(grad) && place_rounded(grad))
        return GRAM_OK;
    gram_grad_close(grad);
    return gram_fail_memory(err, "gradients");
}

void gram_grad_close(struct gram_grad *grad)
{
    gram_arena_reset(&grad->arena);
    *grad = (struct gram_grad){0};
}

struct clearing {
    float *to;
    int64_t cols;
};

static void clear_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct clearing *c = context;
    (void)worker;
    memset(c->to + begin * c->cols, 0, (size_t)((end - begin) * c->cols) * sizeof *c->to);
}

/* Before an op that only adds. */
static void begin_inputs(struct gram_grad *grad, const struct gram_node *node)
{
    enum { CHUNK = 32 };

    for (int k = 0; k < GRAM_MAX_INPUTS; k++) {
        const int v = node->inputs[k];
        if (v == GRAM_NONE || node->op->begins_gradients || !gram_grad_begins(grad, v))
            continue;
        struct clearing clearing = {grad->values[v], grad->exec->graph->values[v].cols};
        gram_pool_for(grad->exec->pool, gram_exec_rows(grad->exec, v), CHUNK, clear_rows, &clearing);
    }
}

void gram_grad_run(struct gram_grad *grad, int first, int end)
{
    const struct gram_node *nodes = grad->exec->graph->nodes;

    for (int i = first; i < end; i++)
        for (int k = 0; k < GRAM_MAX_INPUTS; k++)
            if (nodes[i].inputs[k] != GRAM_NONE)
                grad->is_begun[nodes[i].inputs[k]] = false;
    for (int i = end - 1; i >= first; i--) {
        GRAM_ASSERT(nodes[i].op->vjp);
        begin_inputs(grad, &nodes[i]);
        nodes[i].op->vjp(grad, &nodes[i]);
    }
}
