/* Activations of one token as int8 with the sums of their groups, from a level's own quantizer and
 * sum of bytes. */
#ifndef GRAM_KERNELS_SIMD_INT_ACTS_H
#define GRAM_KERNELS_SIMD_INT_ACTS_H

#include <string.h>

#include "kernels/int_layout.h"
#include "kernels/kernels.h"
#include "kernels/simd/inline.h"

ALWAYS_INLINE void quantize_acts(const struct gram_int_acts *acts, int64_t t, const float *x,
                                 gram_quantize_i8_fn *quantize,
                                 int32_t (*sum_of)(const int8_t *x, int64_t n))
{
    int8_t *codes = acts->codes + t * acts->stride;

    for (int64_t s = 0; s < acts->spans; s++) {
        const int64_t k = s * acts->span, n = gram_min_i64(acts->span, acts->cols - k);
        acts->scales[t * acts->spans + s] = quantize(codes + k, x + k, n);
    }
    memset(codes + acts->cols, 0, (size_t)(acts->stride - acts->cols));
    for (int64_t g = 0; g < acts->groups; g++) {
        const int64_t k = g * acts->group;
        acts->sums[t * acts->groups + g] =
            sum_of(codes + k, gram_min_i64(acts->group, acts->cols - k));
    }
}

#endif
