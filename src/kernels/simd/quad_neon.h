/*
 * A quad of a panel, aarch64: four registers of 4 outputs, with the dot product of four signed
 * bytes where the level has it. Codes of 8 bits become signed, 128 less; narrower ones are as they
 * are.
 */
#ifndef GRAM_KERNELS_SIMD_QUAD_NEON_H
#define GRAM_KERNELS_SIMD_QUAD_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "kernels/int_layout.h"
#include "kernels/simd/inline.h"

typedef struct {
    int32x4_t part[4];
} vq; /* codes of four inputs of 16 outputs, or 16 sums */
typedef struct {
    float32x4_t part[4];
} vqf;                /* 16 floats */
typedef int8x16_t vx; /* four activations, for every output */
typedef uint8x16_t vt; /* bytes that 4 bits choose */

enum {
    INT_PANELS = 1,
#ifdef __ARM_FEATURE_DOTPROD
    INT_TOKENS = 6, /* 24 registers of sums, 4 for codes, 1 for vx */
#else
    INT_TOKENS = 4, /* 16 registers of sums, 4 for codes, 1 for vx, 4 for products */
#endif
    INT_BYTES_DIFFER = 1,
    INT_BYTES_LIE_READY = 0, /* are bytes multiplied as they are stored? */
    INT_TABLE_HIGH = 0,  /* where sums of the high bytes of a table begin, */
    INT_TABLE_LOW = 128, /* ... and of the low ones, times the sum of the activations */
    INT_CHAINS = 4
};

/* Nothing to be told to the compiler. */
#define HOLD(sum) ((void)(sum))

#define FOR_PARTS UNROLL for (int i = 0; i < 4; i++)

ALWAYS_INLINE vq vq_load(const void *p)
{
    vq v;
    FOR_PARTS
    v.part[i] = vld1q_s32((const int32_t *)p + 4 * i);
    return v;
}

ALWAYS_INLINE void vq_store(void *p, vq v)
{
    FOR_PARTS
    vst1q_s32((int32_t *)p + 4 * i, v.part[i]);
}

ALWAYS_INLINE vq vq_zero(void)
{
    return (vq){{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}};
}

ALWAYS_INLINE vq vq_set(int32_t value)
{
    const int32x4_t part = vdupq_n_s32(value);
    return (vq){{part, part, part, part}};
}

ALWAYS_INLINE vq vq_add(vq a, vq b)
{
    FOR_PARTS
    a.part[i] = vaddq_s32(a.part[i], b.part[i]);
    return a;
}

/* Four outputs of quad j of a unit whose high vector is at `high`. bits and j are constants. */
ALWAYS_INLINE uint8x16_t part_codes(const uint8_t *low, const uint8_t *high, int bits, int j)
{
    const int low_bits = gram_low_bits(bits), high_bits = gram_high_bits(bits);
    uint8x16_t codes = vld1q_u8(low + j * low_bits / 8 * GRAM_QUAD_BYTES);

    if (bits == 8)
        return veorq_u8(codes, vdupq_n_u8(0x80));
    codes = vshlq_u8(codes, vdupq_n_s8((int8_t) - (j * low_bits % 8)));
    codes = vandq_u8(codes, vdupq_n_u8((uint8_t)((1 << low_bits) - 1)));
    if (high_bits > 0) {
        const uint8x16_t mask = vdupq_n_u8((uint8_t)(((1 << high_bits) - 1) << low_bits));
        const int8x16_t up = vdupq_n_s8((int8_t)(low_bits - j * high_bits));
        codes = vorrq_u8(codes, vandq_u8(vshlq_u8(vld1q_u8(high), up), mask));
    }
    return codes;
}

ALWAYS_INLINE vq vq_codes(const uint8_t *low, const uint8_t *high, int bits, int j)
{
    vq v;
    FOR_PARTS
    v.part[i] = vreinterpretq_s32_u8(part_codes(low + 16 * i, high + 16 * i, bits, j));
    return v;
}

ALWAYS_INLINE vt vt_load(const uint8_t *bytes)
{
    return veorq_u8(vld1q_u8(bytes), vdupq_n_u8(0x80));
}

ALWAYS_INLINE vq vq_choose(vt table, vq codes)
{
    FOR_PARTS
    codes.part[i] = vreinterpretq_s32_u8(vqtbl1q_u8(table, vreinterpretq_u8_s32(codes.part[i])));
    return codes;
}

