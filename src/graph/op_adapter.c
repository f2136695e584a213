/* Ops of adapters: sums over groups of columns, and dropout. Forward and back. */
#include "graph/dropout.h"
#include "graph/op.h"
#include "graph/row_loops.h"

/* ---- y[g] = sum of the columns of group g ---- */

void gram_pool_shape(const struct gram_graph *g, const struct gram_node *node,
                     struct gram_value *out)
{
    out->cols = g->values[node->inputs[0]].cols / node->at.pool.width;
}

static void pool_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                     int64_t cols)
{
    const int64_t width = node->at.pool.width;
    const float *x = gram_x_row(exec, node, 0, row, cols * width);
    float *y = gram_y_row(exec, node, row, cols);

    for (int64_t i = 0; i < cols; i++, x += width) {
        y[i] = 0.0f;
        for (int64_t k = 0; k < width; k++)
            y[i] += x[k];
    }
}

void gram_pool_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, pool_row);
}

static void pool_row_back(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                          int64_t cols)
{
    const int64_t width = node->at.pool.width;
    const float *dy = gram_dy_row(grad, node, row, cols);
    float *dx = gram_dx_row(grad, node, 0, row, cols * width);

    for (int64_t i = 0; i < cols * width; i++)
        dx[i] += dy[i / width];
}

void gram_pool_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    gram_for_rows_back(grad, node, pool_row_back);
}

/* ---- dropout ---- */

static void dropout_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                        int64_t cols)
{
    struct gram_dropout d = gram_dropout_begin(exec, node, row);
    const float *x = gram_x_row(exec, node, 0, row, cols);
    float *y = gram_y_row(exec, node, row, cols);

    for (int64_t i = 0; i < cols; i++)
        y[i] = x[i] * gram_dropout_next(&d);
}

void gram_dropout_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, dropout_row);
}

/* The elements that were dropped forward, found again. */
static void dropout_row_back(const struct gram_grad *grad, const struct gram_node *node,
                             int64_t row, int64_t cols)
{
    struct gram_dropout d = gram_dropout_begin(grad->exec, node, row);
    const float *dy = gram_dy_row(grad, node, row, cols);
    float *dx = gram_dx_row(grad, node, 0, row, cols);

    for (int64_t i = 0; i < cols; i++)
        dx[i] += dy[i] * gram_dropout_next(&d);
}

void gram_dropout_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    gram_for_rows_back(grad, node, dropout_row_back);
}
