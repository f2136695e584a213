/*
 * Products of f32 matrices and rows, over the vectors of the vec_*.h that was included before.
 *
 * Every y[t][n] is one dot product held in one vector of partial sums that runs along k, VF columns
 * a step; a block of ROWS x 4 of them shares its loads. A lone row of x takes eight rows of w, to
 * have as many chains in flight. All blocks add in the same order, so the place of t and n changes
 * no bit.
 */
#ifndef GRAM_KERNELS_SIMD_GEMM_H
#define GRAM_KERNELS_SIMD_GEMM_H

#include <stdint.h>
#include "kernels/simd/inline.h"

enum { GEMM_COLS = 4, GEMM_LONE_COLS = 8 };

struct gemm {
    int64_t y_stride, x_stride, w_stride, K;
};

/* One step along k: `left` columns, or VF when it is 0. */
ALWAYS_INLINE void gemm_step(vf acc[GEMM_ROWS][GEMM_LONE_COLS], const float *x, const float *w,
                             const struct gemm *g, int T, int N, int64_t left)
{
    vf b[GEMM_LONE_COLS];

    UNROLL
    for (int n = 0; n < N; n++) {
        const float *at = w + n * g->w_stride;
        b[n] = left ? vf_load_n(at, left) : vf_load(at);
    }
    UNROLL
    for (int t = 0; t < T; t++) {
        const float *at = x + t * g->x_stride;
        const vf a = left ? vf_load_n(at, left) : vf_load(at);
        UNROLL
        for (int n = 0; n < N; n++)
            acc[t][n] = vf_fma(a, b[n], acc[t][n]);
    }
}

/* y[t][n] += x[t] . w[n] for t < T, n < N, both constants. */
ALWAYS_INLINE void gemm_block(float *y, const float *x, const float *w, const struct gemm *g, int T,
                              int N)
{
    vf acc[GEMM_ROWS][GEMM_LONE_COLS];
    int64_t k = 0;

    UNROLL
    for (int t = 0; t < T; t++) {
        UNROLL
        for (int n = 0; n < GEMM_LONE_COLS; n++)
            acc[t][n] = vf_set(0.0f);
    }
    for (; k + VF <= g->K; k += VF)
        gemm_step(acc, x + k, w + k, g, T, N, 0);
    if (k < g->K)
        gemm_step(acc, x + k, w + k, g, T, N, g->K - k);
    UNROLL
    for (int t = 0; t < T; t++) {
        UNROLL
        for (int n = 0; n < N; n += 4) {
            const vf *a = acc[t] + n;
            vf4_add_to(y + t * g->y_stride + n, vf_sums(a[0], a[1], a[2], a[3]), N < 4 ? N : 4);
        }
    }
}

typedef void gemm_block_fn(float *y, const float *x, const float *w, const struct gemm *g);

#define GEMM_BLOCK(T, N)                                                                           \
    static void gemm_block_##T##x##N(float *y, const float *x, const float *w,                     \
                                     const struct gemm *g)                                         \
    {                                                                                              \
        gemm_block(y, x, w, g, T, N);                                                              \
    }

GEMM_BLOCK(1, 1)
GEMM_BLOCK(1, 4)
GEMM_BLOCK(1, 8)
GEMM_BLOCK(2, 1)
GEMM_BLOCK(2, 4)
GEMM_BLOCK(3, 1)
GEMM_BLOCK(3, 4)
#if GEMM_ROWS >= 4
GEMM_BLOCK(4, 1)
GEMM_BLOCK(4, 4)
#endif
#if GEMM_ROWS >= 6
GEMM_BLOCK(5, 1)
GEMM_BLOCK(5, 4)
GEMM_BLOCK(6, 1)
GEMM_BLOCK(6, 4)
#endif

/* By rows of x less one, then for one and for four rows of w. */
static gemm_block_fn *const gemm_blocks[GEMM_ROWS][2] = {
    {gemm_block_1x1, gemm_block_1x4}, {gemm_block_2x1, gemm_block_2x4},
    {gemm_block_3x1, gemm_block_3x4},
#if GEMM_ROWS >= 4
    {gemm_block_4x1, gemm_block_4x4},
#endif
#if GEMM_ROWS >= 6
    {gemm_block_5x1, gemm_block_5x4}, {gemm_block_6x1, gemm_block_6x4},
#endif
};

/* `rows` <= GEMM_ROWS rows of x, which stay in the first cache, against all N rows of w. */
static inline void gemm_rows(float *y, const float *x, const float *w, const struct gemm *g,
                             int64_t rows, int64_t N)
{
    int64_t n = 0;

    for (; rows == 1 && n + GEMM_LONE_COLS <= N; n += GEMM_LONE_COLS)
        gemm_block_1x8(y + n, x, w + n * g->w_stride, g);
    for (; n + GEMM_COLS <= N; n += GEMM_COLS)
        gemm_blocks[rows - 1][1](y + n, x, w + n * g->w_stride, g);
    for (; n < N; n++)
        gemm_blocks[rows - 1][0](y + n, x, w + n * g->w_stride, g);
}

/* As few blocks as can be, of as equal heights as can be. */
static inline void gemm_body(float *y, const float *x, const float *w, const struct gemm *g,
                             int64_t T, int64_t N)
{
    const int64_t blocks = (T + GEMM_ROWS - 1) / GEMM_ROWS;

    for (int64_t i = 0; i < blocks; i++) {
        const int64_t t = T * i / blocks, rows = T * (i + 1) / blocks - t;
        gemm_rows(y + t * g->y_stride, x + t * g->x_stride, w, g, rows, N);
    }
}

static inline float dot_body(const float *a, const float *b, int64_t n)
{
    vf sum[4] = {vf_set(0.0f), vf_set(0.0f), vf_set(0.0f), vf_set(0.0f)};
    int64_t i = 0;

    for (; i + 4 * VF <= n; i += 4 * VF) {
        UNROLL
        for (int j = 0; j < 4; j++)
            sum[j] = vf_fma(vf_load(a + i + j * VF), vf_load(b + i + j * VF), sum[j]);
    }
    for (; i + VF <= n; i += VF)
        sum[0] = vf_fma(vf_load(a + i), vf_load(b + i), sum[0]);
    if (i < n)
        sum[1] = vf_fma(vf_load_n(a + i, n - i), vf_load_n(b + i, n - i), sum[1]);
    return vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
}

static inline void axpy_body(float *y, float s, const float *x, int64_t n)
{
    const vf scale = vf_set(s);
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        vf_store(y + i, vf_fma(scale, vf_load(x + i), vf_load(y + i)));
    if (i < n)
        vf_store_n(y + i, vf_fma(scale, vf_load_n(x + i, n - i), vf_load_n(y + i, n - i)), n - i);
}

#endif
