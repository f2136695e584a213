/*
 * Attention over a cache of keys and values in f16: softmax(scale q . k) v of a block of queries
 * that share a key-value head, in tiles of keys with a running maximum and sum (Milakov, Gimelshein
 * 2018; Dao et al. 2022).
 *
 * The cache of one key-value head:
 *   keys    [positions / 16][dim][16]  panels, as of a linear whose outputs are the positions; the
 * last panel is whole, what lies behind the last key is read but not used values [positions][width]
 * a row is already a panel row: its outputs are dim, its inputs positions; width is dim rounded up
 * to whole panels, the rest zero
 */
#ifndef GRAM_KERNELS_ATTEND_H
#define GRAM_KERNELS_ATTEND_H

#include <stdint.h>
#include "kernels/panels.h"

enum {
    GRAM_ATTEND_QUERIES = 16, /* of a block: tokens, and heads of a group, in any mixture */
    GRAM_ATTEND_TILE = 256    /* keys of a tile; tiles start at multiples of it */
};

/* Elements of the keys and of the values of one key-value head. */
static inline int64_t gram_attend_width(int64_t dim)
{
    return gram_panel_count(dim) * GRAM_PANEL;
}
static inline int64_t gram_attend_keys(int64_t positions, int64_t dim)
{
    return gram_panel_count(positions) * GRAM_PANEL * dim;
}
static inline int64_t gram_attend_values(int64_t positions, int64_t dim)
{
    return positions * gram_attend_width(dim);
}

/* Round the key and the value [dim] of a position to f16 and put them into the cache of their head.
 */
typedef void gram_attend_store_fn(uint16_t *keys, uint16_t *values, int64_t dim, int64_t position,
                                  const float *key, const float *value);

/* Query t sees keys [first[t], end[t]), 0 <= first <= end; one that sees none gets zeros. */
struct gram_attend {
    const uint16_t *keys, *values;
    int64_t dim;
    float scale;
    int64_t T;                           /* queries, at most GRAM_ATTEND_QUERIES */
    const float *q[GRAM_ATTEND_QUERIES]; /* [dim] */
    float *y[GRAM_ATTEND_QUERIES];       /* [dim]; may be q of the same query */
    int64_t first[GRAM_ATTEND_QUERIES], end[GRAM_ATTEND_QUERIES];
};

/* Floats of scratch that an attention of this dim wants, 64-aligned. */
static inline int64_t gram_attend_scratch(int64_t dim)
{
    return GRAM_ATTEND_QUERIES * (2 * gram_attend_width(dim) + GRAM_ATTEND_TILE);
}

/*
 * y[t][d] = sum_i p[i] v[i][d], p = softmax of scale q[t] . k[i] over the keys that query t sees.
 * The bits depend on the query, the keys it sees and their positions, not on the other queries of
 * the block.
 */
typedef void gram_attend_fn(const struct gram_attend *a, float *scratch);

#endif
