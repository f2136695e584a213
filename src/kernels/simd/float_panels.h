/*
 * Linears over float panels, over the vectors of the vec_*.h that was included before.
 *
 * A sum of outer products: for every input k, the x[t][k] of up to six tokens, each copied to all
 * lanes, times the sixteen weights of input k of up to FLOAT_WIDE panels. Lanes are outputs, so
 * nothing is folded at the end, and every y[t][n] is one chain of multiply-adds in the order of k:
 * its bits depend neither on T nor on the panels beside it.
 *
 *            panel p          panel p+1
 *   k = 0   w0 w1 .. w15     w16 .. w31        acc[t][0] += x[t][0] * (w0 .. w15)
 *   k = 1   w0 w1 .. w15     w16 .. w31        acc[t][1] += x[t][0] * (w16 .. w31) ...
 *
 * A few tokens (generation) convert each weight where they use it and stream the panels from
 * memory, FLOAT_LONE panels at a time for one token, so that enough chains are in flight. Many
 * tokens (a prompt) convert a tile of FLOAT_WIDE panels and TILE_K inputs to f32 once and use it
 * for all tokens; the sums wait in y between the tiles of one output, which changes no bit.
 */
#ifndef GRAM_KERNELS_SIMD_FLOAT_PANELS_H
#define GRAM_KERNELS_SIMD_FLOAT_PANELS_H

#include "base/checked.h"
#include "kernels/panels.h"
#include "kernels/simd/inline.h"

enum {
    PANEL_VECTORS = GRAM_PANEL / VF,
    FEW = 4,    /* tokens that stream */
    HEIGHT = 6, /* tokens of a block of many */
    TILE_K = 256,
    GROUP = 16, /* panels whose sums and inputs of a tile's k stay in the second cache */
};

/* Panels of a block of `few` tokens. */
#define LONE_PANELS(few) (FLOAT_LONE / (few) > 0 ? FLOAT_LONE / (few) : 1)

/* What the blocks of one call share. */
struct float_block {
    int64_t y_stride, x_stride;
    int64_t K;
    int64_t panel_bytes; /* from one panel to the next */
    bool resume;         /* y holds the sums of the inputs before */
};

/* Vector v of the weights of one input in one panel. */
typedef vf load_fn(const char *w, int v);

ALWAYS_INLINE vf load_f32(const char *w, int v)
{
    return vf_load((const float *)(const void *)w + v * VF);
}

ALWAYS_INLINE vf load_f16(const char *w, int v)
{
    return vf_load_f16((const uint16_t *)(const void *)w + v * VF);
}

ALWAYS_INLINE vf load_bf16(const char *w, int v)
{
    return vf_load_bf16((const uint16_t *)(const void *)w + v * VF);
}

/* The first `left` of VF sums, which may be none or more than VF. */
ALWAYS_INLINE vf sums_load(const float *y, int64_t left)
{
    return left >= VF ? vf_load(y) : left > 0 ? vf_load_n(y, left) : vf_set(0.0f);
}

ALWAYS_INLINE void sums_store(float *y, vf sums, int64_t left)
{
    if (left >= VF)
        vf_store(y, sums);
    else if (left > 0)
        vf_store_n(y, sums, left);
}

/* y[t][n] for t < T, n < left of P panels; T, P, load and step, the bytes from one input to the
 * next, are constants. */
ALWAYS_INLINE void float_block(const struct float_block *b, float *y, const float *x, const char *w,
                               int64_t left, int T, int P, load_fn *load, int step)
{
    vf acc[HEIGHT][8], weights[8];

    UNROLL
    for (int t = 0; t < T; t++) {
        UNROLL
        for (int v = 0; v < P * PANEL_VECTORS; v++)
            acc[t][v] =
                b->resume ? sums_load(y + t * b->y_stride + v * VF, left - v * VF) : vf_set(0.0f);
    }
    for (int64_t k = 0; k < b->K; k++, w += step) {
        UNROLL
        for (int v = 0; v < P * PANEL_VECTORS; v++)
            weights[v] = load(w + v / PANEL_VECTORS * b->panel_bytes, v % PANEL_VECTORS);
        UNROLL
        for (int t = 0; t < T; t++) {
            const vf input = vf_set(x[t * b->x_stride + k]);
            UNROLL
            for (int v = 0; v < P * PANEL_VECTORS; v++)
                acc[t][v] = vf_fma(input, weights[v], acc[t][v]);
        }
    }
    UNROLL
    for (int t = 0; t < T; t++) {
        UNROLL
        for (int v = 0; v < P * PANEL_VECTORS; v++)
            sums_store(y + t * b->y_stride + v * VF, acc[t][v], left - v * VF);
    }
}

