/*
 * The ops: one row each. A new semantic is a new op, not a flag on an old one.
 */
#ifndef GRAM_GRAPH_OP_H
#define GRAM_GRAPH_OP_H

#include "graph/graph.h"

struct gram_exec;
struct gram_grad;

/* What running a node takes. */
struct gram_cost {
    double multiply_adds;
    double weight_bytes; /* of parameters read once per call, dense f32 as the model states them */
};

struct gram_op {
    const char *name;
    /* Fill in out->cols (and is_last); inputs must fit, which is the builder's duty. */
    void (*shape)(const struct gram_graph *g, const struct gram_node *node, struct gram_value *out);
    /* Compute node->output, and those of the rest of its run, from the inputs for the rows of this call.
     * Cannot fail: everything was allocated when the executor was opened. */
    void (*forward)(struct gram_exec *exec, const struct gram_node *node);
    /* Add to the gradients of inputs and parameters, given that of the output; NULL: no gradient. */
    void (*vjp)(struct gram_grad *grad, const struct gram_node *node);
    bool begins_gradients; /* it asks gram_grad_begins() of its inputs, and writes where it says so */
    /* For `rows` tokens behind `past` cached ones; NULL: negligible. */
    void (*cost)(const struct gram_graph *g, const struct gram_node *node, int64_t rows,
                 int64_t past, struct gram_cost *cost);
    /* Bytes of scratch for one worker, and shared by all, for at most so many rows; NULL: none. */
    int64_t (*worker_scratch)(const struct gram_graph *g, const struct gram_node *node,
                              int64_t rows);
    int64_t (*shared_scratch)(const struct gram_graph *g, const struct gram_node *node,
                              int64_t rows);
};

/* The row called `name`, which must exist. */
const struct gram_op *gram_op_find(const char *name);

/* Sum over the graph's nodes [first, end). */
struct gram_cost gram_graph_cost(const struct gram_graph *g, int first, int end, int64_t rows,
                                 int64_t past);

/* Shape rule: the result is as wide as the first input. */
void gram_shape_same(const struct gram_graph *g, const struct gram_node *node,
                     struct gram_value *out);

void gram_embed_shape(const struct gram_graph *, const struct gram_node *, struct gram_value *);
void gram_embed_forward(struct gram_exec *, const struct gram_node *);
void gram_last_shape(const struct gram_graph *, const struct gram_node *, struct gram_value *);
void gram_last_forward(struct gram_exec *, const struct gram_node *);
void gram_first_forward(struct gram_exec *, const struct gram_node *);
void gram_slice_shape(const struct gram_graph *, const struct gram_node *, struct gram_value *);
void gram_slice_forward(struct gram_exec *, const struct gram_node *);
void gram_add_row_forward(struct gram_exec *, const struct gram_node *);
void gram_activate_forward(struct gram_exec *, const struct gram_node *);
void gram_layernorm_forward(struct gram_exec *, const struct gram_node *);
void gram_add_forward(struct gram_exec *, const struct gram_node *);
void gram_add_scaled_forward(struct gram_exec *, const struct gram_node *);
void gram_pool_shape(const struct gram_graph *, const struct gram_node *, struct gram_value *);
void gram_pool_forward(struct gram_exec *, const struct gram_node *);
void gram_dropout_forward(struct gram_exec *, const struct gram_node *);
void gram_swiglu_forward(struct gram_exec *, const struct gram_node *);
void gram_rmsnorm_forward(struct gram_exec *, const struct gram_node *);
void gram_rope_forward(struct gram_exec *, const struct gram_node *);
void gram_linear_shape(const struct gram_graph *, const struct gram_node *, struct gram_value *);
void gram_linear_forward(struct gram_exec *, const struct gram_node *);
void gram_linear_cost(const struct gram_graph *, const struct gram_node *, int64_t, int64_t,
                      struct gram_cost *);
int64_t gram_linear_worker_scratch(const struct gram_graph *, const struct gram_node *, int64_t);
int64_t gram_linear_shared_scratch(const struct gram_graph *, const struct gram_node *, int64_t);
void gram_attend_shape(const struct gram_graph *, const struct gram_node *, struct gram_value *);
void gram_attend_forward(struct gram_exec *, const struct gram_node *);
void gram_attend_cost(const struct gram_graph *, const struct gram_node *, int64_t, int64_t,
                      struct gram_cost *);
int64_t gram_attend_worker_scratch(const struct gram_graph *, const struct gram_node *, int64_t);

#endif
