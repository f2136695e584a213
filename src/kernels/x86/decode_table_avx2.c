/*
 * Codes that choose from a table, as f32: AVX2. Four bits choose between two vectors of eight values;
 * 8-bit floats are moved to where f32 has its exponent and scaled by a power of two, which also makes
 * subnormals right.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels/simd/decode.h"
#include "kernels/variants.h"

/* n bytes, at most 8, in the low half. */
static inline __m128i load_bytes(const uint8_t *in, int64_t n)
{
    uint8_t padded[8] = {0};
    if (n >= 8)
        return _mm_loadl_epi64((const __m128i *)in);
    if (n == 4)
        return _mm_loadu_si32(in);
    memcpy(padded, in, (size_t)n);
    return _mm_loadl_epi64((const __m128i *)padded);
}

static inline void store_n(float *dst, __m256 values, int64_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    if (n >= 8)
        _mm256_storeu_ps(dst, values);
    else
        _mm256_maskstore_ps(dst, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane), values);
}

static inline void run_t4(float *dst, const struct codes *codes, int64_t k, int64_t n,
                          const float *table, float scale, int high_first)
{
    const __m256 low = _mm256_mul_ps(_mm256_loadu_ps(table), _mm256_set1_ps(scale));
    const __m256 high = _mm256_mul_ps(_mm256_loadu_ps(table + 8), _mm256_set1_ps(scale));
    const __m256i shift = high_first ? _mm256_setr_epi32(4, 0, 4, 0, 4, 0, 4, 0)
                                     : _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4);
    int64_t i = 0;

    if (k % 2 && n > 0)
        dst[i++] = table[nibble_get(codes, k, high_first)] * scale;
    for (; i < n; i += 8) {
        const int64_t bytes = n - i < 8 ? (n - i + 1) / 2 : 4;
        const __m128i in = load_bytes(codes->row + (k + i) / 2, bytes);
        const __m256i wide = _mm256_cvtepu8_epi32(_mm_unpacklo_epi8(in, in));
        const __m256i code = _mm256_srlv_epi32(wide, shift);
        const __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32(code, 28)); /* bit 3 as sign */
        store_n(dst + i,
                _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, code),
                                 _mm256_permutevar8x32_ps(high, code), is_high),
                n - i);
    }
}

static inline void run_f8(float *dst, const struct codes *codes, int64_t k, int64_t n,
                          const float *table, float scale, int high_first)
{
    const __m256i all = _mm256_set1_epi32(0x7f);
    (void)table, (void)high_first;

    for (int64_t i = 0; i < n; i += 8) {
        const __m256i in = _mm256_cvtepu8_epi32(load_bytes(codes->row + k + i, n - i));
        const __m256i magnitude = _mm256_and_si256(in, all);
        const __m256i sign = _mm256_slli_epi32(_mm256_andnot_si256(all, in), 24);
        const __m256i nan = _mm256_cmpeq_epi32(magnitude, all);
        const __m256 value = _mm256_mul_ps(_mm256_castsi256_ps(_mm256_slli_epi32(magnitude, 20)),
                                           _mm256_set1_ps(0x1p120f));
        const __m256i bits =
            _mm256_or_si256(_mm256_castps_si256(value), _mm256_or_si256(sign, nan));
        store_n(dst + i, _mm256_mul_ps(_mm256_castsi256_ps(bits), _mm256_set1_ps(scale)), n - i);
    }
}

void gram_decode_t4__avx2(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_table_groups(dst, w, row, k0, n, 4, run_t4);
}

void gram_decode_f8__avx2(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_table_groups(dst, w, row, k0, n, 8, run_f8);
}
