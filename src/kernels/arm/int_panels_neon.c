/* Integer linears and their activations: NEON. */
#include "kernels/simd/quad_neon.h"

#include "kernels/simd/int_acts.h"
#include "kernels/simd/int_many.h"
#include "kernels/variants.h"

void gram_int_linear__neon(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                           const struct gram_int_panels *w, int64_t begin, int64_t end,
                           void *scratch)
{
    int_linear(y, y_stride, acts, w, begin, end, scratch);
}

static int32_t sum_of(const int8_t *x, int64_t n)
{
    int32x4_t sums = vdupq_n_s32(0);
    int64_t i = 0;

    for (; i + 16 <= n; i += 16)
        sums = vpadalq_s16(sums, vpaddlq_s8(vld1q_s8(x + i)));
    int32_t sum = vaddvq_s32(sums);
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

void gram_quantize_acts__neon(const struct gram_int_acts *acts, int64_t t, const float *x,
                                   void *scratch)
{
    quantize_acts(acts, t, x, scratch, gram_quantize_i8__neon, sum_of);
}
