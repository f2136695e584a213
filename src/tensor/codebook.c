/*
 * The tables, and the nearest value in each. Four-bit codes are found as bitsandbytes finds them
 * (backends/default/ops.py): the weight times the reciprocal of the scale, held against the midpoints
 * between neighbours; one that lies on a midpoint takes the lower value.
 */
#include "tensor/codebook.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/half.h"

enum { N4 = 16 };

static inline float clamp(float value, float most)
{
    value = value < -most ? -most : value;
    return value > most ? most : value;
}

/* 16 values in ascending order, and the code of each. */
struct ladder {
    float values[N4];
    uint8_t codes[N4];
};

static void encode_4(uint8_t *codes, const float *x, int64_t n, float scale,
                     const struct ladder *ladder)
{
    const float inverse = 1.0f / (scale > 1e-38f ? scale : 1e-38f);
    float middle[N4 - 1];

    for (int j = 0; j < N4 - 1; j++)
        middle[j] = (ladder->values[j] + ladder->values[j + 1]) / 2;
    for (int64_t i = 0; i < n; i++) {
        const float scaled = clamp(x[i] * inverse, 1.0f);
        int rank = 0;
        for (int j = 0; j < N4 - 1; j++)
            rank += scaled > middle[j];
        codes[i] = ladder->codes[rank];
    }
}

/* ---- nf4 ---- */

#define NF4                                                                                        \
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,                      \
        -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,                 \
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,    \
        0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f

static const float nf4_values[N4] = {NF4};
static const struct ladder nf4_ladder = {
    {NF4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

static void encode_nf4(uint8_t *codes, const float *x, int64_t n, float scale)
{
    encode_4(codes, x, n, scale, &nf4_ladder);
}

/* ---- fp4: 3 bits of magnitude, of a meaning that only a table can tell ---- */

#define TWELFTHS(a, b, c, d, e, f, g, h)                                                           \
    a / 12.0f, b / 12.0f, c / 12.0f, d / 12.0f, e / 12.0f, f / 12.0f, g / 12.0f, h / 12.0f

static const float fp4_values[N4] = {TWELFTHS(0, 0.0625f, 8, 12, 4, 6, 2, 3),
                                     TWELFTHS(0, -0.0625f, -8, -12, -4, -6, -2, -3)};
static const struct ladder fp4_ladder = {
    {TWELFTHS(-12, -8, -6, -4, -3, -2, -0.0625f, 0), TWELFTHS(0, 0.0625f, 2, 3, 4, 6, 8, 12)},
    {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3}};

static void encode_fp4(uint8_t *codes, const float *x, int64_t n, float scale)
{
    encode_4(codes, x, n, scale, &fp4_ladder);
}

/* ---- e2m1 ---- */

static const float e2m1_values[N4] = {TWELFTHS(0, 1, 2, 3, 4, 6, 8, 12),
                                      TWELFTHS(-0.0f, -1, -2, -3, -4, -6, -8, -12)};
static const struct ladder e2m1_ladder = {
    {TWELFTHS(-12, -8, -6, -4, -3, -2, -1, 0), TWELFTHS(0, 1, 2, 3, 4, 6, 8, 12)},
    {15, 14, 13, 12, 11, 10, 9, 0, 0, 1, 2, 3, 4, 5, 6, 7}};

static void encode_e2m1(uint8_t *codes, const float *x, int64_t n, float scale)
{
    encode_4(codes, x, n, scale, &e2m1_ladder);
}

/* ---- e4m3 ---- */

/* Sign, 4 bits of exponent (bias 7), 3 of mantissa; 0x7f and 0xff are not numbers. */
#define MANTISSA(c)  ((c)&0x78 ? 8 + ((c)&7) : (c)&7)
#define EXPONENT(c)  ((c)&0x78 ? ((c) >> 3 & 15) - 1 : 0)
#define MAGNITUDE(c) ((float)(MANTISSA(c) << EXPONENT(c)) / 512.0f)
#define NUMBER(c)    (((c)&0x7f) == 0x7f ? NAN : MAGNITUDE((c)&0x7f))
#define E4M3(c)      ((c)&0x80 ? -NUMBER(c) : NUMBER(c))
#define E4M3_2(c)    E4M3(c), E4M3((c) + 1)
#define E4M3_8(c)    E4M3_2(c), E4M3_2((c) + 2), E4M3_2((c) + 4), E4M3_2((c) + 6)
#define E4M3_32(c)   E4M3_8(c), E4M3_8((c) + 8), E4M3_8((c) + 16), E4M3_8((c) + 24)
#define E4M3_128(c)  E4M3_32(c), E4M3_32((c) + 32), E4M3_32((c) + 64), E4M3_32((c) + 96)

static const float e4m3_values[256] = {E4M3_128(0), E4M3_128(128)};

static void encode_e4m3(uint8_t *codes, const float *x, int64_t n, float scale)
{
    for (int64_t i = 0; i < n; i++)
        codes[i] = gram_e4m3_from_f32(clamp(x[i] / scale, 448.0f));
}

/* ---- int8v ---- */

static void encode_int8v(uint8_t *codes, const float *x, int64_t n, float scale)
{
    const float round_magic = 12582912.0f; /* 1.5 * 2^23 */
    const float steps = scale > 0.0f ? 1.0f / scale * 127.0f : 0.0f; /* as torch divides a number */

    for (int64_t i = 0; i < n; i++) {
        const float code = clamp(x[i] * steps, 127.0f) + round_magic;
        codes[i] = (uint8_t)(gram_f32_bits(code) + 128);
    }
}

/* ---- the registry ---- */

const struct gram_codebook gram_nf4 = {"nf4", 4, 1, true, nf4_values, encode_nf4};
const struct gram_codebook gram_fp4 = {"fp4", 4, 1, true, fp4_values, encode_fp4};
const struct gram_codebook gram_e2m1 = {"e2m1", 4, 1, true, e2m1_values, encode_e2m1};
const struct gram_codebook gram_e4m3 = {"e4m3", 8, 448, false, e4m3_values, encode_e4m3};
const struct gram_codebook gram_int8v = {"int8v", 8, 1, true, NULL, encode_int8v};

static const struct gram_codebook *const books[] = {&gram_nf4, &gram_fp4, &gram_e2m1, &gram_e4m3,
                                                    &gram_int8v};

const struct gram_codebook *gram_codebook_find(const char *name)
{
    for (size_t i = 0; i < sizeof books / sizeof books[0]; i++) {
        if (strcmp(books[i]->name, name) == 0)
            return books[i];
    }
    return NULL;
}

float gram_codebook_value(const struct gram_codebook *book, uint8_t c, float scale)
{
    return book->values ? book->values[c] * scale : (float)(c - 128) * (scale / 127.0f);
}
