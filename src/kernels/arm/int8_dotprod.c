/* Products of int8 rows: the dot product instructions of ARMv8.2. */
#include <arm_neon.h>

#include "kernels/simd/inline.h"
#include "kernels/variants.h"

/* out[n] = x . w[n] for n < N, a constant */
ALWAYS_INLINE void dot_block(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride,
                             int N, int64_t K)
{
    int32x4_t sum[8];
    int64_t k = 0;

    UNROLL
    for (int n = 0; n < N; n++)
        sum[n] = vdupq_n_s32(0);
    for (; k + 16 <= K; k += 16) {
        const int8x16_t a = vld1q_s8(x + k);
        UNROLL
        for (int n = 0; n < N; n++)
            sum[n] = vdotq_s32(sum[n], vld1q_s8(w + n * w_stride + k), a);
    }
    UNROLL
    for (int n = 0; n < N; n++) {
        out[n] = vaddvq_s32(sum[n]);
        for (int64_t tail = k; tail < K; tail++)
            out[n] += x[tail] * w[n * w_stride + tail];
    }
}

void gram_dot_i8__dotprod(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride,
                          int64_t N, int64_t K)
{
    int64_t n = 0;

    for (; n + 8 <= N; n += 8)
        dot_block(out + n, x, w + n * w_stride, w_stride, 8, K);
    for (; n < N; n++)
        dot_block(out + n, x, w + n * w_stride, w_stride, 1, K);
}