ALWAYS_INLINE vq vq_times_256(vq v)
{
    FOR_PARTS
    v.part[i] = vshlq_n_s32(v.part[i], 8);
    return v;
}

ALWAYS_INLINE vx vx_load(const int8_t *x)
{
    int32_t quad;
    memcpy(&quad, x, sizeof quad);
    return vreinterpretq_s8_s32(vdupq_n_s32(quad));
}

/* sum + the products of four outputs. Two products of -128 by -128 do not fit 16 bits. */
ALWAYS_INLINE int32x4_t part_dot(int32x4_t sum, int8x16_t codes, vx x, int bits)
{
#ifdef __ARM_FEATURE_DOTPROD
    (void)bits;
    return vdotq_s32(sum, codes, x);
#else
    const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(x));
    const int16x8_t high = vmull_high_s8(codes, x);
    if (bits == 8)
        return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
    return vpadalq_s16(sum, vpaddq_s16(low, high));
#endif
}

/* sum + codes x */
ALWAYS_INLINE vq vq_dot(vq sum, vq codes, vx x, int bits)
{
    FOR_PARTS
    sum.part[i] = part_dot(sum.part[i], vreinterpretq_s8_s32(codes.part[i]), x, bits);
    return sum;
}

/* What stands for zero in codes without offsets. */
ALWAYS_INLINE int vq_middle(int bits)
{
    return bits == 8 ? 0 : 1 << (bits - 1);
}

/* What an output subtracts for every unit of its activations' sum, negated. */
ALWAYS_INLINE vq vq_minus_offsets(const struct gram_int_panels *w, int64_t at)
{
    const int less = w->bits == 8 ? 128 : 0;
    int32_t minus[GRAM_PANEL];

    for (int i = 0; i < GRAM_PANEL; i++)
        minus[i] = less - (w->offsets ? w->offsets[at + i] : 1 << (w->bits - 1));
    return vq_load(minus);
}

/* minus_offsets * x_sum */
ALWAYS_INLINE vq vq_start(vq minus_offsets, int32_t x_sum, bool is_narrow)
{
    (void)is_narrow;
    FOR_PARTS
    minus_offsets.part[i] = vmulq_n_s32(minus_offsets.part[i], x_sum);
    return minus_offsets;
}

ALWAYS_INLINE vqf vqf_zero(void)
{
    return (vqf){{vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)}};
}

ALWAYS_INLINE vqf vqf_load(const float *p)
{
    vqf v;
    FOR_PARTS
    v.part[i] = vld1q_f32(p + 4 * i);
    return v;
}

ALWAYS_INLINE void vqf_store(float *p, vqf v)
{
    FOR_PARTS
    vst1q_f32(p + 4 * i, v.part[i]);
}

/* The first n lanes. */
ALWAYS_INLINE void vqf_store_n(float *p, vqf v, int64_t n)
{
    float lanes[GRAM_PANEL];
    vqf_store(lanes, v);
    memcpy(p, lanes, (size_t)(n < GRAM_PANEL ? n : GRAM_PANEL) * sizeof *p);
}

ALWAYS_INLINE vqf vqf_scales(const struct gram_int_panels *w, int64_t at)
{
    vqf v;
    if (w->scale_dtype == GRAM_F32)
        return vqf_load((const float *)w->scales + at);
    FOR_PARTS
    {
        const uint16x4_t half = vld1_u16((const uint16_t *)w->scales + at + 4 * i);
        v.part[i] = w->scale_dtype == GRAM_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(half))
                                               : vreinterpretq_f32_u32(vshll_n_u16(half, 16));
    }
    return v;
}

ALWAYS_INLINE vqf vqf_add(vqf a, vqf b)
{
    FOR_PARTS
    a.part[i] = vaddq_f32(a.part[i], b.part[i]);
    return a;
}

/* fma((float)sum, w_scale * x_scale, out) */
ALWAYS_INLINE vqf vqf_add_group(vqf out, vq sum, vqf w_scale, float x_scale)
{
    FOR_PARTS
    {
        const float32x4_t scale = vmulq_n_f32(w_scale.part[i], x_scale);
        const float32x4_t dot = vcvtq_f32_s32(sum.part[i]);
        out.part[i] = vfmaq_f32(out.part[i], dot, scale);
    }
    return out;
}

#endif
