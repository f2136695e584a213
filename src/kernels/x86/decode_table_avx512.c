/*
 * Codes that choose from a table, as f32: AVX-512. Four bits choose among the 16 values of a vector;
 * 8-bit floats as in decode_table_avx2.c.
 */
#include <immintrin.h>

#include "kernels/simd/decode.h"
#include "kernels/variants.h"

static inline __mmask16 first_n(int64_t n)
{
    return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffffu);
}

static inline void run_t4(float *dst, const struct codes *codes, int64_t k, int64_t n,
                          const float *table, float scale, int high_first)
{
    const __m512 values = _mm512_mul_ps(_mm512_loadu_ps(table), _mm512_set1_ps(scale));
    const __m512i shift = _mm512_set1_epi64(high_first ? 4 : 4LL << 32);
    int64_t i = 0;

    if (k % 2 && n > 0)
        dst[i++] = table[nibble_get(codes, k, high_first)] * scale;
    for (; i < n; i += 16) {
        const __mmask16 bytes = first_n(n - i < 16 ? (n - i + 1) / 2 : 8);
        const __m128i in = _mm_maskz_loadu_epi8(bytes, codes->row + (k + i) / 2);
        const __m512i wide = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(in, in));
        const __m512i code = _mm512_srlv_epi32(wide, shift); /* the choice looks at 4 bits only */
        _mm512_mask_storeu_ps(dst + i, first_n(n - i), _mm512_permutexvar_ps(code, values));
    }
}

static inline void run_f8(float *dst, const struct codes *codes, int64_t k, int64_t n,
                          const float *table, float scale, int high_first)
{
    const __m512i all = _mm512_set1_epi32(0x7f);
    (void)table, (void)high_first;

    for (int64_t i = 0; i < n; i += 16) {
        const __m512i in =
            _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_n(n - i), codes->row + k + i));
        const __m512i magnitude = _mm512_and_si512(in, all);
        const __m512i sign = _mm512_slli_epi32(_mm512_andnot_si512(all, in), 24);
        const __mmask16 nan = _mm512_cmpeq_epi32_mask(magnitude, all);
        const __m512 value = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(magnitude, 20)),
                                           _mm512_set1_ps(0x1p120f));
        const __m512i bits = _mm512_or_si512(_mm512_castps_si512(value), sign);
        const __m512i number = _mm512_mask_mov_epi32(bits, nan, _mm512_set1_epi32(-1));
        _mm512_mask_storeu_ps(dst + i, first_n(n - i),
                              _mm512_mul_ps(_mm512_castsi512_ps(number), _mm512_set1_ps(scale)));
    }
}

void gram_decode_t4__avx512(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n)
{
    decode_table_groups(dst, w, row, k0, n, 4, run_t4);
}

void gram_decode_f8__avx512(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n)
{
    decode_table_groups(dst, w, row, k0, n, 8, run_f8);
}
