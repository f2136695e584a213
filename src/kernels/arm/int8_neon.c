/* Activations as int8 and their products with int8 weights: NEON. */
#include <math.h>
#include <string.h>

#include "kernels/simd/inline.h"
#include "kernels/simd/vec_neon.h"
#include "kernels/variants.h"

static inline float row_absmax(const float *x, int64_t n)
{
    vf top = vf_set(0.0f);
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        top = vf_max(vf_abs(vf_load(x + i)), top);
    if (i < n)
        top = vf_max(vf_abs(vf_load_n(x + i, n - i)), top);
    return vf_top(top);
}

/* The quotient, clamped while still a float (NaN to -128), rounded half to even. */
static inline int16x4_t codes_of(vf x, vf scale)
{
    const vf code = vmaxnmq_f32(vf_div(x, scale), vf_set(-128.0f));
    return vmovn_s32(vcvtnq_s32_f32(vminnmq_f32(code, vf_set(127.0f))));
}

float gram_quantize_i8__neon(int8_t *q, const float *x, int64_t n)
{
    const float scale = row_absmax(x, n) / 127.5f;
    const vf divisor = vf_set(scale > 0.0f ? scale : INFINITY); /* all codes 0 */
    int64_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const int16x4_t low = codes_of(vf_load(x + i), divisor);
        const int16x4_t high = codes_of(vf_load(x + i + 4), divisor);
        vst1_s8(q + i, vmovn_s16(vcombine_s16(low, high)));
    }
    for (; i < n; i++)
        q[i] = (int8_t)vget_lane_s16(codes_of(vf_set(x[i]), divisor), 0);
    return scale;
}

/* 16 signed bytes: two products of -128 by -128 fit a word's place only when widened before they
 * add. */
static inline int32x4_t add_products(int32x4_t sum, int8x16_t a, int8x16_t b)
{
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    return vpadalq_s16(sum, vmull_high_s8(a, b));
}

/* out[n] = x . w[n] for n < N, a constant */
ALWAYS_INLINE void dot_block(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride,
                             int N, int64_t K)
{
    int32x4_t sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    int64_t k = 0;

    for (; k + 16 <= K; k += 16) {
        const int8x16_t a = vld1q_s8(x + k);
        UNROLL
        for (int n = 0; n < N; n++)
            sum[n] = add_products(sum[n], a, vld1q_s8(w + n * w_stride + k));
    }
    UNROLL
    for (int n = 0; n < N; n++) {
        out[n] = vaddvq_s32(sum[n]);
        for (int64_t tail = k; tail < K; tail++)
            out[n] += x[tail] * w[n * w_stride + tail];
    }
}

void gram_dot_i8__neon(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride, int64_t N,
                       int64_t K)
{
    int64_t n = 0;

    for (; n + 4 <= N; n += 4)
        dot_block(out + n, x, w + n * w_stride, w_stride, 4, K);
    for (; n < N; n++)
        dot_block(out + n, x, w + n * w_stride, w_stride, 1, K);
}
