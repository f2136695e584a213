/* Activations as int8 and their products with int8 weights: AVX-512 without VNNI. */
#include <immintrin.h>
#include <math.h>

#include "kernels/simd/inline.h"
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

/* 32 products of signed bytes, widened so that nothing saturates, in pairs added to sum. */
static inline __m512i add_products(__m512i sum, __m512i a, __m256i b)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, _mm512_cvtepi8_epi16(b)));
}

/* out[n] = x . w[n] for n < N, a constant */
ALWAYS_INLINE void dot_block(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride,
                             int N, int64_t K)
{
    __m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                      _mm512_setzero_si512()};

    for (int64_t k = 0; k < K; k += 32) {
        const __mmask32 mask = K - k < 32 ? (1u << (K - k)) - 1 : ~0u;
        const __m512i a = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, x + k));
        UNROLL
        for (int n = 0; n < N; n++)
            sum[n] = add_products(sum[n], a, _mm256_maskz_loadu_epi8(mask, w + n * w_stride + k));
    }
    UNROLL
    for (int n = 0; n < N; n++)
        out[n] = _mm512_reduce_add_epi32(sum[n]);
}

void gram_dot_i8__avx512(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride,
                         int64_t N, int64_t K)
{
    int64_t n = 0;

    for (; n + 4 <= N; n += 4)
        dot_block(out + n, x, w + n * w_stride, w_stride, 4, K);
    for (; n < N; n++)
        dot_block(out + n, x, w + n * w_stride, w_stride, 1, K);
}
