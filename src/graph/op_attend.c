/*
 * Attention, causal or over whole segments, with grouped queries and an optional sliding window over the KV
 * cache (Vaswani et al. 2017; Ainslie et al. 2023). Keys and values are stored first; then work is split into
 * blocks of queries that share a key-value head: consecutive tokens of a segment, each with all heads of the
 * group.
 */
#include <math.h>

#include "base/checked.h"
#include "graph/exec.h"
#include "graph/op.h"

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
                                   int64_t rows)
{
    (void)g, (void)rows;
    return gram_attend_scratch(node->at.attend.head_dim) * (int64_t)sizeof(float);
}

struct attend {
    const struct gram_exec *exec;
    const struct gram_node *node;
    int64_t group;   /* query heads of a key-value head */
    int64_t queries; /* of a block: tokens times heads of a group */
};

static void store_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct attend *a = context;
    const struct gram_exec *exec = a->exec;
    const int64_t heads = a->node->at.attend.kv_heads, dim = a->node->at.attend.head_dim;
    const float *k = gram_exec_value(exec, a->node->inputs[1]);
    const float *v = gram_exec_value(exec, a->node->inputs[2]);

    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        const struct gram_exec_place *place = &exec->places[t];
        const struct gram_kv_layer *layer = &place->kv->layers[a->node->at.attend.kv_layer];
        gram_attend_store_fn *store = exec->kernels->attend_store[place->kv->kind];
        for (int64_t h = 0; h < heads; h++)
            store(&layer->heads[h], dim, place->position, k + (t * heads + h) * dim,
                  v + (t * heads + h) * dim);
    }
}

/* Where the keys end that the query at `position` sees. */
static int64_t end_key(const struct gram_node *node, const struct gram_exec_segment *segment,
                       int64_t position)
{
    return node->at.attend.is_full ? segment->position + segment->rows : position + 1;
}

/* First key that the query at `position` sees. */
static int64_t first_key(const struct gram_node *node, int64_t position)
{
    const int64_t window = node->at.attend.window;
    return window > 0 ? gram_max_i64(0, position - window + 1) : 0;
}

/* Queries [begin, begin + a->queries) of a segment, counted through its tokens and the heads of one group. */
static void attend_block(const struct attend *a, const struct gram_exec_segment *segment,
                         int64_t first_row, int64_t kv_head, int64_t begin, float *scratch)
{
    const struct gram_node *node = a->node;
    const int64_t dim = node->at.attend.head_dim;
    const float *q = gram_exec_value(a->exec, node->inputs[0]);
    float *y = gram_exec_value(a->exec, node->output);
    struct gram_attend block = {
        .kv = segment->kv->layers[node->at.attend.kv_layer].heads[kv_head],
        .dim = dim,
        .scale = (float)(1.0 / sqrt((double)dim)),
        .T = gram_min_i64(a->queries, segment->rows * a->group - begin),
    };

    for (int64_t i = 0; i < block.T; i++) {
        const int64_t t = (begin + i) / a->group, in_group = (begin + i) % a->group;
        const int64_t head = kv_head * a->group + in_group;
        const int64_t at = ((first_row + t) * node->at.attend.heads + head) * dim;
        block.q[i] = q + at;
        block.y[i] = y + at;
        block.first[i] = first_key(node, segment->position + t);
        block.end[i] = end_key(node, segment, segment->position + t);
    }
    a->exec->kernels->attend[segment->kv->kind](&block, scratch);
}

static int64_t count_blocks(const struct attend *a, const struct gram_exec_segment *segment)
{
    return gram_ceil_div(segment->rows * a->group, a->queries);
}

/* Find block `item` of all segments. Later tokens see more keys: of a segment they come first, so that
 * what the last thread is busy with is short. */
static void attend_item(const struct attend *a, int64_t item, float *scratch)
{
    const int64_t kv_heads = a->node->at.attend.kv_heads;
    const struct gram_exec_segment *segment = a->exec->segments;
    int64_t first_row = 0;

    while (item >= kv_heads * count_blocks(a, segment)) {
        item -= kv_heads * count_blocks(a, segment);
        first_row += segment->rows;
        segment++;
    }
    const int64_t block = count_blocks(a, segment) - 1 - item / kv_heads;
    attend_block(a, segment, first_row, item % kv_heads, block * a->queries, scratch);
}

static void attend_items(void *context, int64_t begin, int64_t end, int worker)
{
    const struct attend *a = context;
    for (int64_t item = begin; item < end; item++)
        attend_item(a, item, gram_exec_scratch(a->exec, worker));
}

static int64_t count_items(const struct attend *a)
{
    int64_t blocks = 0;
    for (int64_t s = 0; s < a->exec->n_segments; s++)
        blocks += count_blocks(a, &a->exec->segments[s]);
    return blocks * a->node->at.attend.kv_heads;
}

/* Whole blocks read the cache least often. Where they are fewer than threads, as for one token of a model
 * with few key-value heads, the queries of a block are shared out too. */
static int64_t choose_items(struct attend *a)
{
    const int64_t queries = a->exec->segments[0].rows * a->group;

    a->queries = GRAM_ATTEND_QUERIES;
    const int64_t items = count_items(a);
    const int64_t shares = gram_ceil_div(gram_pool_threads(a->exec->pool), items);
    if (shares == 1)
        return items;
    a->queries = gram_ceil_div(gram_min_i64(a->queries, queries), shares);
    return count_items(a);
}

/* Multiply-adds of all segments. */
static int64_t total_work(const struct attend *a)
{
    const struct gram_node *node = a->node;
    int64_t keys = 0;

    for (int64_t s = 0; s < a->exec->n_segments; s++) {
        const struct gram_exec_segment *segment = &a->exec->segments[s];
        const int64_t last = segment->position + segment->rows;
        keys += segment->rows * (last - first_key(node, last - 1));
    }
    return 2 * keys * node->at.attend.heads * node->at.attend.head_dim;
}

void gram_attend_forward(struct gram_exec *exec, const struct gram_node *node)
{
    enum { STORED = 16, SMALL = 1 << 15 }; /* rows; multiply-adds that a thread is not woken for */
    struct attend a = {exec, node, node->at.attend.heads / node->at.attend.kv_heads, 0};

    gram_pool_for(exec->pool, exec->rows, STORED, store_rows, &a);
    const int64_t items = choose_items(&a), each = total_work(&a) / items;
    gram_pool_for(exec->pool, items, 1 + SMALL / (each + 1), attend_items, &a);
}
