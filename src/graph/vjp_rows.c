/* Gradients of the ops that treat every row alone. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
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

struct slopes {
    struct gram_grad *grad;
    const struct gram_node *node;
    bool begins[2]; /* the gradients of gate and up: written, not added to */
};

/* One row of gradients, a piece at a time: written where they belong, or on the stack and then added. */
static void swiglu_row(const struct slopes *s, int64_t row, int64_t cols)
{
    enum { PIECE = 1024 };
    const struct gram_kernels *kernels = s->grad->exec->kernels;
    float beside[2][PIECE];

    for (int64_t at = 0; at < cols; at += PIECE) {
        const int64_t n = gram_min_i64(PIECE, cols - at);
        float *d[2], *to[2];
        for (int i = 0; i < 2; i++) {
            d[i] = gram_dx_row(s->grad, s->node, i, row, cols) + at;
            to[i] = s->begins[i] ? d[i] : beside[i];
        }
        kernels->swiglu_vjp(to[0], to[1], gram_x_row(s->grad->exec, s->node, 0, row, cols) + at,
                            gram_x_row(s->grad->exec, s->node, 1, row, cols) + at,
                            gram_dy_row(s->grad, s->node, row, cols) + at, n);
        for (int i = 0; i < 2; i++)
            if (!s->begins[i])
                kernels->add(d[i], d[i], beside[i], n);
    }
}

static void swiglu_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct slopes *s = context;
    const int64_t cols = s->grad->exec->graph->values[s->node->output].cols;
    (void)worker;
    for (int64_t row = begin; row < end; row++)
        swiglu_row(s, row, cols);
}

void gram_swiglu_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    enum { CHUNK = 8 };
    struct slopes s = {.grad = grad, .node = node};

    for (int i = 0; i < 2; i++)
        s.begins[i] = gram_grad_begins(grad, node->inputs[i]);
    gram_pool_for(grad->exec->pool, gram_exec_rows(grad->exec, node->output), CHUNK, swiglu_rows, &s);
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
 * in pieces of `width`. r of the last piece of a row waits in grad->rows.
 */
static float inverse_rms(const float *x, int64_t n, float eps)
{
    double squares = 0.0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    return (float)(1.0 / sqrt(squares / (double)n + (double)eps));
}

static float rmsnorm_piece(float *restrict dx, const float *x, const float *w, const float *dy,
                           int64_t n, float eps)
{
    const float r = inverse_rms(x, n, eps);
    double dot = 0.0;

    for (int64_t i = 0; i < n; i++)
        dot += (double)x[i] * (double)w[i] * (double)dy[i];
    const float pull = (float)(dot / (double)n) * r * r * r;
    for (int64_t i = 0; i < n; i++)
        dx[i] += r * w[i] * dy[i] - x[i] * pull;
    return r;
}

static void rmsnorm_row(const struct gram_grad *grad, const struct gram_node *node, int64_t row,
                        int64_t cols)
{
    const float *w = grad->exec->bindings[node->params[0]].vector;
    const int64_t width = node->at.norm.width;

    for (int64_t at = 0; at < cols; at += width)
        grad->rows[row] = rmsnorm_piece(gram_dx_row(grad, node, 0, row, cols) + at,
                                        gram_x_row(grad->exec, node, 0, row, cols) + at, w,
                                        gram_dy_row(grad, node, row, cols) + at, width,
                                        node->at.norm.eps);
}

struct norm_weight {
    const struct gram_grad *grad;
    const struct gram_node *node;
    float *dw;
};

/* Columns [begin, end) of each piece, over rows and pieces in their order. */
static void rmsnorm_columns(void *context, int64_t begin, int64_t end, int worker)
{
    const struct norm_weight *n = context;
    const int64_t cols = n->grad->exec->graph->values[n->node->output].cols;
    const int64_t rows = gram_exec_rows(n->grad->exec, n->node->output);
    const int64_t width = n->node->at.norm.width;
    float *restrict dw = n->dw;

    (void)worker;
    for (int64_t t = 0; t < rows; t++) {
        for (int64_t at = 0; at < cols; at += width) {
            const float *x = gram_x_row(n->grad->exec, n->node, 0, t, cols) + at;
            const float *dy = gram_dy_row(n->grad, n->node, t, cols) + at;
            const float r = width == cols ? n->grad->rows[t]
                                          : inverse_rms(x, width, n->node->at.norm.eps);
            for (int64_t i = begin; i < end; i++)
                dw[i] += x[i] * r * dy[i];
        }
    }
}

void gram_rmsnorm_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    enum { COLUMNS = 64 };
    struct norm_weight weight = {grad, node, gram_grad_param(grad, node->params[0])};

    gram_for_rows_back(grad, node, rmsnorm_row);
    if (weight.dw)
        gram_pool_for(grad->exec->pool, node->at.norm.width, COLUMNS, rmsnorm_columns, &weight);
}
