/* Gradients of the ops that treat every row alone. */
#include <math.h>
#include <string.h>

#include "graph/row_loops.h"

struct row_loop {
    const struct gram_grad *grad;
    const struct gram_node *node;
    gram_row_vjp_fn *fn;
};

static void run_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct row_loop *loop = context;
    const int64_t cols = loop->grad->exec->graph->values[loop->node->output].cols;
    (void)worker;
    for (int64_t row = begin; row < end; row++)
        loop->fn(loop->grad, loop->node, row, cols);
}

void gram_for_rows_back(const struct gram_grad *grad, const struct gram_node *node,
                        gram_row_vjp_fn *fn)
{
    enum { CHUNK = 8 };
    struct row_loop loop = {grad, node, fn};
    gram_pool_for(grad->exec->pool, gram_exec_rows(grad->exec, node->output), CHUNK, run_rows,
                  &loop);
}

/* Rows of the table are added to in the order of tokens. */
void gram_embed_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    const struct gram_exec *exec = grad->exec;
    const int64_t cols = exec->graph->values[node->output].cols;
    float *table = gram_grad_param(grad, node->params[0]);

    for (int64_t t = 0; table && t < exec->rows; t++) {
        float *row = table + exec->tokens[t] * cols;
        exec->kernels->add(row, row, gram_dy_row(grad, node, t, cols), cols);
    }
}

void gram_first_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    const struct gram_exec *exec = grad->exec;
    const int64_t cols = exec->graph->values[node->output].cols;
    int64_t from = 0, row = 0;

    for (int64_t s = 0; s < exec->n_segments; s++) {
        const struct gram_exec_segment *segment = &exec->segments[s];
        float *dx = gram_dx_row(grad, node, 0, row, cols);
        exec->kernels->add(dx, dx, gram_dy_row(grad, node, from, cols), segment->n_last * cols);
        from += segment->n_last;
        row += segment->rows;
    }
}

/* The last rows of each segment. */
void gram_last_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    const struct gram_exec *exec = grad->exec;
    const int64_t cols = exec->graph->values[node->output].cols;
    int64_t from = 0, row = 0;

    for (int64_t s = 0; s < exec->n_segments; s++) {
        const struct gram_exec_segment *segment = &exec->segments[s];
        float *dx = gram_dx_row(grad, node, 0, row + segment->rows - segment->n_last, cols);
        exec->kernels->add(dx, dx, gram_dy_row(grad, node, from, cols), segment->n_last * cols);
        from += segment->n_last;
        row += segment->rows;
    }
}

static void add_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                    int64_t cols)
{
    const float *dy = gram_dy_row(grad, node, row, cols);
    for (int i = 0; i < 2; i++) {
        float *dx = gram_dx_row(grad, node, i, row, cols);
        grad->exec->kernels->add(dx, dx, dy, cols);
    }
}

void gram_add_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    gram_for_rows_back(grad, node, add_row);
}

static void add_scaled_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                           int64_t cols)
{
    const float *dy = gram_dy_row(grad, node, row, cols);
    float *da = gram_dx_row(grad, node, 0, row, cols);

    grad->exec->kernels->add(da, da, dy, cols);
    grad->exec->kernels->axpy(gram_dx_row(grad, node, 1, row, cols), node->at.add_scaled.scale, dy,
                              cols);
}

void gram_add_scaled_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    gram_for_rows_back(grad, node, add_scaled_row);
}

/* silu(z) = z s, s = 1 / (1 + exp(-z)); silu'(z) = s (1 + z (1 - s)). */
static void swiglu_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                       int64_t cols)
{
    const float *gate = gram_x_row(grad->exec, node, 0, row, cols);
    const float *up = gram_x_row(grad->exec, node, 1, row, cols);
    const float *dy = gram_dy_row(grad, node, row, cols);
    float *restrict d_gate = gram_dx_row(grad, node, 0, row, cols);
    float *restrict d_up = gram_dx_row(grad, node, 1, row, cols);

    for (int64_t i = 0; i < cols; i++) {
        const float s = 1.0f / (1.0f + expf(-gate[i]));
        d_gate[i] += dy[i] * up[i] * s * (1.0f + gate[i] * (1.0f - s));
        d_up[i] += dy[i] * gate[i] * s;
    }
}

void gram_swiglu_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    gram_for_rows_back(grad, node, swiglu_row);
}

/* A rotation's transpose turns the other way. */
static void rope_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                     int64_t cols)
{
    const int64_t half = node->at.rope.head_dim / 2;
    const float *cs = grad->exec->rope_cos + row * half, *sn = grad->exec->rope_sin + row * half;

    for (int64_t head = 0; head < cols; head += 2 * half) {
        const float *dy = gram_dy_row(grad, node, row, cols) + head;
        float *dx = gram_dx_row(grad, node, 0, row, cols) + head;
        for (int64_t i = 0; i < half; i++) {
            dx[i] += dy[i] * cs[i] + dy[i + half] * sn[i];
            dx[i + half] += dy[i + half] * cs[i] - dy[i] * sn[i];
        }
    }
}

void gram_rope_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    gram_for_rows_back(grad, node, rope_row);
}

/*
 * y = x r w, r = 1 / sqrt(mean x^2 + eps):   dx = r (w dy - x r^2 mean(x w dy))     dw = sum x r dy
 * in pieces of `width`.
 */
static float inverse_rms(const float *x, int64_t n, float eps)
{
    double squares = 0.0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    return (float)(1.0 / sqrt(squares / (double)n + (double)eps));
}

static void rmsnorm_piece(float *restrict dx, const float *x, const float *w, const float *dy,
                          int64_t n, float eps)
{
    const float r = inverse_rms(x, n, eps);
    double dot = 0.0;

    for (int64_t i = 0; i < n; i++)
        dot += (double)x[i] * (double)w[i] * (double)dy[i];
    const float pull = (float)(dot / (double)n) * r * r * r;
    for (int64_t i = 0; i < n; i++)
        dx[i] += r * w[i] * dy[i] - x[i] * pull;
}

static void rmsnorm_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                        int64_t cols)
{
    const float *w = grad->exec->bindings[node->params[0]].vector;
    const int64_t width = node->at.norm.width;

    for (int64_t at = 0; at < cols; at += width)
        rmsnorm_piece(gram_dx_row(grad, node, 0, row, cols) + at,
                      gram_x_row(grad->exec, node, 0, row, cols) + at,
                      w, gram_dy_row(grad, node, row, cols) + at, width, node->at.norm.eps);
}

/* Over rows and pieces in their order, on one thread: the sum has one order, and it is a small
 * part. */
static void rmsnorm_weight(const struct gram_grad *grad, const struct gram_node *node, float *dw)
{
    const int64_t cols = grad->exec->graph->values[node->output].cols;
    const int64_t rows = gram_exec_rows(grad->exec, node->output), width = node->at.norm.width;

    for (int64_t t = 0; t < rows; t++) {
        for (int64_t at = 0; at < cols; at += width) {
            const float *x = gram_x_row(grad->exec, node, 0, t, cols) + at;
            const float *dy = gram_dy_row(grad, node, t, cols) + at;
            const float r = inverse_rms(x, width, node->at.norm.eps);
            for (int64_t i = 0; i < width; i++)
                dw[i] += x[i] * r * dy[i];
        }
    }
}

void gram_rmsnorm_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    float *dw = gram_grad_param(grad, node->params[0]);

    gram_for_rows_back(grad, node, rmsnorm_row);
    if (dw)
        rmsnorm_weight(grad, node, dw);
}
