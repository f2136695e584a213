/*
 * Activations as int8: AVX-512. A division takes 16 cycles, a product with the reciprocal one; its code is
 * the same unless it falls next to the middle between two codes.
 */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>

#include "kernels/simd/inline.h"
#include "kernels/simd/vec_avx512.h"
#include "kernels/variants.h"

static inline float row_absmax(const float *x, int64_t n)
{
    enum { CHAINS = 4 };
    vf top[CHAINS] = {vf_set(0.0f), vf_set(0.0f), vf_set(0.0f), vf_set(0.0f)};
    int64_t i = 0;

    for (; i + CHAINS * VF <= n; i += CHAINS * VF) {
        UNROLL
        for (int c = 0; c < CHAINS; c++)
            top[c] = vf_max(vf_abs(vf_load(x + i + c * VF)), top[c]);
    }
    for (; i + VF <= n; i += VF)
        top[0] = vf_max(vf_abs(vf_load(x + i)), top[0]);
    if (i < n)
        top[1] = vf_max(vf_abs(vf_load_n(x + i, n - i)), top[1]);
    return vf_top(vf_max(vf_max(top[0], top[1]), vf_max(top[2], top[3])));
}

/* Clamped while still a float (NaN to -128), rounded half to even. */
static inline __m128i codes_of(vf quotient)
{
    const vf code = vf_max(quotient, vf_set(-128.0f));
    return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_min_ps(code, vf_set(127.0f))));
}

/*
 * Quotients are below 128, products with a rounded reciprocal off by less than 2^-23 of that, 1.6e-5: those
 * that are farther from the middle between two codes round to the same.
 */
static inline __m128i quotient_codes(vf x, vf scale, vf inverse)
{
    const vf quotient = vf_mul(x, inverse);
    const vf distance = vf_abs(vf_sub(quotient, vf_round(quotient)));

    if (_mm512_cmp_ps_mask(distance, vf_set(0.49996f), _CMP_GT_OQ))
        return codes_of(vf_div(x, scale));
    return codes_of(quotient);
}

float gram_quantize_i8__avx512(int8_t *q, const float *x, int64_t n)
{
    const float scale = row_absmax(x, n) / 127.5f;
    const vf divisor = vf_set(scale > 0.0f ? scale : INFINITY); /* all codes 0 */
    const bool has_inverse = scale > 1e-30f && scale < 1e30f;
    const vf inverse = vf_set(has_inverse ? 1.0f / scale : 0.0f);
    int64_t i = 0;

    for (; has_inverse && i + VF <= n; i += VF)
        _mm_storeu_si128((__m128i *)(q + i), quotient_codes(vf_load(x + i), divisor, inverse));
    for (; i + VF <= n; i += VF)
        _mm_storeu_si128((__m128i *)(q + i), codes_of(vf_div(vf_load(x + i), divisor)));
    if (i < n)
        _mm_mask_storeu_epi8(q + i, vf_mask(n - i), codes_of(vf_div(vf_load_n(x + i, n - i), divisor)));
    return scale;
}
