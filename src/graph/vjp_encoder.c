/* Gradients of the ops of op_encoder.c. */
#include "graph/activation.h"
#include "graph/row_loops.h"

static void slice_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                      int64_t cols)
{
    const int64_t wide = grad->exec->graph->values[node->inputs[0]].cols;
    float *dx = gram_dx_row(grad, node, 0, row, wide) + node->at.slice.first;
    grad->exec->kernels->add(dx, dx, gram_dy_row(grad, node, row, cols), cols);
}

void gram_slice_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    gram_for_rows_back(grad, node, slice_row);
}

static void pass_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                     int64_t cols)
{
    float *dx = gram_dx_row(grad, node, 0, row, cols);
    grad->exec->kernels->add(dx, dx, gram_dy_row(grad, node, row, cols), cols);
}

/* Rows of the table are added to in the order of tokens. */
void gram_add_row_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    const struct gram_exec *exec = grad->exec;
    const int64_t cols = exec->graph->values[node->output].cols;
    float *table = gram_grad_param(grad, node->params[0]);

    gram_for_rows_back(grad, node, pass_row);
    for (int64_t t = 0; table && t < exec->rows; t++) {
        float *row = table + gram_added_row(exec, node, t) * cols;
        exec->kernels->add(row, row, gram_dy_row(grad, node, t, cols), cols);
    }
}

static void activate_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                         int64_t cols)
{
    gram_activation_fn *derivative = gram_activations[node->at.activate.function].derivative;
    const float *x = gram_x_row(grad->exec, node, 0, row, cols);
    const float *dy = gram_dy_row(grad, node, row, cols);
    float *dx = gram_dx_row(grad, node, 0, row, cols);

    for (int64_t i = 0; i < cols; i++)
        dx[i] += dy[i] * derivative(x[i]);
}

void gram_activate_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    gram_for_rows_back(grad, node, activate_row);
}

/*
 * n = (x - mean) r, r = 1 / sqrt(variance + eps), y = n w + b, g = w dy:
 *     dx = r (g - mean(g) - n mean(n g))     dw = sum n dy     db = sum dy
 */
static void layernorm_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                          int64_t cols)
{
    const float *w = grad->exec->bindings[node->params[0]].vector;
    const float *x = gram_x_row(grad->exec, node, 0, row, cols);
    const float *dy = gram_dy_row(grad, node, row, cols);
    const struct gram_moments m = gram_row_moments(x, cols, node->at.norm.eps);
    float *dx = gram_dx_row(grad, node, 0, row, cols);
    double sum = 0.0, dot = 0.0;

    for (int64_t i = 0; i < cols; i++) {
        const double g = (double)w[i] * (double)dy[i];
        sum += g;
        dot += g * (double)((x[i] - m.mean) * m.inverse);
    }
    const float mean_g = (float)(sum / (double)cols), mean_ng = (float)(dot / (double)cols);
    for (int64_t i = 0; i < cols; i++)
        dx[i] += m.inverse * (w[i] * dy[i] - mean_g - (x[i] - m.mean) * m.inverse * mean_ng);
}

/* Over rows in their order, on one thread: the sum has one order, and it is a small part. */
static void layernorm_params(const struct gram_grad *grad, const struct gram_node *node, float *dw,
                             float *db)
{
    const int64_t cols = grad->exec->graph->values[node->output].cols;
    const int64_t rows = gram_exec_rows(grad->exec, node->output);

    for (int64_t t = 0; t < rows; t++) {
        const float *x = gram_x_row(grad->exec, node, 0, t, cols);
        const float *dy = gram_dy_row(grad, node, t, cols);
        const struct gram_moments m = gram_row_moments(x, cols, node->at.norm.eps);
        for (int64_t i = 0; dw && i < cols; i++)
            dw[i] += (x[i] - m.mean) * m.inverse * dy[i];
        for (int64_t i = 0; db && i < cols; i++)
            db[i] += dy[i];
    }
}

void gram_layernorm_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    float *dw = gram_grad_param(grad, node->params[0]);
    float *db = gram_grad_param(grad, node->params[1]);

    gram_for_rows_back(grad, node, layernorm_row);
    if (dw || db)
        layernorm_params(grad, node, dw, db);
}
