/* Integer linears on tiles: what both ways, by channel and by group, are made of. */
#ifndef GRAM_KERNELS_X86_INT_TILES_H
#define GRAM_KERNELS_X86_INT_TILES_H

#include <string.h>

#include "kernels/simd/quad_avx512vnni.h"
#include "kernels/x86/tiles.h"

enum {
    TILE_CODES = 1 << 14,             /* bytes of unpacked codes: with what they meet, the L1 cache */
    TILE_PASS = 5 << 18,              /* bytes of activations that stay in the L2 cache */
    TILE_QUADS = TILE_STEP / 4,
    TILE_GROUPS = 32,                 /* whose codes are unpacked together */
};

typedef int32_t tile_sums[TILE_ROWS][GRAM_PANEL];
typedef float tile_floats[TILE_ROWS][GRAM_PANEL];

/* Of groups whose codes are unpacked, TILE_GROUPS at most. */
struct piece_scales {
    float w[TILE_GROUPS][GRAM_PANEL];
    int32_t minus_offsets[TILE_GROUPS][GRAM_PANEL];
};

enum {
    TILE_OUTS = (GRAM_PANEL_SCRATCH - TILE_CODES - (int)sizeof(struct piece_scales)) / (int)sizeof(tile_sums)
};

/* Of a call: codes, and what waits for the rest of the inputs. */
struct tile_scratch {
    uint8_t codes[TILE_CODES];
    struct piece_scales scales;
    union {
        tile_sums sums[TILE_OUTS];
        tile_floats floats[TILE_OUTS];
    } out;
};
_Static_assert(sizeof(struct tile_scratch) <= GRAM_PANEL_SCRATCH, "scratch");

/* Blocks [begin, end) of 16 rows and the outputs of panels [first, last). */
struct tile_pass {
    const struct gram_int_acts *acts;
    const struct gram_int_panels *w;
    float *y;
    int64_t y_stride, rows; /* of codes, in all */
    int64_t begin, end, first, last;
    struct tile_scratch *scratch;
};

/* Where row 0 of a block has input k. */
static inline const int8_t *tile_of(const struct gram_int_acts *acts, int64_t block, int64_t k)
{
    return acts->codes + block * TILE_ROWS * acts->stride + k / TILE_STEP * TILE_BYTES + k % TILE_STEP;
}

/* n quads as bytes, each less its part of `minus`; zeros behind them to `padded` quads. */
ALWAYS_INLINE void unpack_quads(uint8_t *to, const uint8_t *in, int64_t n, int64_t padded, vq minus,
                                int bits)
{
    const int unit = gram_unit_quads(bits);
    uint8_t *end = to + padded * GRAM_QUAD_BYTES;

    for (; n > 0; n -= unit, in += gram_quads_bytes(bits, unit)) {
        const uint8_t *high = in + gram_low_bytes(bits, gram_min_i64(unit, n));
        UNROLL
        for (int j = 0; j < unit; j++) {
            if (j >= n)
                continue;
            vq_store(to, _mm512_sub_epi8(vq_codes(in, high, bits, j), minus));
            to += GRAM_QUAD_BYTES;
        }
    }
    for (; to < end; to += GRAM_QUAD_BYTES)
        vq_store(to, vq_zero());
}

typedef void unpack_quads_fn(uint8_t *to, const uint8_t *in, int64_t n, int64_t padded, vq minus);
#define DEFINE_UNPACK_QUADS(bits)                                                                  \
    static inline void unpack_quads_##bits(uint8_t *to, const uint8_t *in, int64_t n,              \
                                           int64_t padded, vq minus)                               \
    {                                                                                              \
        unpack_quads(to, in, n, padded, minus, bits);                                              \
    }
DEFINE_UNPACK_QUADS(2)
DEFINE_UNPACK_QUADS(3)
DEFINE_UNPACK_QUADS(4)
DEFINE_UNPACK_QUADS(5)
DEFINE_UNPACK_QUADS(6)
DEFINE_UNPACK_QUADS(8)

static unpack_quads_fn *const unpack_quads_of[9] = {
    [2] = unpack_quads_2, [3] = unpack_quads_3, [4] = unpack_quads_4,
    [5] = unpack_quads_5, [6] = unpack_quads_6, [8] = unpack_quads_8,
};

/* The panels' stream goes on behind `at`: bring `bytes` of it nearer, part `part` of `parts`. */
static inline void tiles_fetch(const uint8_t *at, int64_t bytes, int64_t part, int64_t parts)
{
    for (int64_t i = bytes / 64 * part / parts; i < bytes / 64 * (part + 1) / parts; i++)
        __builtin_prefetch(at + 64 * i);
}

/* Where the outputs of a block's first row go. */
static inline float *tile_outputs(const struct tile_pass *pass, int64_t block, int64_t panel)
{
    return pass->y + block * (TILE_ROWS / pass->acts->parts) * pass->y_stride + panel * GRAM_PANEL;
}

/* Rows of a block that there are. */
static inline int64_t block_rows(const struct tile_pass *pass, int64_t block)
{
    return gram_min_i64(TILE_ROWS, pass->rows - block * TILE_ROWS);
}

#endif
