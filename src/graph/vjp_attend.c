/*
 * The gradient of attention, from a call whose segments start at position 0. With the scores
 * of a query computed again (Dao et al. 2022, section B.2), per key-value head:
 *
 *     P = softmax(s Q K')     dV += P' dY     dP = dY V'     dS = P (dP - rowsum(dP P))
 *     dQ += s dS K            dK += s dS' Q
 *
 * K and V are what the cache holds: where it rounds them, gradients pass through (LLM-QAT, Liu et al. 2023).
 * One piece of work is a segment and a key-value head with all its query heads, so that sums have
 * one order.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "graph/grad.h"

enum { QUERIES = 64 }; /* rows of scores held together */

/* Memory of one worker, for n tokens. Panels are of sixteen outputs, as kernels/panels.h has them. */
struct scratch {
    void *linear;
    float *k_panels, *v_panels; /* outputs are keys: [n / 16][dim][16] */
    float *keys;                /* outputs are dimensions: [dim / 16][n][16] */
    float *queries;             /* the same of queries or dy: [dim / 16][QUERIES][16] */
    float *p, *dp;              /* [QUERIES][n] */
    float *turned;              /* [n][QUERIES]: p or dp turned over */
    float *k, *v;               /* [n][dim]: as a cache that rounds holds them */
};

static int64_t padded(int64_t n)
{
    return gram_ceil_div(n, GRAM_PANEL) * GRAM_PANEL;
}

int64_t gram_attend_vjp_scratch(const struct gram_node *node, int64_t rows)
{
    const int64_t dim = padded(node->at.attend.head_dim), n = padded(rows);
    return GRAM_PANEL_SCRATCH + (5 * dim * n + dim * QUERIES + 3 * QUERIES * n) * (int64_t)sizeof(float);
}

static struct scratch cut(char *at, int64_t n, int64_t dim)
{
    struct scratch s = {.linear = at, .k_panels = (float *)(void *)(at + GRAM_PANEL_SCRATCH)};

    n = padded(n), dim = padded(dim);
    s.v_panels = s.k_panels + dim * n;
    s.keys = s.v_panels + dim * n;
    s.queries = s.keys + dim * n;
    s.p = s.queries + dim * QUERIES;
    s.dp = s.p + QUERIES * n;
    s.turned = s.dp + QUERIES * n;
    s.k = s.turned + QUERIES * n;
    s.v = s.k + dim * n;
    return s;
}

/* x[rows][cols], rows `stride` apart, as panels of sixteen rows. */
static void pack_rows(float *panels, const float *x, int64_t stride, int64_t rows, int64_t cols)
{
    const struct gram_weight w = {.rows = rows,
                                  .cols = cols,
                                  .data = x,
                                  .dtype = GRAM_F32,
                                  .row_bytes = stride * (int64_t)sizeof(float)};
    gram_float_panels_fill(panels, &w, 0, gram_panel_count(rows));
}

/* The same as panels of sixteen columns. */
static void pack_columns(float *panels, const float *x, int64_t stride, int64_t rows, int64_t cols)
{
    for (int64_t c = 0; c < cols; c += GRAM_PANEL) {
        const int64_t n = gram_min_i64(GRAM_PANEL, cols - c);
        for (int64_t r = 0; r < rows; r++, panels += GRAM_PANEL) {
            memcpy(panels, x + r * stride + c, (size_t)n * sizeof *panels);
            memset(panels + n, 0, (size_t)(GRAM_PANEL - n) * sizeof *panels);
        }
    }
}

struct head {
    const struct gram_grad *grad;
    const struct gram_node *node;
    const struct gram_kernels *kernels;
    int64_t n, dim;              /* tokens of the segment */
    int64_t q_stride, kv_stride; /* floats from one token to the next */
    int64_t held_stride;         /* the same of k and v */
    const float *k, *v;
    float *dk, *dv;
    struct scratch s;
    float scale;
};

/* s = x w' of `rows` rows of x [dim] and the keys or values [0, keys). */
static void scores(const struct head *h, float *s, const float *x, const float *panels, int64_t rows,
                   int64_t keys)
{
    const struct gram_float_panels w = {keys, h->dim, GRAM_F32, panels};
    h->kernels->float_linear(s, h->n, x, h->q_stride, rows, &w, 0, gram_panel_count(keys), h->s.linear);
}

static void softmax_rows(const struct head *h, int64_t first, int64_t rows, int64_t keys)
{
    const int64_t window = h->node->at.attend.window;

    for (int64_t i = 0; i < rows; i++) {
        float *p = h->s.p + i * h->n;
        const int64_t end = h->node->at.attend.is_full ? h->n : first + i + 1;
        const int64_t begin = window > 0 ? gram_max_i64(0, end - window) : 0;
        for (int64_t j = 0; j < keys; j++)
            p[j] = j < begin || j >= end ? -INFINITY : p[j] * h->scale;
        h->kernels->softmax(p, keys);
    }
}

/* dp becomes s dS. */
static void score_gradients(const struct head *h, int64_t rows, int64_t keys)
{
    for (int64_t i = 0; i < rows; i++) {
        const float *p = h->s.p + i * h->n;
        float *dp = h->s.dp + i * h->n;
        const float mean = h->kernels->dot_f32(p, dp, keys);
        for (int64_t j = 0; j < keys; j++)
            dp[j] = p[j] * (dp[j] - mean) * h->scale;
    }
}

