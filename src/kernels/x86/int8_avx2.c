/* Activations as int8: AVX2. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels/simd/vec_avx2.h"
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
static inline __m256i codes_of(vf x, vf scale)
{
    const vf code = vf_max(vf_div(x, scale), vf_set(-128.0f));
    return _mm256_cvtps_epi32(_mm256_min_ps(code, vf_set(127.0f)));
}

/* 8 codes as bytes in the low half. */
static inline __m128i pack_8(__m256i codes)
{
    const __m128i low = _mm256_castsi256_si128(codes), high = _mm256_extracti128_si256(codes, 1);
    const __m128i words = _mm_packs_epi32(low, high);
    return _mm_packs_epi16(words, words);
}

float gram_quantize_i8__avx2(int8_t *q, const float *x, int64_t n)
{
    const float scale = row_absmax(x, n) / 127.5f;
    const vf divisor = vf_set(scale > 0.0f ? scale : INFINITY); /* all codes 0 */
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        _mm_storel_epi64((__m128i *)(q + i), pack_8(codes_of(vf_load(x + i), divisor)));
    if (i < n) {
        int8_t last[16];
        _mm_storeu_si128((__m128i *)last, pack_8(codes_of(vf_load_n(x + i, n - i), divisor)));
        memcpy(q + i, last, (size_t)(n - i));
    }
    return scale;
}
