/*
 * Decoding codes group by group: one run of columns within one group has one scale and one bias, so
 * that value = (float)(code - bias) * scale. A level brings the run; this brings the groups.
 */
#ifndef GRAM_KERNELS_SIMD_DECODE_H
#define GRAM_KERNELS_SIMD_DECODE_H

#include "base/half.h"
#include "kernels/kernels.h"
#include "kernels/simd/inline.h"

/* A row of codes: its first byte, how many there are, and bits per code. */
struct codes {
    const uint8_t *row;
    int64_t bytes;
    int bits;
};

/* dst[i] = value of code k + i, for i < n, n > 0 */
typedef void decode_run_fn(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                           float scale);

static inline const void *weight_row(const struct gram_weight *w, int64_t row)
{
    return (const char *)w->data + row * w->row_bytes;
}

static inline float scale_at(const struct gram_weight *w, int64_t i)
{
    switch (w->scale_dtype) {
    case GRAM_F16:
        return gram_f32_from_f16(((const uint16_t *)w->scales)[i]);
    case GRAM_BF16:
        return gram_f32_from_bf16(((const uint16_t *)w->scales)[i]);
    default:
        return ((const float *)w->scales)[i];
    }
}

/* bits: those of w as a constant, 8 for signed bytes too. */
ALWAYS_INLINE void decode_groups(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                                 int64_t n, int bits, decode_run_fn *run)
{
    const struct codes codes = {weight_row(w, row), (w->cols * bits + 7) / 8, bits};
    const int offset = w->is_signed ? 0 : 1 << (bits - 1);
    int64_t g = k0 / w->group, end = (g + 1) * w->group - k0; /* of the group, counted from k0 */

    for (int64_t i = 0; i < n; end += w->group, g++) {
        const int64_t at = row * w->scale_stride + g;
        const int64_t stop = end < n ? end : n;
        run(dst + i, &codes, k0 + i, stop - i, offset + (w->zeros ? w->zeros[at] : 0),
            scale_at(w, at));
        i = stop;
    }
}

/* The same for codes that choose from a table. */
typedef void decode_table_fn(float *dst, const struct codes *codes, int64_t k, int64_t n,
                             const float *table, float scale, int high_first);

ALWAYS_INLINE void decode_table_groups(float *dst, const struct gram_weight *w, int64_t row,
                                       int64_t k0, int64_t n, int bits, decode_table_fn *run)
{
    const struct codes codes = {weight_row(w, row), (w->cols * bits + 7) / 8, bits};
    int64_t g = k0 / w->group, end = (g + 1) * w->group - k0; /* of the group, counted from k0 */

    for (int64_t i = 0; i < n; end += w->group, g++) {
        const int64_t stop = end < n ? end : n;
        run(dst + i, &codes, k0 + i, stop - i, w->table, scale_at(w, row * w->scale_stride + g),
            w->high_first);
        i = stop;
    }
}

/* Nibble k of the row. */
static inline int nibble_get(const struct codes *codes, int64_t k, int high_first)
{
    return codes->row[k / 2] >> ((k ^ high_first) % 2 * 4) & 15;
}

/* Code k of the row; a stream is little-endian, code 0 in the lowest bits. */
static inline int code_get(const struct codes *codes, int64_t k)
{
    const int64_t bit = k * codes->bits;
    const uint8_t *at = codes->row + bit / 8;
    const int shift = (int)(bit % 8);
    const int high = shift + codes->bits > 8 ? at[1] << 8 : 0;
    return (at[0] | high) >> shift & ((1 << codes->bits) - 1);
}

/* The codes up to the next whole byte, fewer than 8; returns how many. */
static inline int64_t decode_head(float *dst, const struct codes *codes, int64_t k, int64_t n,
                                  int bias, float scale)
{
    int64_t i = 0;
    for (; i < n && (k + i) * codes->bits % 8 != 0; i++)
        dst[i] = (float)(code_get(codes, k + i) - bias) * scale;
    return i;
}

#endif
