/* All ops, and what can be said of any of them. */
#include "graph/op.h"

#include <string.h>

#include "base/error.h"
#include "graph/grad.h"

static const struct gram_op ops[] = {
    {.name = "embed", .shape = gram_embed_shape, .forward = gram_embed_forward,
     .vjp = gram_embed_vjp},
    {.name = "linear",
     .shape = gram_linear_shape,
     .forward = gram_linear_forward,
     .vjp = gram_linear_vjp,
     .begins_gradients = true,
     .cost = gram_linear_cost,
     .worker_scratch = gram_linear_worker_scratch,
     .shared_scratch = gram_linear_shared_scratch},
    {.name = "rmsnorm", .shape = gram_shape_same, .forward = gram_rmsnorm_forward,
     .vjp = gram_rmsnorm_vjp},
    {.name = "layernorm", .shape = gram_shape_same, .forward = gram_layernorm_forward,
     .vjp = gram_layernorm_vjp},
    {.name = "rope", .shape = gram_shape_same, .forward = gram_rope_forward,
     .vjp = gram_rope_vjp},
    {.name = "attend",
     .shape = gram_attend_shape,
     .forward = gram_attend_forward,
     .vjp = gram_attend_vjp,
     .cost = gram_attend_cost,
     .worker_scratch = gram_attend_worker_scratch},
    {.name = "swiglu", .shape = gram_shape_same, .forward = gram_swiglu_forward,
     .vjp = gram_swiglu_vjp, .begins_gradients = true},
    {.name = "add", .shape = gram_shape_same, .forward = gram_add_forward,
     .vjp = gram_add_vjp},
    {.name = "add_scaled",
     .shape = gram_shape_same,
     .forward = gram_add_scaled_forward,
     .vjp = gram_add_scaled_vjp},
    {.name = "add_row", .shape = gram_shape_same, .forward = gram_add_row_forward,
     .vjp = gram_add_row_vjp},
    {.name = "activate", .shape = gram_shape_same, .forward = gram_activate_forward,
     .vjp = gram_activate_vjp},
    {.name = "slice", .shape = gram_slice_shape, .forward = gram_slice_forward,
     .vjp = gram_slice_vjp},
    {.name = "first", .shape = gram_last_shape, .forward = gram_first_forward,
     .vjp = gram_first_vjp},
    {.name = "pool", .shape = gram_pool_shape, .forward = gram_pool_forward, .vjp = gram_pool_vjp},
    {.name = "dropout",
     .shape = gram_shape_same,
     .forward = gram_dropout_forward,
     .vjp = gram_dropout_vjp},
    {.name = "last", .shape = gram_last_shape, .forward = gram_last_forward,
     .vjp = gram_last_vjp},
};

const struct gram_op *gram_op_find(const char *name)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(ops[i].name, name) == 0)
            return &ops[i];
    }
    GRAM_ASSERT(false && "a known op");
    return NULL;
}

void gram_shape_same(const struct gram_graph *g, const struct gram_node *node,
                     struct gram_value *out)
{
    out->cols = g->values[node->inputs[0]].cols;
}

struct gram_cost gram_graph_cost(const struct gram_graph *g, int first, int end, int64_t rows,
                                 int64_t past)
{
    struct gram_cost total = {0};
    for (int i = first; i < end; i++) {
        if (g->nodes[i].op->cost)
            g->nodes[i].op->cost(g, &g->nodes[i], rows, past, &total);
    }
    return total;
}
