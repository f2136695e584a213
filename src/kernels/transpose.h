/*
 * Sixteen rows turned into columns, in vectors of 16 bytes, which every processor has: panels are made
 * of this. Interleaving row r with row r + 8 moves the highest bit of a row's number below the bits of
 * the column's number; after four rounds all of them are there, in order.
 */
#ifndef GRAM_KERNELS_TRANSPOSE_H
#define GRAM_KERNELS_TRANSPOSE_H

#include <stdint.h>
#include <string.h>

#include "kernels/panels.h"
#include "kernels/simd/inline.h"

typedef uint16_t gram_u16x8 __attribute__((vector_size(16)));
typedef uint32_t gram_u32x4 __attribute__((vector_size(16)));

#define LOW_16(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_16(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_32(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH_32(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)

/* to[c][r] = from[r][c]: 16 bytes of each of 16 rows, `stride` bytes from one to the next. */
#define DEFINE_TRANSPOSE(bits, vector)                                                             \
    ALWAYS_INLINE void gram_transpose_##bits(void *to, const void *from, int64_t stride)           \
    {                                                                                              \
        vector a[GRAM_PANEL], b[GRAM_PANEL];                                                       \
        for (int r = 0; r < GRAM_PANEL; r++)                                                       \
            memcpy(&a[r], (const char *)from + r * stride, sizeof a[r]);                           \
        for (int round = 0; round < 2; round++) {                                                  \
            for (int r = 0; r < GRAM_PANEL / 2; r++) {                                             \
                b[2 * r] = LOW_##bits(a[r], a[r + GRAM_PANEL / 2]);                                \
                b[2 * r + 1] = HIGH_##bits(a[r], a[r + GRAM_PANEL / 2]);                           \
            }                                                                                      \
            for (int r = 0; r < GRAM_PANEL / 2; r++) {                                             \
                a[2 * r] = LOW_##bits(b[r], b[r + GRAM_PANEL / 2]);                                \
                a[2 * r + 1] = HIGH_##bits(b[r], b[r + GRAM_PANEL / 2]);                           \
            }                                                                                      \
        }                                                                                          \
        memcpy(to, a, sizeof a);                                                                   \
    }

DEFINE_TRANSPOSE(16, gram_u16x8)
DEFINE_TRANSPOSE(32, gram_u32x4)

#endif
