/* Activations as int8: AVX-512. */
#include <immintrin.h>
#include <math.h>

#include "kernels/simd/vec_avx512.h"
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
static inline __m128i codes_of(vf x, vf scale)
{
    const vf code = vf_max(vf_div(x, scale), vf_set(-128.0f));
    return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_min_ps(code, vf_set(127.0f))));
}

float gram_quantize_i8__avx512(int8_t *q, const float *x, int64_t n)
{
    const float scale = row_absmax(x, n) / 127.5f;
    const vf divisor = vf_set(scale > 0.0f ? scale : INFINITY); /* all codes 0 */
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        _mm_storeu_si128((__m128i *)(q + i), codes_of(vf_load(x + i), divisor));
    if (i < n)
        _mm_mask_storeu_epi8(q + i, vf_mask(n - i), codes_of(vf_load_n(x + i, n - i), divisor));
    return scale;
}