typedef void float_block_fn(const struct float_block *b, float *y, const float *x, const char *w,
                            int64_t left);

#define FLOAT_BLOCK(name, T, P, load, step)                                                        \
    static void name(const struct float_block *b, float *y, const float *x, const char *w,         \
                     int64_t left)                                                                 \
    {                                                                                              \
        float_block(b, y, x, w, left, T, P, load, step);                                           \
    }

#define FEW_BLOCKS(dtype, bytes)                                                                   \
    FLOAT_BLOCK(few_##dtype##_1, 1, LONE_PANELS(1), load_##dtype, GRAM_PANEL *bytes)               \
    FLOAT_BLOCK(few_##dtype##_2, 2, LONE_PANELS(2), load_##dtype, GRAM_PANEL *bytes)               \
    FLOAT_BLOCK(few_##dtype##_3, 3, LONE_PANELS(3), load_##dtype, GRAM_PANEL *bytes)               \
    FLOAT_BLOCK(few_##dtype##_4, 4, LONE_PANELS(4), load_##dtype, GRAM_PANEL *bytes)               \
    FLOAT_BLOCK(last_##dtype##_1, 1, 1, load_##dtype, GRAM_PANEL *bytes)                           \
    FLOAT_BLOCK(last_##dtype##_2, 2, 1, load_##dtype, GRAM_PANEL *bytes)                           \
    FLOAT_BLOCK(last_##dtype##_3, 3, 1, load_##dtype, GRAM_PANEL *bytes)                           \
    FLOAT_BLOCK(last_##dtype##_4, 4, 1, load_##dtype, GRAM_PANEL *bytes)                           \
    /* A tile [K][panels][GRAM_PANEL] of f32. */                                                   \
    static void tile_##dtype(float *tile, const char *w, int64_t panel_bytes, int64_t panels,      \
                             int64_t K)                                                            \
    {                                                                                              \
        for (int64_t p = 0; p < panels; p++)                                                       \
            for (int64_t k = 0; k < K; k++)                                                        \
                for (int v = 0; v < PANEL_VECTORS; v++)                                            \
                    vf_store(tile + (k * panels + p) * GRAM_PANEL + v * VF,                        \
                             load_##dtype(w + p * panel_bytes + k * GRAM_PANEL * bytes, v));       \
    }

FEW_BLOCKS(f32, 4)
FEW_BLOCKS(f16, 2)
FEW_BLOCKS(bf16, 2)

#define MANY_BLOCK(T)                                                                              \
    FLOAT_BLOCK(many_##T, T, FLOAT_WIDE, load_f32, FLOAT_WIDE *GRAM_PANEL * 4)                     \
    FLOAT_BLOCK(many_last_##T, T, 1, load_f32, GRAM_PANEL * 4)

MANY_BLOCK(1)
MANY_BLOCK(2)
MANY_BLOCK(3)
MANY_BLOCK(4)
MANY_BLOCK(5)
MANY_BLOCK(6)

/* By tokens less one: blocks of FLOAT_WIDE panels, and of one. */
static float_block_fn *const many_blocks[HEIGHT] = {many_1, many_2, many_3, many_4, many_5, many_6};
static float_block_fn *const many_last_blocks[HEIGHT] = {many_last_1, many_last_2, many_last_3,
                                                         many_last_4, many_last_5, many_last_6};

static const struct float_form {
    int64_t bytes; /* of an element */
    /* By tokens less one: blocks of LONE_PANELS panels, and of one. */
    float_block_fn *few[FEW], *last[FEW];
    void (*tile)(float *tile, const char *w, int64_t panel_bytes, int64_t panels, int64_t K);
} float_forms[] = {
#define FORM(dtype, bytes)                                                                         \
    {                                                                                              \
        bytes, {few_##dtype##_1, few_##dtype##_2, few_##dtype##_3, few_##dtype##_4},               \
            {last_##dtype##_1, last_##dtype##_2, last_##dtype##_3, last_##dtype##_4}, tile_##dtype \
    }
    [GRAM_F32] = FORM(f32, 4),
    [GRAM_F16] = FORM(f16, 2),
    [GRAM_BF16] = FORM(bf16, 2),
};

/* A call: T rows of x against w. */
struct float_linear {
    float *y;
    const float *x;
    int64_t T;
    const struct gram_float_panels *w;
    const struct float_form *form;
    struct float_block block;
};

static inline const char *weights_at(const struct float_linear *l, int64_t panel, int64_t k)
{
    const int64_t at = (panel * l->w->cols + k) * GRAM_PANEL;
    return (const char *)l->w->data + at * l->form->bytes;
}

static inline void linear_few(const struct float_linear *l, int64_t begin, int64_t end)
{
    static const int wide[FEW] = {LONE_PANELS(1), LONE_PANELS(2), LONE_PANELS(3), LONE_PANELS(4)};

    for (int64_t p = begin; p < end;) {
        const bool is_wide = p + wide[l->T - 1] <= end;
        float_block_fn *block = is_wide ? l->form->few[l->T - 1] : l->form->last[l->T - 1];
        block(&l->block, l->y + p * GRAM_PANEL, l->x, weights_at(l, p, 0),
              l->w->rows - p * GRAM_PANEL);
        p += is_wide ? wide[l->T - 1] : 1;
    }
}

/* All tokens against a tile of `panels` panels from p and of block.K inputs from k; as few blocks
 * as can be, of heights as equal as can be. */
static inline void linear_tile(const struct float_linear *l, int64_t p, int64_t panels, int64_t k,
                               const float *tile)
{
    const int64_t blocks = gram_ceil_div(l->T, HEIGHT);
    float_block_fn *const *block = panels == 1 ? many_last_blocks : many_blocks;

    for (int64_t i = 0; i < blocks; i++) {
        const int64_t t = l->T * i / blocks, rows = l->T * (i + 1) / blocks - t;
        block[rows - 1](&l->block, l->y + t * l->block.y_stride + p * GRAM_PANEL,
                        l->x + t * l->block.x_stride + k, (const char *)tile,
                        l->w->rows - p * GRAM_PANEL);
    }
}

static inline void linear_many(struct float_linear *l, int64_t begin, int64_t end, float *tile)
{
    const int64_t panel_bytes = l->block.panel_bytes;
    int64_t k = 0;

    l->block.panel_bytes = GRAM_PANEL * (int64_t)sizeof *tile; /* of a tile */
    do {
        l->block.K = gram_min_i64(TILE_K, l->w->cols - k);
        l->block.resume = k > 0;
        for (int64_t p = begin; p < end;) {
            const int64_t panels = p + FLOAT_WIDE <= end ? FLOAT_WIDE : 1;
            l->form->tile(tile, weights_at(l, p, k), panel_bytes, panels, l->block.K);
            linear_tile(l, p, panels, k, tile);
            p += panels;
        }
        k += TILE_K;
    } while (k < l->w->cols);
    l->block.panel_bytes = panel_bytes;
}

static inline void float_linear_body(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                     int64_t T, const struct gram_float_panels *w, int64_t begin,
                                     int64_t end, void *scratch)
{
    const struct float_form *form = &float_forms[w->dtype];
    struct float_linear l = {
        .y = y,
        .x = x,
        .T = T,
        .w = w,
        .form = form,
        .block = {y_stride, x_stride, w->cols, GRAM_PANEL * w->cols * form->bytes, false},
    };

    if (T > 0 && T <= FEW)
        linear_few(&l, begin, end);
    for (int64_t p = begin; T > FEW && p < end; p += GROUP)
        linear_many(&l, p, gram_min_i64(p + GROUP, end), scratch);
}

#endif
