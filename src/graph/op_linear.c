/*
 * y = x W' + b: the one place where weights meet activations. The weight may be dense or codes on any grid;
 * what it is decides between two ways:
 *   float    a tile of W is decoded to f32 once and multiplied with all rows of x
 *   integer  the scheme quantizes activations to int8 per token: products are summed exactly in int32
 * Tiles are a fixed number of outputs, so results do not depend on the number of threads.
 */
#include <string.h>

#include "base/checked.h"
#include "graph/exec.h"
#include "graph/op.h"

enum {
    TILE = 32,        /* outputs decoded and multiplied together */
    ROW_BLOCK = 64,   /* rows of x that stay in the L2 cache while a tile is multiplied */
    MAX_DOT_K = 65536 /* int32 holds the sum of so many products of int8 */
};

struct linear {
    const struct gram_exec *exec;
    const struct gram_weight *w;
    const float *bias; /* or NULL */
    const float *x;
    float *y;
    int64_t rows;
    int8_t *codes;     /* integer way: [rows, cols] of x */
    float *code_scale; /* [rows] */
};

static bool is_integer(const struct gram_weight *w)
{
    return w->bits > 0 && w->act_bits == 8;
}

void gram_linear_shape(const struct gram_graph *g, const struct gram_node *node,
                       struct gram_value *out)
{
    (void)g;
    out->cols = node->at.linear.out;
}

void gram_linear_cost(const struct gram_graph *g, const struct gram_node *node, int64_t rows,
                      int64_t past, struct gram_cost *cost)
{
    const double weights =
        (double)g->values[node->inputs[0]].cols * (double)node->at.linear.out;
    (void)past;
    cost->multiply_adds += weights * (double)rows;
    cost->weight_bytes += weights * sizeof(float);
}

/* A decoded tile; for the integer way a tile of int8 codes and the sums of one group. */
int64_t gram_linear_worker_scratch(const struct gram_graph *g, const struct gram_node *node,
                                   int64_t rows, int64_t context)
{
    (void)g, (void)node, (void)rows, (void)context;
    return TILE * GRAM_K_BLOCK * (int64_t)sizeof(float);
}

int64_t gram_linear_shared_scratch(const struct gram_graph *g, const struct gram_node *node,
                                   int64_t rows, int64_t context)
{
    (void)context;
    return rows * ((int64_t)sizeof(float) + g->values[node->inputs[0]].cols);
}

static void start_outputs(const struct linear *l, int64_t begin, int64_t end)
{
    for (int64_t t = 0; t < l->rows; t++) {
        float *y = l->y + t * l->w->rows;
        for (int64_t n = begin; n < end; n++)
            y[n] = l->bias ? l->bias[n] : 0.0f;
    }
}

static void multiply_tile(const struct linear *l, const float *tile, int64_t stride, int64_t begin,
                          int64_t end, int64_t k0, int64_t n)
{
    const struct gram_kernels *kernels = l->exec->kernels;
    for (int64_t t = 0; t < l->rows; t += ROW_BLOCK)
        kernels->gemm_f32(l->y + t * l->w->rows + begin, l->w->rows, l->x + t * l->w->cols + k0,
                          l->w->cols, tile, stride, gram_min_i64(ROW_BLOCK, l->rows - t),
                          end - begin, n);
}

static void float_tile(void *context, int64_t begin, int64_t end, int worker)
{
    const struct linear *l = context;
    const struct gram_weight *w = l->w;
    gram_decode_fn *decode = l->exec->kernels->decode[gram_weight_storage(w)];
    float *tile = gram_exec_scratch(l->exec, worker);

    start_outputs(l, begin, end);
    for (int64_t k0 = 0; k0 < w->cols; k0 += GRAM_K_BLOCK) {
        const int64_t n = gram_min_i64(GRAM_K_BLOCK, w->cols - k0);
        if (gram_weight_storage(w) == GRAM_STORE_F32) {
            const float *in_place = (const float *)w->data + begin * w->cols + k0;
            multiply_tile(l, in_place, w->cols, begin, end, k0, n);
            continue;
        }
        for (int64_t r = begin; r < end; r++)
            decode(tile + (r - begin) * GRAM_K_BLOCK, w, r, k0, n);
        multiply_tile(l, tile, GRAM_K_BLOCK, begin, end, k0, n);
    }
}

