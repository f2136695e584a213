/* 16-bit floats as bits; conversions round to nearest even. Neither compiler has both as a type. */
#ifndef GRAM_BASE_HALF_H
#define GRAM_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float gram_f32_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t gram_f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float gram_f32_from_bf16(uint16_t half)
{
    return gram_f32_from_bits((uint32_t)half << 16);
}

static inline uint16_t gram_bf16_from_f32(float value)
{
    const uint32_t bits = gram_f32_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40); /* NaN stays NaN, quiet */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline float gram_f32_from_f16(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t magnitude = half & 0x7fff;

    if (magnitude >= 0x7c00) /* Inf, NaN */
        return gram_f32_from_bits(sign | 0x7f800000u | (magnitude & 0x3ff) << 13);
    if (magnitude < 0x400) { /* zero, subnormal: magnitude * 2^-24, exact in f32 */
        const float value = (float)magnitude * 0x1p-24f;
        return gram_f32_from_bits(sign | gram_f32_bits(value));
    }
    return gram_f32_from_bits(sign | ((magnitude << 13) + 0x38000000u));
}

static inline uint16_t gram_f16_from_f32(float value)
{
    const uint32_t bits = gram_f32_bits(value);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const uint32_t magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000u) /* 65520 and above round to Inf */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000u) { /* below 2^-14: let the f32 adder round to a multiple of 2^-24 */
        const float shifted = gram_f32_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (gram_f32_bits(shifted) - 0x3f000000u));
    }
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13));
}

/* 8-bit floats of OCP, E4M3 without infinities: sign, 4 bits of exponent with bias 7, 3 of mantissa;
 * 0x7f and 0xff are NaN. */
static inline float gram_f32_from_e4m3(uint8_t byte)
{
    const uint32_t sign = (uint32_t)(byte & 0x80) << 24;
    const uint32_t magnitude = byte & 0x7f;

    if (magnitude == 0x7f)
        return gram_f32_from_bits(sign | 0x7fc00000u);
    const float value = gram_f32_from_bits(magnitude << 20) * 0x1p120f; /* exact, subnormals too */
    return gram_f32_from_bits(sign | gram_f32_bits(value));
}

/* Beyond 464, the midpoint to a value that is not there, NaN as PyTorch has it: clamp first. */
static inline uint8_t gram_e4m3_from_f32(float value)
{
    const uint32_t bits = gram_f32_bits(value);
    const uint8_t sign = (uint8_t)(bits >> 24 & 0x80);
    const uint32_t magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x43e80000u) /* 464 */
        return (uint8_t)(sign | 0x7f);
    if (magnitude < 0x3c800000u) { /* below 2^-6: let the f32 adder round to a multiple of 2^-9 */
        const float shifted = gram_f32_from_bits(magnitude) + 16384.0f;
        return (uint8_t)(sign | (gram_f32_bits(shifted) - 0x46800000u));
    }
    return (uint8_t)(sign | ((magnitude - 0x3c000000u + 0x7ffffu + (magnitude >> 20 & 1)) >> 20));
}

#endif