/* to[keys][QUERIES] = m[rows][keys] turned over, sixteen rows at a time by way of panels. */
static void turn_scores(const struct head *h, const float *m, int64_t rows, int64_t keys)
{
    enum { COLUMNS = 64 };
    float lines[COLUMNS * GRAM_PANEL];

    for (int64_t i = 0; i < rows; i += GRAM_PANEL) {
        const int64_t n = gram_min_i64(GRAM_PANEL, rows - i);
        for (int64_t j = 0; j < keys; j += COLUMNS) {
            const int64_t columns = gram_min_i64(COLUMNS, keys - j);
            pack_rows(lines, m + i * h->n + j, h->n, n, columns);
            for (int64_t c = 0; c < columns; c++)
                memcpy(h->s.turned + (j + c) * QUERIES + i, lines + c * GRAM_PANEL,
                       GRAM_PANEL * sizeof *lines);
        }
    }
}

/* to[j] += sum over the rows i of m[i][j] x[i], for keys j: m' x. */
static void add_turned(const struct head *h, float *to, const float *m, const float *x,
                       int64_t rows, int64_t keys)
{
    const struct gram_float_panels w = {h->dim, rows, GRAM_F32, h->s.queries};

    turn_scores(h, m, rows, keys);
    pack_columns(h->s.queries, x, h->q_stride, rows, h->dim);
    h->kernels->float_linear_add(to, h->kv_stride, h->s.turned, QUERIES, keys, &w, 0,
                                 gram_panel_count(h->dim), h->s.linear);
}

/* dq += dS K */
static void add_queries(const struct head *h, float *dq, int64_t rows, int64_t keys)
{
    const struct gram_float_panels w = {h->dim, keys, GRAM_F32, h->s.keys};

    pack_columns(h->s.keys, h->k, h->held_stride, keys, h->dim);
    h->kernels->float_linear_add(dq, h->q_stride, h->s.dp, h->n, rows, &w, 0,
                                 gram_panel_count(h->dim), h->s.linear);
}

/* Queries [first, first + rows) of one query head. */
static void run_block(const struct head *h, const float *q, const float *dy, float *dq,
                      int64_t first, int64_t rows)
{
    const int64_t keys = h->node->at.attend.is_full ? h->n : first + rows;

    scores(h, h->s.p, q, h->s.k_panels, rows, keys);
    softmax_rows(h, first, rows, keys);
    scores(h, h->s.dp, dy, h->s.v_panels, rows, keys);
    add_turned(h, h->dv, h->s.p, dy, rows, keys);
    score_gradients(h, rows, keys);
    add_turned(h, h->dk, h->s.dp, q, rows, keys);
    add_queries(h, dq, rows, keys);
}

/* Keys and values as the cache has rounded them. */
static void take_held(struct head *h, const struct gram_kv *kv, int64_t kv_head)
{
    const struct gram_kv_layer *layer = &kv->layers[h->node->at.attend.kv_layer];

    if (kv->kind == GRAM_KV_F32)
        return;
    gram_kv_read(&layer->heads[kv_head], kv->kind, h->dim, h->n, h->s.k, h->s.v);
    h->k = h->s.k;
    h->v = h->s.v;
    h->held_stride = h->dim;
}

static void run_head(struct gram_grad *grad, const struct gram_node *node,
                     const struct gram_exec_segment *segment, int64_t row, int64_t kv_head,
                     char *scratch)
{
    const int64_t n = segment->rows;
    const int64_t dim = node->at.attend.head_dim,
                  group = node->at.attend.heads / node->at.attend.kv_heads;
    const int64_t q_stride = node->at.attend.heads * dim,
                  kv_stride = node->at.attend.kv_heads * dim;
    const int64_t kv_at = row * kv_stride + kv_head * dim;
    struct head h = {
        .grad = grad,
        .node = node,
        .kernels = grad->exec->kernels,
        .n = n,
        .dim = dim,
        .q_stride = q_stride,
        .kv_stride = kv_stride,
        .held_stride = kv_stride,
        .k = gram_exec_value(grad->exec, node->inputs[1]) + kv_at,
        .v = gram_exec_value(grad->exec, node->inputs[2]) + kv_at,
        .dk = gram_grad_value(grad, node->inputs[1]) + kv_at,
        .dv = gram_grad_value(grad, node->inputs[2]) + kv_at,
        .s = cut(scratch, n, dim),
        .scale = (float)(1.0 / sqrt((double)dim)),
    };

    take_held(&h, segment->kv, kv_head);
    pack_rows(h.s.k_panels, h.k, h.held_stride, n, dim);
    pack_rows(h.s.v_panels, h.v, h.held_stride, n, dim);
    for (int64_t i = kv_head * group; i < (kv_head + 1) * group; i++) {
        const int64_t at = row * q_stride + i * dim;
        for (int64_t t = 0; t < n; t += QUERIES)
            run_block(&h, gram_exec_value(grad->exec, node->inputs[0]) + at + t * q_stride,
                      gram_grad_value(grad, node->output) + at + t * q_stride,
                      gram_grad_value(grad, node->inputs[0]) + at + t * q_stride, t,
                      gram_min_i64(QUERIES, n - t));
    }
}

struct call {
    struct gram_grad *grad;
    const struct gram_node *node;
};

static void run_items(void *context, int64_t begin, int64_t end, int worker)
{
    const struct call *c = context;
    const int64_t kv_heads = c->node->at.attend.kv_heads;
    char *scratch = c->grad->scratch + worker * c->grad->scratch_bytes;

    for (int64_t i = begin; i < end; i++) {
        const struct gram_exec_segment *segments = c->grad->exec->segments;
        int64_t row = 0;
        for (int64_t s = 0; s < i / kv_heads; s++)
            row += segments[s].rows;
        run_head(c->grad, c->node, &segments[i / kv_heads], row, i % kv_heads, scratch);
    }
}

void gram_attend_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    struct call call = {grad, node};
    gram_pool_for(grad->exec->pool, grad->exec->n_segments * node->at.attend.kv_heads, 1, run_items,
                  &call);
}
