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

static int64_t (*const plans[])(const struct gram_graph *g, int64_t *offsets) = {
    [GRAM_KEEP_NONE] = gram_plan,
    [GRAM_KEEP_BLOCK] = gram_plan_kept,
    [GRAM_KEEP_ALL] = gram_plan_whole,
};

static bool place_values(struct gram_exec *exec, enum gram_keeping keeping)
{
    const struct gram_graph *g = exec->graph;
    struct gram_arena scratch = {0};
    int64_t *offsets = gram_arena_take(&scratch, (size_t)g->n_values, sizeof *offsets);
    const int64_t per_row = offsets ? plans[keeping](g, offsets) : -1;
    float *base = per_row < 0 ? NULL : take_floats(exec, per_row, exec->max_rows);
    exec->base = base;
    exec->floats_per_row = per_row;
    exec->values = gram_arena_take(&exec->arena, (size_t)g->n_values, sizeof *exec->values);
    const bool ok = base && exec->values;
    for (int v = 0; ok && v < g->n_values; v++)
        exec->values[v] = offsets[v] == GRAM_NONE ? NULL : base + offsets[v] * exec->max_rows;
    gram_arena_reset(&scratch);
    return ok;
}

static bool place_scratch(struct gram_exec *exec)
{
    const struct gram_graph *g = exec->graph;
    int64_t rows = exec->max_rows, shared = 0;

    for (int i = 0; i < g->n_nodes; i++) {
        const struct gram_node *node = &g->nodes[i];
        if (node->op->worker_scratch)
            exec->scratch_bytes = gram_max_i64(exec->scratch_bytes,
                                               node->op->worker_scratch(g, node, rows));
        if (node->op->shared_scratch)
            shared = gram_max_i64(shared, node->op->shared_scratch(g, node, rows));
    }
    exec->scratch_bytes = (exec->scratch_bytes + 63) / 64 * 64;
    exec->scratch = gram_arena_take(&exec->arena, (size_t)gram_pool_threads(exec->pool),
                                    (size_t)exec->scratch_bytes);
    exec->shared = gram_arena_take(&exec->arena, 1, (size_t)shared);
    exec->places = gram_arena_take(&exec->arena, (size_t)rows, sizeof *exec->places);
    return exec->scratch && exec->shared && exec->places;
}

/* For the widest value that is rounded. */
static bool place_rounded(struct gram_exec *exec)
{
    const struct gram_graph *g = exec->graph;

    for (int i = 0; i < g->n_nodes; i++) {
        const struct gram_node *node = &g->nodes[i];
        if (node->op->forward == gram_linear_forward && exec->bindings[node->params[0]].acts)
            exec->rounded_cols =
                gram_max_i64(exec->rounded_cols, g->values[node->inputs[0]].cols);
    }
    if (exec->rounded_cols == 0)
        return true;
    exec->rounded = take_floats(exec, exec->rounded_cols, exec->max_rows);
    exec->rounded_sums =
        gram_arena_take(&exec->arena, (size_t)exec->max_rows, sizeof *exec->rounded_sums);
    return exec->rounded && exec->rounded_sums;
}

static bool place_rope(struct gram_exec *exec)
{
    const int64_t half = exec->graph->rope_half;

    exec->inv_freq = take_floats(exec, half, 1);
    exec->rope_cos = take_floats(exec, half, exec->max_rows);
    exec->rope_sin = take_floats(exec, half, exec->max_rows);
    return exec->inv_freq && exec->rope_cos && exec->rope_sin;
}

