/* Ops that treat every row alone: embed, last, add, swiglu, rmsnorm, rope. */
#include <string.h>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/row_loops.h"

void gram_embed_shape(const struct gram_graph *g, const struct gram_node *node,
                      struct gram_value *out)
{
    (void)g;
    out->cols = node->at.linear.out;
}

void gram_embed_forward(struct gram_exec *exec, const struct gram_node *node)
{
    const struct gram_weight *table = &exec->bindings[node->params[0]].weight;
    gram_decode_fn *decode = exec->kernels->decode[gram_weight_storage(table)];
    float *y = gram_exec_value(exec, node->output);

    for (int64_t t = 0; t < exec->rows; t++)
        decode(y + t * table->cols, table, exec->tokens[t], 0, table->cols);
}

void gram_last_shape(const struct gram_graph *g, const struct gram_node *node,
                     struct gram_value *out)
{
    gram_shape_same(g, node, out);
    out->is_last = true;
}

void gram_first_forward(struct gram_exec *exec, const struct gram_node *node)
{
    const int64_t cols = exec->graph->values[node->output].cols;
    const float *x = gram_exec_value(exec, node->inputs[0]);
    float *y = gram_exec_value(exec, node->output);

    for (int64_t s = 0; s < exec->n_segments; s++) {
        const struct gram_exec_segment *segment = &exec->segments[s];
        GRAM_ASSERT(segment->n_last <= 1);
        memcpy(y, x, (size_t)(segment->n_last * cols) * sizeof *x);
        x += segment->rows * cols;
        y += segment->n_last * cols;
    }
}

/* The last rows of each segment, under each other. */
void gram_last_forward(struct gram_exec *exec, const struct gram_node *node)
{
    const int64_t cols = exec->graph->values[node->output].cols;
    const float *x = gram_exec_value(exec, node->inputs[0]);
    float *y = gram_exec_value(exec, node->output);

    for (int64_t s = 0; s < exec->n_segments; s++) {
        const struct gram_exec_segment *segment = &exec->segments[s];
        x += segment->rows * cols; /* its end */
        memcpy(y, x - segment->n_last * cols, (size_t)(segment->n_last * cols) * sizeof *x);
        y += segment->n_last * cols;
    }
}

struct row_loop {
    const struct gram_exec *exec;
    const struct gram_node *node;
    gram_row_fn *fn;
};

static void run_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct row_loop *loop = context;
    const int64_t cols = loop->exec->graph->values[loop->node->output].cols;
    (void)worker;
    for (int64_t row = begin; row < end; row++)
        loop->fn(loop->exec, loop->node, row, cols);
}

void gram_for_rows(const struct gram_exec *exec, const struct gram_node *node, gram_row_fn *fn)
{
    enum { CHUNK = 1 << 14 }; /* elements: less is not worth the waking of a thread */
    const int64_t cols = exec->graph->values[node->output].cols;
    struct row_loop loop = {exec, node, fn};
    gram_pool_for(exec->pool, gram_exec_rows(exec, node->output), gram_ceil_div(CHUNK, cols),
                  run_rows, &loop);
}

static void add_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                    int64_t cols)
{
    exec->kernels->add(gram_y_row(exec, node, row, cols), gram_x_row(exec, node, 0, row, cols),
                       gram_x_row(exec, node, 1, row, cols), cols);
}

void gram_add_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, add_row);
}

static void add_scaled_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                           int64_t cols)
{
    float *y = gram_y_row(exec, node, row, cols);

    memcpy(y, gram_x_row(exec, node, 0, row, cols), (size_t)cols * sizeof *y);
    exec->kernels->axpy(y, node->at.add_scaled.scale, gram_x_row(exec, node, 1, row, cols), cols);
}

void gram_add_scaled_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, add_scaled_row);
}

static void swiglu_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                       int64_t cols)
{
    exec->kernels->swiglu(gram_y_row(exec, node, row, cols), gram_x_row(exec, node, 0, row, cols),
                          gram_x_row(exec, node, 1, row, cols), cols);
}

void gram_swiglu_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, swiglu_row);
}

/* A row is normalized in pieces of `width`: the whole row, or head by head with the same weight. */
static void rmsnorm_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                        int64_t cols)
{
    const float *weight = exec->bindings[node->params[0]].vector;
    const float *x = gram_x_row(exec, node, 0, row, cols);
    float *y = gram_y_row(exec, node, row, cols);

    for (int64_t at = 0; at < cols; at += node->at.norm.width)
        exec->kernels->rmsnorm(y + at, x + at, weight, node->at.norm.width, node->at.norm.eps);
}

void gram_rmsnorm_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, rmsnorm_row);
}

static void rope_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row,
                     int64_t cols)
{
    const int64_t half = node->at.rope.head_dim / 2;
    const float *x = gram_x_row(exec, node, 0, row, cols);
    float *y = gram_y_row(exec, node, row, cols);

    for (int64_t head = 0; head < cols; head += 2 * half)
        exec->kernels->rope(y + head, x + head, exec->rope_cos + row * half,
                            exec->rope_sin + row * half, half);
}

void gram_rope_forward(struct gram_exec *exec, const struct gram_node *node)
{
    gram_for_rows(exec, node, rope_row);
}