/* Codes of W as int8, with the stored offset taken off: in place for int8, unpacked otherwise. */
static const int8_t *signed_codes(const struct gram_weight *w, int64_t row, int64_t k0, int64_t n,
                                  int8_t *scratch)
{
    const int offset = 1 << (w->bits - 1);
    const uint8_t *at = (const uint8_t *)w->data + row * w->row_bytes;

    if (w->is_signed)
        return (const int8_t *)at + k0;
    gram_codes_unpack((uint8_t *)scratch, at, k0, n, w->bits);
    for (int64_t i = 0; i < n; i++)
        scratch[i] = (int8_t)((uint8_t)scratch[i] - offset);
    return scratch;
}

static int64_t sum_i8(const int8_t *x, int64_t n)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* One output for all rows over columns [k0, k0 + n), which share one scale. */
static void integer_piece(const struct linear *l, int64_t row, int64_t k0, int64_t n,
                          int8_t *scratch)
{
    const struct gram_weight *w = l->w;
    const int64_t g = k0 / w->group;
    const float scale = gram_weight_scale(w, row, g);
    const int64_t zero = w->zeros ? w->zeros[row * w->scale_stride + g] : 0;
    const int8_t *codes = signed_codes(w, row, k0, n, scratch);

    for (int64_t t = 0; t < l->rows; t++) {
        const int8_t *x = l->codes + t * w->cols + k0;
        int32_t sum;
        l->exec->kernels->dot_i8(&sum, x, codes, n, 1, n);
        const int64_t exact = (int64_t)sum - (zero ? zero * sum_i8(x, n) : 0);
        l->y[t * w->rows + row] += (float)exact * l->code_scale[t] * scale;
    }
}

/* The common case, int8 per channel: all outputs of the tile against one row of x at a time. */
static void channel_tile(const struct linear *l, int64_t begin, int64_t end)
{
    const struct gram_weight *w = l->w;
    const int8_t *codes = (const int8_t *)w->data + begin * w->row_bytes;
    int32_t sums[TILE];

    for (int64_t t = 0; t < l->rows; t++) {
        l->exec->kernels->dot_i8(sums, l->codes + t * w->cols, codes, w->row_bytes, end - begin,
                                 w->cols);
        float *y = l->y + t * w->rows;
        for (int64_t r = begin; r < end; r++)
            y[r] += (float)sums[r - begin] * l->code_scale[t] * gram_weight_scale(w, r, 0);
    }
}

static void integer_tile(void *context, int64_t begin, int64_t end, int worker)
{
    const struct linear *l = context;
    const struct gram_weight *w = l->w;
    int8_t *scratch = gram_exec_scratch(l->exec, worker);
    const int64_t piece = gram_min_i64(w->group, TILE * GRAM_K_BLOCK);

    start_outputs(l, begin, end);
    if (w->is_signed && !w->zeros && w->group == w->cols && w->cols <= MAX_DOT_K) {
        channel_tile(l, begin, end);
        return;
    }
    for (int64_t r = begin; r < end; r++) {
        for (int64_t k0 = 0; k0 < w->cols;) {
            const int64_t group_end = gram_min_i64((k0 / w->group + 1) * w->group, w->cols);
            const int64_t n = gram_min_i64(piece, group_end - k0);
            integer_piece(l, r, k0, n, scratch);
            k0 += n;
        }
    }
}

static void quantize_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct linear *l = context;
    const int64_t cols = l->w->cols;
    (void)worker;
    for (int64_t t = begin; t < end; t++)
        l->code_scale[t] =
            l->exec->kernels->quantize_i8(l->codes + t * cols, l->x + t * cols, cols);
}

void gram_linear_forward(struct gram_exec *exec, const struct gram_node *node)
{
    const struct gram_weight *w = &exec->bindings[node->params[0]].weight;
    struct linear l = {
        .exec = exec,
        .w = w,
        .bias = node->params[1] == GRAM_NONE ? NULL : exec->bindings[node->params[1]].vector,
        .x = gram_exec_value(exec, node->inputs[0]),
        .y = gram_exec_value(exec, node->output),
        .rows = gram_exec_rows(exec, node->output),
    };

    if (!is_integer(w)) {
        gram_pool_for(exec->pool, w->rows, TILE, float_tile, &l);
        return;
    }
    l.code_scale = exec->shared;
    l.codes = (int8_t *)(l.code_scale + l.rows);
    gram_pool_for(exec->pool, l.rows, 4, quantize_rows, &l);
    gram_pool_for(exec->pool, w->rows, TILE, integer_tile, &l);
}