enum gram_status gram_exec_open(struct gram_exec *exec, const struct gram_graph *graph,
                                const struct gram_binding *bindings,
                                const struct gram_kernels *kernels, struct gram_pool *pool,
                                int64_t max_rows, enum gram_keeping keeping,
                                struct gram_error *err)
{
    *exec = (struct gram_exec){.graph = graph,
                               .bindings = bindings,
                               .kernels = kernels,
                               .pool = pool,
                               .max_rows = max_rows};
    if (place_values(exec, keeping) && place_scratch(exec) && place_rope(exec) && place_rounded(exec) &&
        (keeping == GRAM_KEEP_NONE || gram_matmul_open(&exec->matmul, kernels, pool, &exec->arena)))
        return GRAM_OK;
    gram_exec_close(exec);
    return gram_fail_memory(err, "activations");
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

struct gram_fake_call gram_exec_fake_call(const struct gram_exec *exec, struct gram_fake_acts *acts,
                                          int value)
{
    return (struct gram_fake_call){.acts = acts,
                                   .kernels = exec->kernels,
                                   .pool = exec->pool,
                                   .x = exec->values[value],
                                   .y = exec->rounded,
                                   .sums = exec->rounded_sums,
                                   .rows = gram_exec_rows(exec, value),
                                   .cols = exec->graph->values[value].cols};
}

/* What all rows of a segment share. */
struct rope_rows {
    struct gram_exec *exec;
    int64_t first; /* row of the call */
};

/* Angles are products in f32, as the reference computes them: at long distances that is visible. */
static void turn_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rope_rows *rows = context;
    struct gram_exec *exec = rows->exec;
    const int64_t half = exec->graph->rope_half;

    (void)worker;
    for (int64_t t = rows->first + begin; t < rows->first + end; t++) {
        for (int64_t i = 0; i < half; i++) {
            const float angle = (float)exec->places[t].position * exec->inv_freq[i];
            exec->rope_cos[t * half + i] = cosf(angle) * exec->rope_scale;
            exec->rope_sin[t * half + i] = sinf(angle) * exec->rope_scale;
        }
    }
}

static void prepare_frequencies(struct gram_exec *exec, int64_t length)
{
    const struct gram_graph *g = exec->graph;
    const bool is_fixed = g->rope.scaling != GRAM_ROPE_DYNAMIC;

    if (exec->rope_length == length || (is_fixed && exec->rope_length > 0))
        return;
    gram_rope_frequencies(exec->inv_freq, &exec->rope_scale, &g->rope, g->rope_half, length);
    exec->rope_length = length;
}

static void prepare_rope(struct gram_exec *exec)
{
    enum { CHUNK = 16 };
    struct rope_rows rows = {exec, 0};

    for (int64_t s = 0; s < exec->n_segments; s++) {
        prepare_frequencies(exec, exec->segments[s].length);
        gram_pool_for(exec->pool, exec->segments[s].rows, CHUNK, turn_rows, &rows);
        rows.first += exec->segments[s].rows;
    }
}

static void begin_call(struct gram_exec *exec, const struct gram_exec_call *call)
{
    exec->segments = call->segments;
    exec->n_segments = call->n_segments;
    exec->tokens = call->tokens;
    exec->types = call->types;
    exec->rows = exec->n_last = 0;
    exec->acts_of = GRAM_NONE;
    exec->values[exec->graph->result] = call->result;
    for (int64_t s = 0; s < call->n_segments; s++) {
        const struct gram_exec_segment *segment = &call->segments[s];
        GRAM_ASSERT(segment->rows >= 1 && segment->rows <= exec->max_rows - exec->rows);
        GRAM_ASSERT(segment->position + segment->rows <= segment->kv->capacity);
        for (int64_t t = 0; t < segment->rows; t++)
            exec->places[exec->rows++] =
                (struct gram_exec_place){segment->kv, segment->position + t};
        exec->n_last += segment->n_last;
    }
}

bool gram_exec_run(struct gram_exec *exec, const struct gram_exec_call *call)
{
    return gram_exec_run_nodes(exec, call, 0, exec->graph->n_nodes);
}

bool gram_exec_run_nodes(struct gram_exec *exec, const struct gram_exec_call *call, int first, int end)
{
    begin_call(exec, call);
    if (exec->graph->rope_half > 0)
        prepare_rope(exec);
    return gram_exec_continue(exec, call, first, end);
}

bool gram_exec_continue(struct gram_exec *exec, const struct gram_exec_call *call, int first, int end)
{
    const struct gram_graph *g = exec->graph;

    exec->acts_of = GRAM_NONE; /* values may have changed since */
    for (int i = first; i < end; i++) {
        const struct gram_node *node = &g->nodes[i];
        const int64_t rows = gram_exec_rows(exec, node->output);
        if (rows == 0)
            break; /* nobody wants results: the caches are filled, the rest is not needed */
        if (node->run > 0)
            node->op->forward(exec, node);
        if (call->hook && !call->hook(call->user, node, exec->values[node->output], rows,
                                      g->values[node->output].cols))
            return false;
    }
    return true;
}
