/*
 * A quad of a panel, AVX-512 VNNI: what simd/int_few.h and simd/int_many.h are written in.
 * vpdpbusd multiplies four unsigned codes by four signed activations and adds the products to an
 * int32, for 16 outputs at once.
 */
#ifndef GRAM_KERNELS_SIMD_QUAD_AVX512VNNI_H
#define GRAM_KERNELS_SIMD_QUAD_AVX512VNNI_H

#include <immintrin.h>
#include <string.h>

#include "kernels/int_layout.h"
#include "kernels/simd/inline.h"

typedef __m512i vq; /* codes of four inputs of 16 outputs, or 16 sums */
typedef __m512 vqf; /* 16 floats */
typedef __m512i vx; /* four activations, for every output */
typedef __m512i vt; /* bytes that 4 bits choose */

enum {
    INT_PANELS = 4, /* of a block of sums: with 6 tokens 24 registers, 4 for codes, 1 for vx */
    INT_TOKENS = 6,
    INT_BYTES_DIFFER = 0, /* are bytes multiplied in another way than narrower codes? */
    INT_BYTES_LIE_READY = 1, /* are bytes multiplied as they are stored? */
    INT_TABLE_HIGH = -128, /* where sums of the high bytes of a table begin, */
    INT_TABLE_LOW = 0,     /* ... and of the low ones, times the sum of the activations */
    INT_CHAINS = 8        /* sums that hide the time of an addition */
};

/* The sums are in registers here: left alone, gcc moves them to the stack and back in every turn.
 */
#define HOLD(sum) __asm__("" : "+v"(sum))

ALWAYS_INLINE vq vq_zero(void)
{
    return _mm512_setzero_si512();
}

ALWAYS_INLINE vq vq_load(const void *p)
{
    return _mm512_load_si512(p);
}

ALWAYS_INLINE void vq_store(void *p, vq v)
{
    _mm512_store_si512(p, v);
}

ALWAYS_INLINE vq vq_set(int32_t value)
{
    return _mm512_set1_epi32(value);
}

ALWAYS_INLINE vq vq_add(vq a, vq b)
{
    return _mm512_add_epi32(a, b);
}

/* Codes of quad j of a unit whose high vector is at `high`. bits and j are constants. */
ALWAYS_INLINE vq vq_codes(const uint8_t *low, const uint8_t *high, int bits, int j)
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
        if (up > 0)
            top = _mm512_slli_epi16(top, (unsigned)up);
        if (up < 0)
            top = _mm512_srli_epi16(top, (unsigned)-up);
        codes = _mm512_ternarylogic_epi32(codes, top, mask, 0xf8); /* codes | (top & mask) */
    }
    return codes;
}

ALWAYS_INLINE vt vt_load(const uint8_t *bytes)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)bytes));
}

ALWAYS_INLINE vq vq_choose(vt table, vq codes)
{
    return _mm512_shuffle_epi8(table, codes);
}

ALWAYS_INLINE vq vq_times_256(vq v)
{
    return _mm512_slli_epi32(v, 8);
}

ALWAYS_INLINE vx vx_load(const int8_t *x)
{
    int32_t quad;
    memcpy(&quad, x, sizeof quad);
    return _mm512_set1_epi32(quad);
}

/* sum + codes x */
ALWAYS_INLINE vq vq_dot(vq sum, vq codes, vx x, int bits)
{
    (void)bits;
    return _mm512_dpbusd_epi32(sum, codes, x);
}

/* What stands for zero in codes without offsets. */
ALWAYS_INLINE int vq_middle(int bits)
{
    return 1 << (bits - 1);
}

/* What an output subtracts for every unit of its activations' sum, negated. */
ALWAYS_INLINE vq vq_minus_offsets(const struct gram_int_panels *w, int64_t at)
{
    if (!w->offsets)
        return _mm512_set1_epi32(-(1 << (w->bits - 1)));
    const __m512i offsets =
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(w->offsets + at)));
    return _mm512_sub_epi32(_mm512_setzero_si512(), offsets);
}

/* minus_offsets * x_sum; a narrow x_sum fits 16 bits, so that one multiplication of words does. */
ALWAYS_INLINE vq vq_start(vq minus_offsets, int32_t x_sum, bool is_narrow)
{
    if (is_narrow)
        return _mm512_madd_epi16(minus_offsets, _mm512_set1_epi32(x_sum & 0xffff));
    return _mm512_mullo_epi32(minus_offsets, _mm512_set1_epi32(x_sum));
}

ALWAYS_INLINE vqf vqf_zero(void)
{
    return _mm512_setzero_ps();
}

ALWAYS_INLINE vqf vqf_load(const float *p)
{
    return _mm512_load_ps(p);
}

ALWAYS_INLINE void vqf_store(float *p, vqf v)
{
    _mm512_store_ps(p, v);
}

/* The first n lanes, anywhere. */
ALWAYS_INLINE void vqf_store_n(float *p, vqf v, int64_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)(n < GRAM_PANEL ? (1u << n) - 1 : 0xffffu), v);
}

ALWAYS_INLINE vqf vqf_scales(const struct gram_int_panels *w, int64_t at)
{
    if (w->scale_dtype == GRAM_F32)
        return _mm512_loadu_ps((const float *)w->scales + at);
    const __m256i half = _mm256_loadu_si256((const __m256i *)((const uint16_t *)w->scales + at));
    return w->scale_dtype == GRAM_F16
               ? _mm512_cvtph_ps(half)
               : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

ALWAYS_INLINE vqf vqf_add(vqf a, vqf b)
{
    return _mm512_add_ps(a, b);
}

/* fma((float)sum, w_scale * x_scale, out) */
ALWAYS_INLINE vqf vqf_add_group(vqf out, vq sum, vqf w_scale, float x_scale)
{
    const __m512 scale = _mm512_mul_ps(w_scale, _mm512_set1_ps(x_scale));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, out);
}

#endif
