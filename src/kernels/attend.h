/*
 * Attention over a cache of keys and values: softmax(scale q . k) v of a block of queries that share
 * a key-value head, in tiles of keys with a running maximum and sum (Milakov, Gimelshein 2018; Dao
 * et al. 2022).
 *
 * The cache of one key-value head, in elements of its kind:
 *   keys    [positions / 16][dim][16]  panels, as of a linear whose outputs are the positions; the
 *           last panel is whole, what lies behind the last key is read but not used
 *   values  [positions][width]         a row is already a panel row: its outputs are dim, its
 *           inputs positions; width is dim rounded up to whole panels, the rest zero
 *   scales  [whole panels of positions] of int8 only: a key or value is its codes times its scale,
 *           max|x| / 127; codes are x / scale, rounded half to even
 * f32 is exact, for golden vectors and traces; f16 and int8 are what caches are made of.
 */
#ifndef GRAM_KERNELS_ATTEND_H
#define GRAM_KERNELS_ATTEND_H

#include <stdint.h>
#include "kernels/panels.h"

enum {
    GRAM_ATTEND_QUERIES = 48, /* of a block: tokens, and heads of a group, in any mixture */
    GRAM_ATTEND_TILE = 256,   /* keys of a tile; tiles start at multiples of it */
    GRAM_ATTEND_PIECE = 128   /* inputs of up to four panels that are converted together */
};

enum gram_kv_kind { GRAM_KV_F32, GRAM_KV_F16, GRAM_KV_I8, GRAM_N_KV };

/* The cache of one key-value head. */
struct gram_kv_head {
    void *keys, *values;
    float *key_scales, *value_scales; /* one per position; NULL but for GRAM_KV_I8 */
};

/* Columns of a row of values. */
static inline int64_t gram_attend_width(int64_t dim)
{
    return gram_panel_count(dim) * GRAM_PANEL;
}

/* Bytes of an element. */
static inline int64_t gram_kv_bytes(enum gram_kv_kind kind)
{
    return kind == GRAM_KV_F32 ? 4 : kind == GRAM_KV_F16 ? 2 : 1;
}

/* Bytes of the keys, of the values and of either scales of one key-value head; 0 where there are
 * none. */
static inline int64_t gram_attend_keys_bytes(enum gram_kv_kind kind, int64_t positions, int64_t dim)
{
    return gram_panel_count(positions) * GRAM_PANEL * dim * gram_kv_bytes(kind);
}
static inline int64_t gram_attend_values_bytes(enum gram_kv_kind kind, int64_t positions,
                                               int64_t dim)
{
    return positions * gram_attend_width(dim) * gram_kv_bytes(kind);
}
static inline int64_t gram_attend_scales_bytes(enum gram_kv_kind kind, int64_t positions)
{
    return kind == GRAM_KV_I8 ? gram_panel_count(positions) * GRAM_PANEL * (int64_t)sizeof(float) : 0;
}

/* Round the key and the value [dim] of a position and put them into the cache of their head. */
typedef void gram_attend_store_fn(const struct gram_kv_head *kv, int64_t dim, int64_t position,
                                  const float *key, const float *value);

/* Query t sees keys [first[t], end[t]), 0 <= first <= end; one that sees none gets zeros. Positions
 * from the start of the first tile to the last end must have been stored. */
struct gram_attend {
    struct gram_kv_head kv;
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
    return GRAM_ATTEND_QUERIES * (2 * gram_attend_width(dim) + GRAM_ATTEND_TILE) +
           GRAM_ATTEND_PIECE * 4 * GRAM_PANEL;
}

/*
 * y[t][d] = sum_i p[i] v[i][d], p = softmax of scale q[t] . k[i] over the keys that query t sees.
 * The bits depend on the query, the keys it sees and their positions, not on the other queries of
 * the block.
 */
typedef void gram_attend_fn(const struct gram_attend *a, float *scratch);

#endif
