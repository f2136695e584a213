/*
 * Attention over a cache in f16, over the vectors of the vec_*.h that was included before. Both
 * products are blocks of simd/float_block.h: scores are a linear whose outputs are positions,
 * results one whose inputs are.
 *
 * In scratch, for T <= 16 queries:   q [T][dim], scaled     sums [T][width]     scores [T][256]
 *
 *   for each tile of 256 keys:  scores = q keys;  mask;  top' = max(top, scores);  p = exp(scores -
 * top') sums = sums exp(top - top') + p values;  total likewise y = sums / total
 *
 * A tile in which a query sees nothing leaves its sums as they are: multiplied by 1, plus zeros.
 */
#ifndef GRAM_KERNELS_SIMD_ATTEND_TILES_H
#define GRAM_KERNELS_SIMD_ATTEND_TILES_H

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/half.h"
#include "kernels/attend.h"
#include "kernels/simd/exp.h"
#include "kernels/simd/float_block.h"

/* Panels of a block of T queries: enough chains, and for one query no more than a head of 64 has.
 */
#define ATTEND_LONE      (MOST_VECTORS / PANEL_VECTORS < 4 ? MOST_VECTORS / PANEL_VECTORS : 4)
#define ATTEND_PANELS(T) (ATTEND_LONE / (T) > FLOAT_WIDE ? ATTEND_LONE / (T) : FLOAT_WIDE)

