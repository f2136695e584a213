/* What ops that treat every row alone share, forward and back: loops over rows, and where rows lie. */
#ifndef GRAM_GRAPH_ROW_LOOPS_H
#define GRAM_GRAPH_ROW_LOOPS_H

#include "graph/grad.h"

/* One row of `cols` columns, those of the node's output. */
typedef void gram_row_fn(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                         int64_t cols);
typedef void gram_row_vjp_fn(const struct gram_grad *grad, const struct gram_node *node,
                             int64_t row, int64_t cols);

/* Every row of the node's output, on all threads. */
void gram_for_rows(const struct gram_exec *exec, const struct gram_node *node, gram_row_fn *fn);
void gram_for_rows_back(const struct gram_grad *grad, const struct gram_node *node,
                        gram_row_vjp_fn *fn);

/* A row of input i or of the output; cols is that value's. */
static inline const float *gram_x_row(const struct gram_exec *exec, const struct gram_node *node,
                                      int i, int64_t row, int64_t cols)
{
    return gram_exec_value(exec, node->inputs[i]) + row * cols;
}
static inline float *gram_y_row(const struct gram_exec *exec, const struct gram_node *node,
                                int64_t row, int64_t cols)
{
    return gram_exec_value(exec, node->output) + row * cols;
}
static inline float *gram_dx_row(const struct gram_grad *grad, const struct gram_node *node, int i,
                                 int64_t row, int64_t cols)
{
    return gram_grad_value(grad, node->inputs[i]) + row * cols;
}
static inline const float *gram_dy_row(const struct gram_grad *grad, const struct gram_node *node,
                                       int64_t row, int64_t cols)
{
    return gram_grad_value(grad, node->output) + row * cols;
}

#endif
