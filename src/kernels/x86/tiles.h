/*
 * Tiles of AMX: eight registers of 16 rows by 64 bytes, and one instruction that multiplies two of them.
 *
 *     sums 16 x 16 int32  +=  left 16 x 64 bytes  *  right 64 inputs x 16 outputs
 *
 *     left:   row t:   inputs k .. k + 63 of row t of activations
 *     right:  row q:   | o0: k k+1 k+2 k+3 | o1: k k+1 k+2 k+3 | ... | o15: k k+1 k+2 k+3 |    k = 4q
 *
 * A row of the right one is a quad of a panel (int_layout.h), so that 16 neighbouring quads are a tile as
 * they lie. Here 0 to 3 are sums, 4 and 5 left, 6 and 7 right ones. Narrower steps (groups of 32) have
 * shorter rows on the left, fewer on the right.
 */
#ifndef GRAM_KERNELS_X86_TILES_H
#define GRAM_KERNELS_X86_TILES_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/panels.h"

enum { TILE_ROWS = 16, TILE_STEP = 64 /* inputs */, TILE_BYTES = TILE_ROWS * TILE_STEP };

/* Between stores and the tiles that load them: gcc does not know that those read memory. */
#define TILES_SEE(at) __asm__ volatile("" ::"r"(at) : "memory")

/* What the processor reads to set up its tiles. */
struct tile_shapes {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* For steps of so many inputs, a multiple of 4. Ends with _tile_release(). */
static inline void tiles_begin(int64_t inputs)
{
    struct tile_shapes shapes = {.palette = 1};

    for (int i = 0; i < 8; i++) {
        shapes.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? inputs : 64);
        shapes.rows[i] = (uint8_t)(i >= 6 ? inputs / 4 : TILE_ROWS);
    }
    TILES_SEE(&shapes);
    _tile_loadconfig(&shapes);
}

/* Before a loop over the rows of a tile. */
#ifdef __clang__
#define UNROLL_ROWS _Pragma("clang loop unroll(full)")
#else
#define UNROLL_ROWS _Pragma("GCC unroll 16")
#endif

#endif
