/* Activations of one token as int8 with the sums of their groups, from a level's own quantizer and
 * sum of bytes. */
#ifndef GRAM_KERNELS_SIMD_INT_ACTS_H
#define GRAM_KERNELS_SIMD_INT_ACTS_H

#include <math.h>
#include <string.h>

#include "kernels/int_layout.h"
#include "kernels/kernels.h"
#include "kernels/simd/inline.h"

typedef int32_t sum_of_fn(const int8_t *x, int64_t n);

/* Runs of n bytes of a row among those of its block. */
ALWAYS_INLINE void spread_runs(int8_t *to, const int8_t *codes, int64_t end, int64_t height, int64_t n)
{
    for (int64_t k = 0; k < end; k += n)
        memcpy(to + k * height, codes + k, (size_t)n);
}

static inline void spread(const struct gram_int_acts *acts, int64_t i, const int8_t *codes)
{
    int8_t *to = gram_acts_quad(acts, i, 0);

    if (acts->run == GRAM_ACTS_QUAD)
        spread_runs(to, codes, acts->stride, acts->height, GRAM_ACTS_QUAD);
    else
        spread_runs(to, codes, acts->stride, acts->height, GRAM_ACTS_TILE);
}

/* Row i of codes; in the order of x at `codes` too. */
ALWAYS_INLINE void quantize_row(const struct gram_int_acts *acts, int64_t i, const float *x,
                                int8_t *codes, gram_quantize_i8_fn *quantize, sum_of_fn *sum_of)
{
    for (int64_t s = 0; s < acts->spans; s++) {
        const int64_t k = s * acts->span, n = gram_min_i64(acts->span, acts->cols - k);
        *gram_acts_scale(acts, i, s) = quantize(codes + k, x + k, n);
    }
    memset(codes + acts->cols, 0, (size_t)(acts->stride - acts->cols));
    spread(acts, i, codes);
    for (int64_t g = 0; g < acts->groups; g++) {
        const int64_t k = g * acts->group;
        *gram_acts_sum(acts, i, g) = sum_of(codes + k, gram_min_i64(acts->group, acts->cols - k));
    }
}

/* What the codes of row i leave of x. */
static inline void take_rest(float *rest, const struct gram_int_acts *acts, int64_t i,
                             const float *x, const int8_t *codes)
{
    for (int64_t s = 0; s < acts->spans; s++) {
        const float scale = *gram_acts_scale(acts, i, s);
        const int64_t end = gram_min_i64((s + 1) * acts->span, acts->cols);
        for (int64_t k = s * acts->span; k < end; k++)
            rest[k] = fmaf(-(float)codes[k], scale, x[k]);
    }
}

ALWAYS_INLINE void quantize_acts(const struct gram_int_acts *acts, int64_t t, const float *x,
                                 void *scratch, gram_quantize_i8_fn *quantize, sum_of_fn *sum_of)
{
    const int64_t i = t * acts->parts;
    float *rest = scratch;
    int8_t *codes = (int8_t *)(rest + acts->stride);

    quantize_row(acts, i, x, codes, quantize, sum_of);
    if (acts->parts == 1)
        return;
    take_rest(rest, acts, i, x, codes);
    quantize_row(acts, i + 1, rest, codes, quantize, sum_of);
}

#endif
