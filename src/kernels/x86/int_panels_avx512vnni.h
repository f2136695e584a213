/* What the two forms of the integer linear share: codes to vectors of quads, sums to floats. */
#ifndef GRAM_KERNELS_X86_INT_PANELS_AVX512VNNI_H
#define GRAM_KERNELS_X86_INT_PANELS_AVX512VNNI_H

#include <immintrin.h>
#include <string.h>

#include "kernels/int_layout.h"
#include "kernels/simd/inline.h"
#include "kernels/variants.h"

/* Tokens that the form for few of them takes at once. */
enum { INT_FEW_TOKENS = 4 };

/* y for at most INT_FEW_TOKENS rows of acts from t on: weights fall apart in registers. */
void gram_int_linear_few__avx512vnni(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                                     int64_t t, int64_t T, const struct gram_int_panels *w,
                                     int64_t begin, int64_t end);

/* Codes of quad j of a unit whose high vector is at `high`. bits and j are constants. */
ALWAYS_INLINE __m512i quad_codes(const uint8_t *low, const uint8_t *high, int bits, int j)
{
    const int low_bits = gram_low_bits(bits), high_bits = gram_high_bits(bits);
    const int down = j * low_bits % 8, up = low_bits - j * high_bits;
    __m512i codes = _mm512_load_si512(low + j * low_bits / 8 * GRAM_QUAD_BYTES);

    if (down > 0)
        codes = _mm512_srli_epi16(codes, (unsigned)down);
    if (low_bits < 8)
        codes = _mm512_and_si512(codes, _mm512_set1_epi8((char)((1 << low_bits) - 1)));
    if (high_bits > 0) {
        const __m512i mask = _mm512_set1_epi8((char)(((1 << high_bits) - 1) << low_bits));
        __m512i top = _mm512_load_si512(high);
        top = up > 0   ? _mm512_slli_epi16(top, (unsigned)up)
              : up < 0 ? _mm512_srli_epi16(top, (unsigned)-up)
                       : top;
        codes = _mm512_ternarylogic_epi32(codes, top, mask, 0xf8); /* codes | (top & mask) */
    }
    return codes;
}

ALWAYS_INLINE __m512i broadcast_quad(const int8_t *x)
{
    int32_t quad;
    memcpy(&quad, x, sizeof quad);
    return _mm512_set1_epi32(quad);
}

/* Scales of a panel's outputs; `at` counts them from the first panel. */
ALWAYS_INLINE __m512 load_scales(const struct gram_int_panels *w, int64_t at)
{
    if (w->scale_dtype == GRAM_F32)
        return _mm512_loadu_ps((const float *)w->scales + at);
    const __m256i half = _mm256_loadu_si256((const __m256i *)((const uint16_t *)w->scales + at));
    return w->scale_dtype == GRAM_F16
               ? _mm512_cvtph_ps(half)
               : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

ALWAYS_INLINE __m512i load_offsets(const struct gram_int_panels *w, int64_t at)
{
    if (!w->offsets)
        return _mm512_set1_epi32(1 << (w->bits - 1));
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(w->offsets + at)));
}

/* Outputs of a panel that exist. */
ALWAYS_INLINE __mmask16 panel_mask(const struct gram_int_panels *w, int64_t panel)
{
    const int64_t n = w->rows - panel * GRAM_PANEL;
    return (__mmask16)(n < GRAM_PANEL ? (1u << n) - 1 : 0xffffu);
}

/* sum + (float)dot * (w_scale * x_scale), each operation rounded. */
ALWAYS_INLINE __m512 add_group(__m512 sum, __m512i dot, __m512 w_scale, float x_scale)
{
    const __m512 scale = _mm512_mul_ps(w_scale, _mm512_set1_ps(x_scale));
    return _mm512_add_ps(sum, _mm512_mul_ps(_mm512_cvtepi32_ps(dot), scale));
}

#endif
