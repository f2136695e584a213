/* Ops of the older transformers, encoders among them: layer norm, learned positions and types, GELU; and the
 * cutting of one linear's result into queries, keys and values. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "graph/activation.h"
#include "graph/op.h"
#include "graph/row_loops.h"

void gram_slice_shape(const struct gram_graph *g, const struct gram_node *node,
                      struct gram_value *out)
{
    (void)g;
    out->cols = node->at.slice.n;
}

static void slice_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                      int64_t cols)
{
    const int64_t wide = exec->graph->values[node->inputs[0]].cols;
    memcpy(gram_y_row(exec, node, row, cols),
           gram_x_row(exec, node, 0, row, wide) + node->at.slice.first,
           (size_t)cols * sizeof(float));
}

void gram_slice_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, slice_row);
}

int64_t gram_added_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row)
{
    if (node->at.add_row.by == GRAM_BY_POSITION)
        return exec->places[row].position;
    return exec->types ? exec->types[row] : 0;
}

static void add_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                    int64_t cols)
{
    const struct gram_weight *table = &exec->bindings[node->params[0]].weight;
    const int64_t from = gram_added_row(exec, node, row);
    float *y = gram_y_row(exec, node, row, cols);

    GRAM_ASSERT(from < table->rows);
    exec->kernels->decode[gram_weight_storage(table)](y, table, from, 0, cols);
    exec->kernels->add(y, y, gram_x_row(exec, node, 0, row, cols), cols);
}

void gram_add_row_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, add_row);
}

static void activate_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                         int64_t cols)
{
    gram_activation_fn *f = gram_activations[node->at.activate.function].f;
    const float *x = gram_x_row(exec, node, 0, row, cols);
    float *y = gram_y_row(exec, node, row, cols);

    for (int64_t i = 0; i < cols; i++)
        y[i] = f(x[i]);
}

void gram_activate_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, activate_row);
}

struct gram_moments gram_row_moments(const float *x, int64_t n, float eps)
{
    double sum = 0.0, squares = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    return (struct gram_moments){(float)mean,
                                 (float)(1.0 / sqrt(squares / (double)n + (double)eps))};
}

static void layernorm_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                          int64_t cols)
{
    const float *weight = exec->bindings[node->params[0]].vector;
    const float *bias = exec->bindings[node->params[1]].vector;
    const float *x = gram_x_row(exec, node, 0, row, cols);
    const struct gram_moments m = gram_row_moments(x, cols, node->at.norm.eps);
    float *y = gram_y_row(exec, node, row, cols);

    for (int64_t i = 0; i < cols; i++)
        y[i] = (x[i] - m.mean) * m.inverse * weight[i] + bias[i];
}

void gram_layernorm_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, layernorm_row);
}
