/* Activations as int8: NEON. */
#include <math.h>
#include <string.h>

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
