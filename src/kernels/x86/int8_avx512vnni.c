/*
 * Products of int8 rows: AVX-512 VNNI. vpdpbusd takes unsigned by signed bytes, so the weights are
 * shifted by 128: sum x w = sum x (w + 128) - 128 sum x, and sum x is found once per row of x.
 */
#include <immintrin.h>

#include "kernels/simd/inline.h"
#include "kernels/variants.h"

static inline __mmask64 first_n(int64_t n)
{
    return n < 64 ? (1ull << n) - 1 : ~0ull;
}

static int32_t sum_of(const int8_t *x, int64_t n)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();

    for (int64_t i = 0; i < n; i += 64)
        sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi8(first_n(n - i), x + i));
    return _mm512_reduce_add_epi32(sum);
}

/* One step of 64 columns, those of the mask: lanes outside are 0 in x, so that w does not matter.
 */
ALWAYS_INLINE void dot_step(__m512i *sum, const int8_t *x, const int8_t *w, int64_t w_stride, int N,
                            __mmask64 mask)
{
    const __m512i shift = _mm512_set1_epi8(-128);
    const __m512i a = _mm512_maskz_loadu_epi8(mask, x);

    UNROLL
    for (int n = 0; n < N; n++) {
        const __m512i b = _mm512_maskz_loadu_epi8(mask, w + n * w_stride);
        sum[n] = _mm512_dpbusd_epi32(sum[n], _mm512_xor_si512(b, shift), a);
    }
}

/* out[n] = x . w[n] for n < N, a constant; excess is 128 sum x */
ALWAYS_INLINE void dot_block(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride,
                             int N, int64_t K, int32_t excess)
{
    __m512i sum[8];
    int64_t k = 0;

    UNROLL
    for (int n = 0; n < N; n++)
        sum[n] = _mm512_setzero_si512();
    for (; k + 64 <= K; k += 64)
        dot_step(sum, x + k, w + k, w_stride, N, ~0ull);
    if (k < K)
        dot_step(sum, x + k, w + k, w_stride, N, first_n(K - k));
    UNROLL
    for (int n = 0; n < N; n++)
        out[n] = (int32_t)((uint32_t)_mm512_reduce_add_epi32(sum[n]) - (uint32_t)excess);
}

void gram_dot_i8__avx512vnni(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride,
                             int64_t N, int64_t K)
{
    const int32_t excess = 128 * sum_of(x, K);
    int64_t n = 0;

    for (; n + 8 <= N; n += 8)
        dot_block(out + n, x, w + n * w_stride, w_stride, 8, K, excess);
    for (; n < N; n++)
        dot_block(out + n, x, w + n * w_stride, w_stride, 1, K, excess);
}
