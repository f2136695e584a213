/*
 * A quad of a panel, AVX2: two registers of 8 outputs. vpmaddubsw adds pairs of unsigned by signed
 * products in 16 bits, which saturates for codes above 127 only: bytes are widened instead.
 */
#ifndef GRAM_KERNELS_SIMD_QUAD_AVX2_H
#define GRAM_KERNELS_SIMD_QUAD_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernels/int_layout.h"
#include "kernels/simd/inline.h"

typedef struct {
    __m256i half[2];
} vq; /* codes of four inputs of 16 outputs, or 16 sums */
typedef struct {
    __m256 half[2];
} vqf;              /* 16 floats */
typedef __m256i vx; /* four activations, for every output */
typedef __m256i vt; /* bytes that 4 bits choose */

enum {
    INT_PANELS = 1, /* of a block of sums: with 4 tokens 8 registers, 2 for codes, 1 for vx */
    INT_TOKENS = 4,
    INT_BYTES_DIFFER = 1, /* bytes are multiplied in another way than narrower codes */
    INT_BYTES_LIE_READY = 1, /* are bytes multiplied as they are stored? */
    INT_TABLE_HIGH = -128, /* where sums of the high bytes of a table begin, */
    INT_TABLE_LOW = 0,     /* ... and of the low ones, times the sum of the activations */
    INT_CHAINS = 4        /* sums that hide the time of an addition */
};

/* Nothing to be told to the compiler. */
#define HOLD(sum) ((void)(sum))

#define FOR_HALVES UNROLL for (int h = 0; h < 2; h++)

ALWAYS_INLINE vq vq_zero(void)
{
    return (vq){{_mm256_setzero_si256(), _mm256_setzero_si256()}};
}

ALWAYS_INLINE vq vq_load(const void *p)
{
    return (vq){{_mm256_load_si256(p), _mm256_load_si256((const __m256i *)p + 1)}};
}

ALWAYS_INLINE void vq_store(void *p, vq v)
{
    FOR_HALVES
    _mm256_store_si256((__m256i *)p + h, v.half[h]);
}

ALWAYS_INLINE vq vq_set(int32_t value)
{
    return (vq){{_mm256_set1_epi32(value), _mm256_set1_epi32(value)}};
}

ALWAYS_INLINE vq vq_add(vq a, vq b)
{
    FOR_HALVES
    a.half[h] = _mm256_add_epi32(a.half[h], b.half[h]);
    return a;
}

/* Eight outputs of quad j of a unit whose high vector is at `high`. bits and j are constants. */
ALWAYS_INLINE __m256i half_codes(const uint8_t *low, const uint8_t *high, int bits, int j)
{
    const int low_bits = gram_low_bits(bits), high_bits = gram_high_bits(bits);
    const int down = j * low_bits % 8, up = low_bits - j * high_bits;
    __m256i codes = _mm256_load_si256((const void *)(low + j * low_bits / 8 * GRAM_QUAD_BYTES));

    if (down > 0)
        codes = _mm256_srli_epi16(codes, down);
    if (low_bits < 8)
        codes = _mm256_and_si256(codes, _mm256_set1_epi8((char)((1 << low_bits) - 1)));
    if (high_bits > 0) {
        const __m256i mask = _mm256_set1_epi8((char)(((1 << high_bits) - 1) << low_bits));
        __m256i top = _mm256_load_si256((const void *)high);
        if (up > 0)
            top = _mm256_slli_epi16(top, up);
        if (up < 0)
            top = _mm256_srli_epi16(top, -up);
        codes = _mm256_or_si256(codes, _mm256_and_si256(top, mask));
    }
    return codes;
}

ALWAYS_INLINE vq vq_codes(const uint8_t *low, const uint8_t *high, int bits, int j)
{
    return (vq){{half_codes(low, high, bits, j), half_codes(low + 32, high + 32, bits, j)}};
}

ALWAYS_INLINE vt vt_load(const uint8_t *bytes)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)bytes));
}

ALWAYS_INLINE vq vq_choose(vt table, vq codes)
{
    FOR_HALVES
    codes.half[h] = _mm256_shuffle_epi8(table, codes.half[h]);
    return codes;
}

ALWAYS_INLINE vq vq_times_256(vq v)
{
    FOR_HALVES
    v.half[h] = _mm256_slli_epi32(v.half[h], 8);
    return v;
}

ALWAYS_INLINE vx vx_load(const int8_t *x)
{
    int32_t quad;
    memcpy(&quad, x, sizeof quad);
    return _mm256_set1_epi32(quad);
}

