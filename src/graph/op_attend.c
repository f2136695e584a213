/*
 * Causal attention with grouped queries and an optional sliding window over the KV cache (Vaswani et al.
 * 2017; Ainslie et al. 2023). Work is split into (head, block of queries); scores of a block are one matrix
 * product with the keys, the result one with the values.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "graph/exec.h"
#include "graph/op.h"

enum { QUERIES = 16 }; /* rows of scores that one worker holds */

void gram_attend_shape(const struct gram_graph *g, const struct gram_node *node,
                       struct gram_value *out)
{
    (void)g;
    out->cols = node->at.attend.heads * node->at.attend.head_dim;
}

void gram_attend_cost(const struct gram_graph *g, const struct gram_node *node, int64_t rows,
                      int64_t past, struct gram_cost *cost)
{
    const double width = (double)(node->at.attend.heads * node->at.attend.head_dim);
    (void)g;
    cost->multiply_adds += 2 * width * (double)rows * ((double)past + (double)(rows + 1) / 2);
}

int64_t gram_attend_worker_scratch(const struct gram_graph *g, const struct gram_node *node,
                                   int64_t rows, int64_t context)
{
    (void)g, (void)node, (void)rows;
    return QUERIES * context * (int64_t)sizeof(float);
}

struct attend {
    const struct gram_exec *exec;
    const struct gram_node *node;
    const float *q;
    float *y;
    int64_t blocks; /* of queries, per head */
};

/* Copy this call's keys and values into the cache. */
static void store(const struct gram_exec *exec, const struct gram_node *node)
{
    const int64_t heads = node->at.attend.kv_heads, dim = node->at.attend.head_dim;
    const int64_t capacity = exec->kv.capacity;
    const struct gram_kv_layer *layer = &exec->kv.layers[node->at.attend.kv_layer];
    const float *k = gram_exec_value(exec, node->inputs[1]);
    const float *v = gram_exec_value(exec, node->inputs[2]);

    for (int64_t t = 0; t < exec->rows; t++) {
        const int64_t position = exec->position + t;
        for (int64_t h = 0; h < heads; h++) {
            const int64_t row = (t * heads + h) * dim;
            memcpy(layer->keys + (h * capacity + position) * dim, k + row,
                   (size_t)dim * sizeof *k);
            for (int64_t d = 0; d < dim; d++)
                layer->values[(h * dim + d) * capacity + position] = v[row + d];
        }
    }
}

/* First key that the query at `position` sees. */
static int64_t first_key(const struct gram_node *node, int64_t position)
{
    const int64_t window = node->at.attend.window;
    return window > 0 ? gram_max_i64(0, position - window + 1) : 0;
}

/* Queries t0..t1-1 of one head. Keys from..to-1 are all that any of them sees; what one may not see gets
 * -Inf, which the softmax turns into 0. */
static void attend_block(const struct attend *a, int64_t head, int64_t t0, int64_t t1,
                         float *scores)
{
    const struct gram_exec *exec = a->exec;
    const struct gram_node *node = a->node;
    const struct gram_kernels *kernels = exec->kernels;
    const int64_t dim = node->at.attend.head_dim, capacity = exec->kv.capacity;
    const int64_t stride = node->at.attend.heads * dim;
    const int64_t kv_head = head / (node->at.attend.heads / node->at.attend.kv_heads);
    const struct gram_kv_layer *layer = &exec->kv.layers[node->at.attend.kv_layer];
    const int64_t from = first_key(node, exec->position + t0), to = exec->position + t1;
    const int64_t n = to - from;
    const float scale = (float)(1.0 / sqrt((double)dim));

    memset(scores, 0, (size_t)((t1 - t0) * n) * sizeof *scores);
    kernels->gemm_f32(scores, n, a->q + t0 * stride + head * dim, stride,
                      layer->keys + (kv_head * capacity + from) * dim, dim, t1 - t0, n, dim);
    for (int64_t t = t0; t < t1; t++) {
        const int64_t position = exec->position + t;
        float *row = scores + (t - t0) * n;
        const int64_t begin = first_key(node, position) - from, end = position + 1 - from;
        for (int64_t i = 0; i < n; i++)
            row[i] = i >= begin && i < end ? row[i] * scale : -INFINITY;
        kernels->softmax(row, n);
        memset(a->y + t * stride + head * dim, 0, (size_t)dim * sizeof *a->y);
    }
    kernels->gemm_f32(a->y + t0 * stride + head * dim, stride, scores, n,
                      layer->values + kv_head * dim * capacity + from, capacity, t1 - t0, dim, n);
}

static void attend_blocks(void *context, int64_t begin, int64_t end, int worker)
{
    const struct attend *a = context;
    for (int64_t i = begin; i < end; i++) {
        const int64_t t0 = i % a->blocks * QUERIES;
        attend_block(a, i / a->blocks, t0, gram_min_i64(t0 + QUERIES, a->exec->rows),
                     gram_exec_scratch(a->exec, worker));
    }
}

void gram_attend_forward(struct gram_exec *exec, const struct gram_node *node)
{
    struct attend a = {
        .exec = exec,
        .node = node,
        .q = gram_exec_value(exec, node->inputs[0]),
        .y = gram_exec_value(exec, node->output),
        .blocks = gram_ceil_div(exec->rows, QUERIES),
    };
    store(exec, node);
    gram_pool_for(exec->pool, node->at.attend.heads * a.blocks, 1, attend_blocks, &a);
}
