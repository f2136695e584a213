/* Opening an executor allocates everything; running it walks the nodes. */
#include "graph/exec.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/plan.h"

/* count floats, or NULL; sizes are the model's own, so the products are checked. */
static float *take_floats(struct gram_exec *exec, int64_t a, int64_t b)
{
    int64_t count;
    if (a < 0 || b < 0 || !gram_mul_i64(&count, a, b))
        return NULL;
    return gram_arena_take(&exec->arena, (size_t)count, sizeof(float));
}

static bool place_values(struct gram_exec *exec)
{
    const struct gram_graph *g = exec->graph;
    struct gram_arena scratch = {0};
    int64_t *offsets = gram_arena_take(&scratch, (size_t)g->n_values, sizeof *offsets);
    const int64_t per_row = offsets ? gram_plan(g, offsets) : -1;
    float *base = per_row < 0 ? NULL : take_floats(exec, per_row, exec->max_rows);
    exec->values = gram_arena_take(&exec->arena, (size_t)g->n_values, sizeof *exec->values);
    const bool ok = base && exec->values;
    for (int v = 0; ok && v < g->n_values; v++)
        exec->values[v] = offsets[v] == GRAM_NONE ? NULL : base + offsets[v] * exec->max_rows;
    gram_arena_reset(&scratch);
    return ok;
}

static bool place_cache(struct gram_exec *exec, int64_t context)
{
    const struct gram_graph *g = exec->graph;
    exec->kv.capacity = context;
    exec->kv.layers =
        gram_arena_take(&exec->arena, (size_t)g->kv_layers, sizeof *exec->kv.layers);
    if (!exec->kv.layers)
        return false;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct gram_node *node = &g->nodes[i];
        if (node->op->forward != gram_attend_forward)
            continue;
        struct gram_kv_layer *layer = &exec->kv.layers[node->at.attend.kv_layer];
        const int64_t width = node->at.attend.kv_heads * node->at.attend.head_dim;
        layer->keys = take_floats(exec, width, context);
        layer->values = take_floats(exec, width, context);
        if (!layer->keys || !layer->values)
            return false;
    }
    return true;
}

static bool place_scratch(struct gram_exec *exec, struct gram_exec_limits limits)
{
    const struct gram_graph *g = exec->graph;
    int64_t shared = 0;

    for (int i = 0; i < g->n_nodes; i++) {
        const struct gram_node *node = &g->nodes[i];
        if (node->op->worker_scratch)
            exec->scratch_bytes =
                gram_max_i64(exec->scratch_bytes,
                             node->op->worker_scratch(g, node, limits.rows, limits.context));
        if (node->op->shared_scratch)
            shared = gram_max_i64(shared,
                                  node->op->shared_scratch(g, node, limits.rows, limits.context));
    }
    exec->scratch_bytes = (exec->scratch_bytes + 63) / 64 * 64;
    exec->scratch = gram_arena_take(&exec->arena, (size_t)gram_pool_threads(exec->pool),
                                    (size_t)exec->scratch_bytes);
    exec->shared = gram_arena_take(&exec->arena, 1, (size_t)shared);
    exec->inv_freq = take_floats(exec, g->rope_half, 1);
    exec->rope_cos = take_floats(exec, g->rope_half, limits.rows);
    exec->rope_sin = take_floats(exec, g->rope_half, limits.rows);
    return exec->scratch && exec->shared && exec->inv_freq && exec->rope_cos && exec->rope_sin;
}

enum gram_status gram_exec_open(struct gram_exec *exec, const struct gram_graph *graph,
                                const struct gram_binding *bindings,
                                const struct gram_kernels *kernels, struct gram_pool *pool,
                                struct gram_exec_limits limits, struct gram_error *err)
{
    *exec = (struct gram_exec){.graph = graph,
                               .bindings = bindings,
                               .kernels = kernels,
                               .pool = pool,
                               .max_rows = limits.rows};
    if (place_values(exec) && place_cache(exec, limits.context) && place_scratch(exec, limits))
        return GRAM_OK;
    gram_exec_close(exec);
    return gram_fail_memory(err, "activations and cache of a session");
}

void gram_exec_close(struct gram_exec *exec)
{
    gram_arena_reset(&exec->arena);
    *exec = (struct gram_exec){0};
}

int64_t gram_exec_rows(const struct gram_exec *exec, int value)
{
    return exec->graph->values[value].is_last ? exec->n_last : exec->rows;
}

/* Angles are products in f32, as the reference computes them: at long distances that is visible. */
static void prepare_rope(struct gram_exec *exec, int64_t length)
{
    const int64_t half = exec->graph->rope_half;
    float scale;

    gram_rope_frequencies(exec->inv_freq, &scale, &exec->graph->rope, half, length);
    for (int64_t t = 0; t < exec->rows; t++) {
        for (int64_t i = 0; i < half; i++) {
            const float angle = (float)(exec->position + t) * exec->inv_freq[i];
            exec->rope_cos[t * half + i] = cosf(angle) * scale;
            exec->rope_sin[t * half + i] = sinf(angle) * scale;
        }
    }
}

bool gram_exec_run(struct gram_exec *exec, const struct gram_exec_call *call)
{
    const struct gram_graph *g = exec->graph;

    GRAM_ASSERT(call->rows >= 1 && call->rows <= exec->max_rows);
    GRAM_ASSERT(call->position + call->rows <= exec->kv.capacity);
    exec->tokens = call->tokens;
    exec->rows = call->rows;
    exec->position = call->position;
    exec->n_last = call->n_last;
    exec->acts_of = GRAM_NONE;
    exec->values[g->result] = call->result;
    if (g->rope_half > 0)
        prepare_rope(exec, call->length);
    for (int i = 0; i < g->n_nodes; i++) {
        const struct gram_node *node = &g->nodes[i];
        const int64_t rows = gram_exec_rows(exec, node->output);
        if (rows == 0)
            break; /* nobody wants results: the cache is filled, the rest is not needed */
        node->op->forward(exec, node);
        if (call->hook && !call->hook(call->user, node, exec->values[node->output], rows,
                                      g->values[node->output].cols))
            return false;
    }
    return true;
}