/* Products of the even and of the odd bytes of four codes, in words. */
ALWAYS_INLINE __m256i dot_bytes(__m256i codes, vx x)
{
    const __m256i even = _mm256_and_si256(codes, _mm256_set1_epi16(0xff));
    const __m256i odd = _mm256_srli_epi16(codes, 8);
    const __m256i x_even = _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
    const __m256i x_odd = _mm256_srai_epi16(x, 8);
    return _mm256_add_epi32(_mm256_madd_epi16(even, x_even), _mm256_madd_epi16(odd, x_odd));
}

ALWAYS_INLINE __m256i dot_narrow(__m256i codes, vx x)
{
    return _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), _mm256_set1_epi16(1));
}

/* sum + codes x */
ALWAYS_INLINE vq vq_dot(vq sum, vq codes, vx x, int bits)
{
    FOR_HALVES
    {
        const __m256i dot = bits == 8 ? dot_bytes(codes.half[h], x) : dot_narrow(codes.half[h], x);
        sum.half[h] = _mm256_add_epi32(sum.half[h], dot);
    }
    return sum;
}

/* What stands for zero in codes without offsets. */
ALWAYS_INLINE int vq_middle(int bits)
{
    return 1 << (bits - 1);
}

/* What an output subtracts for every unit of its activations' sum, negated. */
ALWAYS_INLINE vq vq_minus_offsets(const struct gram_int_panels *w, int64_t at)
{
    vq minus = {
        {_mm256_set1_epi32(-(1 << (w->bits - 1))), _mm256_set1_epi32(-(1 << (w->bits - 1)))}};
    if (!w->offsets)
        return minus;
    FOR_HALVES
    {
        const __m128i bytes = _mm_loadl_epi64((const void *)(w->offsets + at + 8 * h));
        minus.half[h] = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_cvtepu8_epi32(bytes));
    }
    return minus;
}

/* minus_offsets * x_sum; a narrow x_sum fits 16 bits, so that one multiplication of words does. */
ALWAYS_INLINE vq vq_start(vq minus_offsets, int32_t x_sum, bool is_narrow)
{
    const __m256i factor = _mm256_set1_epi32(is_narrow ? x_sum & 0xffff : x_sum);
    FOR_HALVES
    minus_offsets.half[h] = is_narrow ? _mm256_madd_epi16(minus_offsets.half[h], factor)
                                      : _mm256_mullo_epi32(minus_offsets.half[h], factor);
    return minus_offsets;
}

ALWAYS_INLINE vqf vqf_zero(void)
{
    return (vqf){{_mm256_setzero_ps(), _mm256_setzero_ps()}};
}

ALWAYS_INLINE vqf vqf_load(const float *p)
{
    return (vqf){{_mm256_load_ps(p), _mm256_load_ps(p + 8)}};
}

ALWAYS_INLINE void vqf_store(float *p, vqf v)
{
    FOR_HALVES
    _mm256_store_ps(p + 8 * h, v.half[h]);
}

/* The first n lanes, anywhere. */
ALWAYS_INLINE void vqf_store_n(float *p, vqf v, int64_t n)
{
    _Alignas(32) float lanes[GRAM_PANEL];
    vqf_store(lanes, v);
    memcpy(p, lanes, (size_t)(n < GRAM_PANEL ? n : GRAM_PANEL) * sizeof *p);
}

ALWAYS_INLINE vqf vqf_scales(const struct gram_int_panels *w, int64_t at)
{
    vqf scales;
    if (w->scale_dtype == GRAM_F32) {
        FOR_HALVES
        scales.half[h] = _mm256_loadu_ps((const float *)w->scales + at + 8 * h);
        return scales;
    }
    FOR_HALVES
    {
        const __m128i bits =
            _mm_loadu_si128((const void *)((const uint16_t *)w->scales + at + 8 * h));
        scales.half[h] =
            w->scale_dtype == GRAM_F16
                ? _mm256_cvtph_ps(bits)
                : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
    }
    return scales;
}

ALWAYS_INLINE vqf vqf_add(vqf a, vqf b)
{
    FOR_HALVES
    a.half[h] = _mm256_add_ps(a.half[h], b.half[h]);
    return a;
}

/* fma((float)sum, w_scale * x_scale, out) */
ALWAYS_INLINE vqf vqf_add_group(vqf out, vq sum, vqf w_scale, float x_scale)
{
    FOR_HALVES
    {
        const __m256 scale = _mm256_mul_ps(w_scale.half[h], _mm256_set1_ps(x_scale));
        const __m256 dot = _mm256_cvtepi32_ps(sum.half[h]);
        out.half[h] = _mm256_fmadd_ps(dot, scale, out.half[h]);
    }
    return out;
}

#endif
