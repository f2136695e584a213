/* Memory of the reverse pass, and the walk. */
#include "graph/grad.h"

#include <string.h>

#include "base/checked.h"
#include "graph/op.h"

/* Gradients lie as the executor's values do: those of one block share memory with those of another.
 */
static bool place_values(struct gram_grad *grad)
{
    const struct gram_exec *exec = grad->exec;
    const struct gram_graph *g = exec->graph;
    int64_t floats;

    grad->values = gram_arena_take(&grad->arena, (size_t)g->n_values, sizeof *grad->values);
    if (!grad->values || !gram_mul_i64(&floats, exec->floats_per_row, exec->max_rows))
        return false;
    float *base = gram_arena_take(&grad->arena, (size_t)floats, sizeof *base);
    for (int v = 0; base && v < g->n_values; v++)
        if (v != g->result)
            grad->values[v] = base + (exec->values[v] - exec->base);
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
    if (place_values(grad) && place_scratch(grad) && place_rounded(grad) &&
        gram_matmul_open(&grad->matmul, exec->kernels, exec->pool, &grad->arena))
        return GRAM_OK;
    gram_grad_close(grad);
    return gram_fail_memory(err, "gradients");
}

void gram_grad_close(struct gram_grad *grad)
{
    gram_arena_reset(&grad->arena);
    *grad = (struct gram_grad){0};
}

static void clear(struct gram_grad *grad, int value)
{
    const int64_t rows = gram_exec_rows(grad->exec, value);
    const int64_t cols = grad->exec->graph->values[value].cols;
    memset(grad->values[value], 0, (size_t)(rows * cols) * sizeof(float));
}

/* Does a node of [first, end) read the value? */
static bool is_read_inside(const struct gram_graph *g, int value, int first, int end)
{
    for (int i = first; i < end; i++)
        for (int k = 0; k < GRAM_MAX_INPUTS; k++)
            if (g->nodes[i].inputs[k] == value)
                return true;
    return false;
}

static void clear_range(struct gram_grad *grad, int first, int end)
{
    const struct gram_graph *g = grad->exec->graph;

    for (int i = first; i < end; i++) {
        const struct gram_node *node = &g->nodes[i];
        for (int k = 0; k < GRAM_MAX_INPUTS; k++)
            if (node->inputs[k] != GRAM_NONE && g->values[node->inputs[k]].producer < first)
                clear(grad, node->inputs[k]);
        if (is_read_inside(g, node->output, i + 1, end))
            clear(grad, node->output);
    }
}

void gram_grad_run(struct gram_grad *grad, int first, int end)
{
    clear_range(grad, first, end);
    for (int i = end - 1; i >= first; i--) {
        const struct gram_node *node = &grad->exec->graph->nodes[i];
        GRAM_ASSERT(node->op->vjp);
        node->op->vjp(grad, node);
    }
}