#define ATTEND_BLOCKS(T)                                                                           \
    FLOAT_BLOCK(attend_##T, T, ATTEND_PANELS(T), load_f16, false, AHEAD)                           \
    FLOAT_BLOCK(attend_lone_##T, T, 1, load_f16, false, AHEAD)

ATTEND_BLOCKS(1)
ATTEND_BLOCKS(2)
ATTEND_BLOCKS(3)
ATTEND_BLOCKS(4)
ATTEND_BLOCKS(5)
ATTEND_BLOCKS(6)

/* By queries less one. */
static const struct attend_blocks {
    int64_t panels;
    float_block_fn *wide, *lone;
} attend_blocks[HEIGHT] = {
    {ATTEND_PANELS(1), attend_1, attend_lone_1}, {ATTEND_PANELS(2), attend_2, attend_lone_2},
    {ATTEND_PANELS(3), attend_3, attend_lone_3}, {ATTEND_PANELS(4), attend_4, attend_lone_4},
    {ATTEND_PANELS(5), attend_5, attend_lone_5}, {ATTEND_PANELS(6), attend_6, attend_lone_6},
};

/* y[t] of T queries and `panels` panels, in blocks of heights as equal as can be. */
static inline void attend_product(const struct float_block *b, float *y, const float *x,
                                  const uint16_t *w, int64_t T, int64_t panels)
{
    const int64_t blocks = gram_ceil_div(T, HEIGHT);

    for (int64_t i = 0; i < blocks; i++) {
        const int64_t t = T * i / blocks, rows = T * (i + 1) / blocks - t;
        const struct attend_blocks *kernel = &attend_blocks[rows - 1];
        for (int64_t p = 0, n; p < panels; p += n) {
            n = p + kernel->panels <= panels ? kernel->panels : 1;
            float_block_fn *block = n == kernel->panels ? kernel->wide : kernel->lone;
            block(b, y + t * b->y_stride + p * GRAM_PANEL, x + t * b->x_stride,
                  (const char *)w + p * b->panel_bytes);
        }
    }
}

/* A block of queries on its way through the keys. */
struct attend {
    const struct gram_attend *a;
    int64_t width;
    float *q, *sums, *scores;
    float top[GRAM_ATTEND_QUERIES], total[GRAM_ATTEND_QUERIES];
};

static inline void attend_begin(struct attend *s, const struct gram_attend *a, float *scratch)
{
    s->a = a;
    s->width = gram_attend_width(a->dim);
    s->q = scratch;
    s->sums = s->q + GRAM_ATTEND_QUERIES * s->width;
    s->scores = s->sums + GRAM_ATTEND_QUERIES * s->width;
    for (int64_t t = 0; t < a->T; t++) {
        for (int64_t d = 0; d < a->dim; d++)
            s->q[t * a->dim + d] = a->q[t][d] * a->scale;
        s->top[t] = -INFINITY;
        s->total[t] = 0.0f;
    }
    memset(s->sums, 0, (size_t)(a->T * s->width) * sizeof *s->sums);
}

/* -Inf where scores[0 .. n) lie outside of [first, end); n is a multiple of VF. */
static inline void attend_mask(float *scores, int64_t n, int64_t first, int64_t end)
{
    for (int64_t i = 0; i < n && i < first; i++)
        scores[i] = -INFINITY;
    for (int64_t i = gram_max_i64(end, 0); i < n; i++)
        scores[i] = -INFINITY;
}

/* Scores of query t become weights, and what was summed before is brought to the new maximum. */
static inline void attend_weigh(struct attend *s, int64_t t, int64_t n)
{
    float *scores = s->scores + t * GRAM_ATTEND_TILE, *sums = s->sums + t * s->width;
    vf most = vf_set(s->top[t]), total = vf_set(0.0f);

    for (int64_t i = 0; i < n; i += VF)
        most = vf_max(vf_load(scores + i), most);
    const float top = vf_top(most), shift = top > -INFINITY ? top : 0.0f; /* no -Inf - -Inf */
    const float factor = vf_top(vf_exp(vf_set(s->top[t] - shift)));

    for (int64_t i = 0; i < n; i += VF) {
        const vf weight = vf_exp(vf_sub(vf_load(scores + i), vf_set(shift)));
        total = vf_add(total, weight);
        vf_store(scores + i, weight);
    }
    if (top > s->top[t])
        for (int64_t d = 0; d < s->width; d += VF)
            vf_store(sums + d, vf_mul(vf_load(sums + d), vf_set(factor)));
    s->total[t] = s->total[t] * factor + vf_sum(total);
    s->top[t] = top;
}

/* Keys [begin, end), at most a tile. */
static inline void attend_tile(struct attend *s, int64_t begin, int64_t end)
{
    const struct gram_attend *a = s->a;
    const int64_t panels = gram_panel_count(end - begin);
    const struct float_block scores = {.y_stride = GRAM_ATTEND_TILE,
                                       .x_stride = a->dim,
                                       .K = a->dim,
                                       .step = GRAM_PANEL * 2,
                                       .panel_bytes = GRAM_PANEL * 2 * a->dim};
    const struct float_block results = {.y_stride = s->width,
                                        .x_stride = GRAM_ATTEND_TILE,
                                        .K = end - begin,
                                        .step = 2 * s->width,
                                        .panel_bytes = GRAM_PANEL * 2,
                                        .resume = true};

    attend_product(&scores, s->scores, s->q, a->keys + begin * a->dim, a->T, panels);
    for (int64_t t = 0; t < a->T; t++) {
        attend_mask(s->scores + t * GRAM_ATTEND_TILE, panels * GRAM_PANEL, a->first[t] - begin,
                    a->end[t] - begin);
        attend_weigh(s, t, panels * GRAM_PANEL);
    }
    attend_product(&results, s->sums, s->scores, a->values + begin * s->width, a->T,
                   s->width / GRAM_PANEL);
}

static inline void attend_body(const struct gram_attend *a, float *scratch)
{
    struct attend s;
    int64_t first = INT64_MAX, end = 0;

    attend_begin(&s, a, scratch);
    for (int64_t t = 0; t < a->T; t++) {
        first = gram_min_i64(first, a->first[t]);
        end = gram_max_i64(end, a->end[t]);
    }
    for (int64_t i = first - first % GRAM_ATTEND_TILE; i < end; i += GRAM_ATTEND_TILE)
        attend_tile(&s, i, gram_min_i64(i + GRAM_ATTEND_TILE, end));
    for (int64_t t = 0; t < a->T; t++) {
        const float inverse = s.total[t] > 0.0f ? 1.0f / s.total[t] : 0.0f;
        for (int64_t d = 0; d < a->dim; d++)
            a->y[t][d] = s.sums[t * s.width + d] * inverse;
    }
}

static inline void attend_store_body(uint16_t *keys, uint16_t *values, int64_t dim,
                                     int64_t position, const float *key, const float *value)
{
    const int64_t width = gram_attend_width(dim);
    uint16_t *k = keys + position / GRAM_PANEL * dim * GRAM_PANEL + position % GRAM_PANEL;
    uint16_t *v = values + position * width;
    int64_t d = 0;

    for (; d + VF <= dim; d += VF) {
        uint16_t half[VF];
        vf_store_f16(half, vf_load(key + d));
        for (int i = 0; i < VF; i++)
            k[(d + i) * GRAM_PANEL] = half[i];
        vf_store_f16(v + d, vf_load(value + d));
    }
    for (; d < dim; d++) {
        k[d * GRAM_PANEL] = gram_f16_from_f32(key[d]);
        v[d] = gram_f16_from_f32(value[d]);
    }
    for (; d < width; d++)
        v[d] = 0;
}

#endif
