/*
 * Where the codes of integer panels lie: shared by those who write them and those who stream them.
 *
 * Four neighbouring inputs (a quad) of the 16 outputs of a panel are 64 bytes: one vector register.
 *
 *     quad q:   | o0: k k+1 k+2 k+3 | o1: k k+1 k+2 k+3 | ... | o15: k k+1 k+2 k+3 |      k = 4q
 *
 * Codes of 8 bits are stored so, with 128 added to signed ones. Narrower codes share the byte with
 * the same place of the following quads, the first lowest, and fall apart with a shift and a mask:
 *
 *     4 bits:   | quad 1 | quad 0 |                           one vector = 8 inputs
 *     2 bits:   | quad 3 | quad 2 | quad 1 | quad 0 |         one vector = 16 inputs
 *
 * 3 = 2 + 1, 5 = 4 + 1 and 6 = 4 + 2 bits are two planes: vectors of the low bits, then one with
 * the high bits of the same inputs. Those vectors together are a unit:
 *
 *     8:  L      1 quad        5:  L L L L H    8 quads, H has the bit of quad j at bit j
 *     4:  L      2 quads       6:  L L H        4 quads
 *     2:  L      4 quads       3:  L L H        8 quads
 *
 * Units of a group follow each other, groups follow each other, panels follow each other: the
 * stream is linear. The last unit of a group has only the low vectors that it needs. Codes behind
 * the end of a group are 0, and so is their product with whatever activation stands there.
 */
#ifndef GRAM_KERNELS_INT_LAYOUT_H
#define GRAM_KERNELS_INT_LAYOUT_H

#include "base/checked.h"
#include "kernels/panels.h"

enum {
    GRAM_QUAD_BYTES = 4 * GRAM_PANEL,
    GRAM_NARROW_GROUP = 255 /* inputs whose activations have a sum of 16 bits */
};

/* Bits of a code in the low plane and in the high one. */
static inline int gram_low_bits(int bits)
{
    return bits == 8 ? 8 : bits >= 4 ? 4 : 2;
}

static inline int gram_high_bits(int bits)
{
    return bits - gram_low_bits(bits);
}

/* Quads of a unit. */
static inline int gram_unit_quads(int bits)
{
    const int high = gram_high_bits(bits);
    return 8 / (high ? high : gram_low_bits(bits));
}

/* Bytes of the low vectors of n quads of one unit: where its high vector is. */
static inline int64_t gram_low_bytes(int bits, int64_t n)
{
    return gram_ceil_div(n * gram_low_bits(bits), 8) * GRAM_QUAD_BYTES;
}

/* Bytes of n quads, the first of which starts a unit. */
static inline int64_t gram_quads_bytes(int bits, int64_t n)
{
    const int64_t units = gram_ceil_div(n, gram_unit_quads(bits));
    return gram_low_bytes(bits, n) + (gram_high_bits(bits) ? units * GRAM_QUAD_BYTES : 0);
}

/* Inputs of group g, which for the last may be fewer. */
static inline int64_t gram_group_inputs(const struct gram_int_panels *w, int64_t g)
{
    return gram_min_i64(w->group, w->cols - g * w->group);
}

static inline int64_t gram_group_quads(const struct gram_int_panels *w, int64_t g)
{
    return gram_ceil_div(gram_group_inputs(w, g), 4);
}

/* Of group g of a panel, from the panel's first byte. */
static inline int64_t gram_group_offset(const struct gram_int_panels *w, int64_t g)
{
    return g * gram_quads_bytes(w->bits, w->group / 4);
}

/* Which scale of the activations belongs to group g: one per row, or one per group. */
static inline int64_t gram_acts_span(const struct gram_int_acts *acts, int64_t g)
{
    return acts->spans > 1 ? g : 0;
}

/* Of the rows of a block, the first of which they belong to: quad q of runs that are quads, scale of span s,
 * sum of group g. */
static inline int8_t *gram_block_quad(const struct gram_int_acts *acts, int64_t block, int64_t q)
{
    return acts->codes + (block * acts->stride + 4 * q) * acts->height;
}

static inline float *gram_block_scale(const struct gram_int_acts *acts, int64_t block, int64_t s)
{
    return acts->scales + (block * acts->spans + s) * acts->height;
}

static inline int32_t *gram_block_sum(const struct gram_int_acts *acts, int64_t block, int64_t g)
{
    return acts->sums + (block * acts->groups + g) * acts->height;
}

/* The same of row i. */
static inline int8_t *gram_acts_quad(const struct gram_int_acts *acts, int64_t i, int64_t q)
{
    const int64_t k = 4 * q, run = k / acts->run;
    const int64_t block = i / acts->height * acts->height * acts->stride;
    return acts->codes + block + (run * acts->height + i % acts->height) * acts->run + k % acts->run;
}

static inline float *gram_acts_scale(const struct gram_int_acts *acts, int64_t i, int64_t s)
{
    return gram_block_scale(acts, i / acts->height, s) + i % acts->height;
}

static inline int32_t *gram_acts_sum(const struct gram_int_acts *acts, int64_t i, int64_t g)
{
    return gram_block_sum(acts, i / acts->height, g) + i % acts->height;
}

#endif
