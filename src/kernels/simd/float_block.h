/*
 * The block under linears over float panels and attention, over the vectors of the vec_*.h that was
 * included before: a sum of outer products.
 *
 * For every input k, the x[t][k] of up to six tokens, each copied to all lanes, times the sixteen
 * weights of input k of some panels. Lanes are outputs, so nothing is folded at the end, and every
 * y[t][n] is one chain of multiply-adds in the order of k: its bits depend neither on T nor on the
 * panels beside it.
 *
 *            panel p          panel p+1
 *   k = 0   w0 w1 .. w15     w16 .. w31     sums[t][0] += x[t][0] * (w0 .. w15)
 *   k = 1   w0 w1 .. w15     w16 .. w31     sums[t][1] += x[t][0] * (w16 .. w31), then k = 1
 */
#ifndef GRAM_KERNELS_SIMD_FLOAT_BLOCK_H
#define GRAM_KERNELS_SIMD_FLOAT_BLOCK_H

#include "kernels/panels.h"
#include "kernels/simd/inline.h"

enum {
    PANEL_VECTORS = GRAM_PANEL / VF,
    MOST_VECTORS = 8, /* of weights in a block */
    HEIGHT = 6,       /* tokens of a block */
    AHEAD = 1024,     /* bytes to prefetch from memory: the hardware stops at the end of a page */
};

/* What the blocks of one call share. */
struct float_block {
    int64_t y_stride, x_stride;
    int64_t K;
    int64_t step;        /* bytes of weights from one input to the next */
    int64_t panel_bytes; /* from one panel to the next */
    bool resume;         /* y holds the sums of the inputs before */
    float *tile;         /* [K][panels][GRAM_PANEL], for blocks that keep what they convert */
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

ALWAYS_INLINE vf load_i8(const char *w, int v)
{
    return vf_load_i8((const int8_t *)(const void *)w + v * VF);
}

/* Sums of T tokens and V vectors of outputs: zero, or what y holds. */
ALWAYS_INLINE void sums_start(vf sums[][MOST_VECTORS], const float *y, const struct float_block *b,
                              int T, int V)
{
    UNROLL
    for (int t = 0; t < T; t++) {
        UNROLL
        for (int v = 0; v < V; v++)
            sums[t][v] = b->resume ? vf_load(y + t * b->y_stride + v * VF) : vf_set(0.0f);
    }
}

/* What tells the blocks apart; all constant after inlining. */
struct float_kind {
    int T, P;      /* tokens and panels */
    load_fn *load; /* of the weights at w */
    bool keep;     /* in the tile */
    int ahead;     /* bytes to prefetch ahead of the load; 0: none */
};

/* y[t][n] for t < T and all outputs of P panels. */
ALWAYS_INLINE void float_block(const struct float_block *b, float *y, const float *x, const char *w,
                               struct float_kind kind)
{
    const int T = kind.T, V = kind.P * PANEL_VECTORS;
    float *tile = b->tile;
    vf sums[HEIGHT][MOST_VECTORS], weights[MOST_VECTORS];

    sums_start(sums, y, b, T, V);
    UNROLL_TWICE
    for (int64_t k = 0; k < b->K; k++, w += b->step, tile = kind.keep ? tile + V * VF : tile) {
        UNROLL
        for (int v = 0; v < V; v++) {
            const char *from = w + v / PANEL_VECTORS * b->panel_bytes;
            weights[v] = kind.load(from, v % PANEL_VECTORS);
            if (kind.ahead > 0 && v % PANEL_VECTORS == 0)
                __builtin_prefetch(from + kind.ahead);
            if (kind.keep)
                vf_store(tile + v * VF, weights[v]);
        }
        UNROLL
        for (int t = 0; t < T; t++) {
            const vf input = vf_set(x[t * b->x_stride + k]);
            UNROLL
            for (int v = 0; v < V; v++)
                sums[t][v] = vf_fma(input, weights[v], sums[t][v]);
        }
    }
    UNROLL
    for (int t = 0; t < T; t++) {
        UNROLL
        for (int v = 0; v < V; v++)
            vf_store(y + t * b->y_stride + v * VF, sums[t][v]);
    }
}

typedef void float_block_fn(const struct float_block *b, float *y, const float *x, const char *w);

#define FLOAT_BLOCK(name, ...)                                                                     \
    static void name(const struct float_block *b, float *y, const float *x, const char *w)         \
    {                                                                                              \
        float_block(b, y, x, w, (struct float_kind){__VA_ARGS__});                                 \
    }

#endif
