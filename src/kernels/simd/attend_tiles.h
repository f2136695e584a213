/*
 * Attention over a cache, over the vectors of the vec_*.h that was included before. Both products
 * are blocks of simd/float_block.h: scores are a linear whose outputs are positions, results one
 * whose inputs are. Up to twelve queries convert the elements where they use them; of more, the first
 * block leaves what it converts behind for the others. The scales of int8 go to the scores and to
 * the weights. Scores are in units of ln 2, so that the exponential is a power of two.
 *
 * In scratch, for T queries:  q [T][dim], scaled   sums [T][width]   scores [T][256]   tile [128][64]
 *
 *   for each tile of 256 keys:
 *     scores = q keys;  mask;  top' = max(top, scores);  p = 2^(scores - top')
 *     sums = sums 2^(top - top') + p values;  total likewise
 *   y = sums / total
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

/* Panels of a block of T queries: enough chains, and for one query no more than a head of 64 has. */
#define ATTEND_LONE      (MOST_VECTORS / PANEL_VECTORS < 4 ? MOST_VECTORS / PANEL_VECTORS : 4)
#define ATTEND_PANELS(T) (ATTEND_LONE / (T) > FLOAT_WIDE ? ATTEND_LONE / (T) : FLOAT_WIDE)

/* Of few queries all blocks; of many the first, which keeps what it converts, and the others. */
#define ATTEND_FEW(name, T)                                                                        \
    FLOAT_BLOCK(attend_few_##name##_##T, T, ATTEND_PANELS(T), load_##name, false, AHEAD)           \
    FLOAT_BLOCK(attend_few_lone_##name##_##T, T, 1, load_##name, false, AHEAD)
#define ATTEND_FIRST(name, T)                                                                      \
    FLOAT_BLOCK(attend_first_##name##_##T, T, FLOAT_WIDE, load_##name, true, AHEAD)                \
    FLOAT_BLOCK(attend_first_lone_##name##_##T, T, 1, load_##name, true, AHEAD)
#define ATTEND_NEXT(T)                                                                             \
    FLOAT_BLOCK(attend_next_##T, T, FLOAT_WIDE, load_f32, false, 0)                                \
    FLOAT_BLOCK(attend_next_lone_##T, T, 1, load_f32, false, 0)
#define ATTEND_BLOCKS(name)                                                                        \
    ATTEND_FEW(name, 1)                                                                            \
    ATTEND_FEW(name, 2)                                                                            \
    ATTEND_FEW(name, 3)                                                                            \
    ATTEND_FEW(name, 4)                                                                            \
    ATTEND_FEW(name, 5)                                                                            \
    ATTEND_FEW(name, 6)                                                                            \
    ATTEND_FIRST(name, 4)                                                                          \
    ATTEND_FIRST(name, 5)                                                                          \
    ATTEND_FIRST(name, 6)

ATTEND_BLOCKS(f32)
ATTEND_BLOCKS(f16)
ATTEND_BLOCKS(i8)
ATTEND_NEXT(3)
ATTEND_NEXT(4)
ATTEND_NEXT(5)
ATTEND_NEXT(6)

static const int attend_panels[HEIGHT + 1] = {[1] = ATTEND_PANELS(1), ATTEND_PANELS(2),
                                              ATTEND_PANELS(3),       ATTEND_PANELS(4),
                                              ATTEND_PANELS(5),       ATTEND_PANELS(6)};

/* Blocks by queries, of one panel and of several. */
struct attend_blocks {
    float_block_fn *lone[HEIGHT + 1], *wide[HEIGHT + 1];
};

#define ATTEND_FORM(name, bytes)                                                                   \
    {                                                                                              \
        bytes, {{[1] = ATTEND_LIST(few_lone_##name)}, {[1] = ATTEND_LIST(few_##name)}},            \
        {                                                                                          \
            {[4] = ATTEND_TALL(first_lone_##name)},                                                \
            {                                                                                      \
                [4] = ATTEND_TALL(first_##name)                                                    \
            }                                                                                      \
        }                                                                                          \
    }
#define ATTEND_TALL(name) attend_##name##_4, attend_##name##_5, attend_##name##_6
#define ATTEND_LIST(name)                                                                          \
    attend_##name##_1, attend_##name##_2, attend_##name##_3, ATTEND_TALL(name)

static const struct attend_blocks attend_next = {
    {[3] = attend_next_lone_3, ATTEND_TALL(next_lone)}, {[3] = attend_next_3, ATTEND_TALL(next)}};

static const struct attend_form {
    int64_t bytes; /* of an element */
    struct attend_blocks few, first;
} attend_form_f32 = ATTEND_FORM(f32, 4), attend_form_f16 = ATTEND_FORM(f16, 2),
  attend_form_i8 = ATTEND_FORM(i8, 1);

/* A product: y[t] of T queries and `panels` panels from x[t] and w, over all of block.K. */
struct attend_product {
    struct float_block block;
    float *y;
    const float *x;
    const char *w;
    int64_t T, panels;
};

static inline void attend_few(const struct attend_form *form, const struct attend_product *p)
{
    const int64_t blocks = gram_ceil_div(p->T, HEIGHT);

    for (int64_t j = 0; j < blocks; j++) {
        const int64_t t = p->T * j / blocks, rows = p->T * (j + 1) / blocks - t;
        const int wide = attend_panels[rows];
        for (int64_t i = 0, n; i < p->panels; i += n) {
            n = i + wide <= p->panels ? wide : 1;
            float_block_fn *block = n == 1 ? form->few.lone[rows] : form->few.wide[rows];
            block(&p->block, p->y + t * p->block.y_stride + i * GRAM_PANEL,
                  p->x + t * p->block.x_stride, p->w + i * p->block.panel_bytes);
        }
    }
}

/* All queries against n <= FLOAT_WIDE panels from i and b->K inputs from k, in blocks of heights as
 * equal as can be. */
static inline void attend_piece(const struct attend_form *form, const struct attend_product *p,
                                struct float_block b, int64_t i, int64_t n, int64_t k)
{
    const int64_t blocks = gram_ceil_div(p->T, HEIGHT);
    const int64_t first = gram_ceil_div(p->T, blocks), rest = p->T - first;
    float_block_fn *convert = n == 1 ? form->first.lone[first] : form->first.wide[first];
    float *y = p->y + i * GRAM_PANEL;
    const float *x = p->x + k;

    convert(&b, y, x, p->w + i * b.panel_bytes + k * b.step);
    b.panel_bytes = GRAM_PANEL * (int64_t)sizeof(float);
    b.step = n * b.panel_bytes;
    for (int64_t j = 0; j < blocks - 1; j++) {
        const int64_t t = first + rest * j / (blocks - 1);
        const int64_t rows = first + rest * (j + 1) / (blocks - 1) - t;
        float_block_fn *block = n == 1 ? attend_next.lone[rows] : attend_next.wide[rows];
        block(&b, y + t * b.y_stride, x + t * b.x_stride, (const char *)b.tile);
    }
}

/* In pieces that stay in the first cache once they are converted. */
static inline void attend_many(const struct attend_form *form, const struct attend_product *p)
{
    struct float_block b = p->block;

    for (int64_t k = 0; k < p->block.K; k += GRAM_ATTEND_PIECE) {
        b.K = gram_min_i64(GRAM_ATTEND_PIECE, p->block.K - k);
        b.resume = p->block.resume || k > 0;
        for (int64_t i = 0, n; i < p->panels; i += n) {
            n = i + FLOAT_WIDE <= p->panels ? FLOAT_WIDE : 1;
            attend_piece(form, p, b, i, n, k);
        }
    }
}

static inline void attend_multiply(const struct attend_form *form, const struct attend_product *p)
{
    if (p->T <= 2 * HEIGHT) /* a tile does not pay for its stores with one more block */
        attend_few(form, p);
    else
        attend_many(form, p);
}

/* A block of queries on its way through the keys. */
struct attend {
    const struct gram_attend *a;
    const struct attend_form *form;
    int64_t width;
    float *q, *sums, *scores, *tile;
    float top[GRAM_ATTEND_QUERIES], total[GRAM_ATTEND_QUERIES];
};

#define LOG2_E 1.44269504f

static inline void attend_begin(struct attend *s, const struct gram_attend *a,
                                const struct attend_form *form, float *scratch)
{
    s->a = a;
    s->form = form;
    s->width = gram_attend_width(a->dim);
    s->q = scratch;
    s->sums = s->q + GRAM_ATTEND_QUERIES * s->width;
    s->scores = s->sums + GRAM_ATTEND_QUERIES * s->width;
    s->tile = s->scores + GRAM_ATTEND_QUERIES * GRAM_ATTEND_TILE;
    for (int64_t t = 0; t < a->T; t++) {
        for (int64_t d = 0; d < a->dim; d++)
            s->q[t * a->dim + d] = a->q[t][d] * (a->scale * LOG2_E);
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
    const float factor = vf_top(vf_exp2(vf_set(s->top[t] - shift)));

    for (int64_t i = 0; i < n; i += VF) {
        const vf weight = vf_exp2(vf_sub(vf_load(scores + i), vf_set(shift)));
        total = vf_add(total, weight);
        vf_store(scores + i, weight);
    }
    if (top > s->top[t])
        for (int64_t d = 0; d < s->width; d += VF)
            vf_store(sums + d, vf_mul(vf_load(sums + d), vf_set(factor)));
    s->total[t] = s->total[t] * factor + vf_sum(total);
    s->top[t] = top;
}

/* x[t][i] *= scales[i] for all queries; n is a multiple of VF. */
static inline void attend_scale(const struct attend *s, const float *scales, int64_t n)
{
    for (int64_t t = 0; t < s->a->T; t++) {
        float *x = s->scores + t * GRAM_ATTEND_TILE;
        for (int64_t i = 0; i < n; i += VF)
            vf_store(x + i, vf_mul(vf_load(x + i), vf_load(scales + i)));
    }
}

/* Keys [begin, end), at most a tile. */
static inline void attend_tile(struct attend *s, int64_t begin, int64_t end)
{
    const struct gram_attend *a = s->a;
    const int64_t bytes = s->form->bytes, n = gram_panel_count(end - begin) * GRAM_PANEL;
    const struct attend_product scores = {
        .block = {.y_stride = GRAM_ATTEND_TILE,
                  .x_stride = a->dim,
                  .K = a->dim,
                  .step = GRAM_PANEL * bytes,
                  .panel_bytes = GRAM_PANEL * bytes * a->dim,
                  .tile = s->tile},
        .y = s->scores,
        .x = s->q,
        .w = (const char *)a->kv.keys + begin * a->dim * bytes,
        .T = a->T,
        .panels = n / GRAM_PANEL,
    };
    const struct attend_product results = {
        .block = {.y_stride = s->width,
                  .x_stride = GRAM_ATTEND_TILE,
                  .K = end - begin,
                  .step = s->width * bytes,
                  .panel_bytes = GRAM_PANEL * bytes,
                  .resume = true,
                  .tile = s->tile},
        .y = s->sums,
        .x = s->scores,
        .w = (const char *)a->kv.values + begin * s->width * bytes,
        .T = a->T,
        .panels = s->width / GRAM_PANEL,
    };

    attend_multiply(s->form, &scores);
    if (a->kv.key_scales)
        attend_scale(s, a->kv.key_scales + begin, n);
    for (int64_t t = 0; t < a->T; t++) {
        attend_mask(s->scores + t * GRAM_ATTEND_TILE, n, a->first[t] - begin, a->end[t] - begin);
        attend_weigh(s, t, n);
    }
    if (a->kv.value_scales)
        attend_scale(s, a->kv.value_scales + begin, n);
    attend_multiply(s->form, &results);
}

static inline void attend_body(const struct gram_attend *a, const struct attend_form *form,
                               float *scratch)
{
    struct attend s;
    int64_t first = INT64_MAX, end = 0;

    attend_begin(&s, a, form, scratch);
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

/* Elements of a kind from floats, VF at a time and for the last few one by one: x, and the divisor of
 * codes, 0 where they have none. */
ALWAYS_INLINE void attend_round_f32(float *to, const float *x, float divisor)
{
    (void)divisor;
    vf_store(to, vf_load(x));
}

ALWAYS_INLINE void attend_round_f16(uint16_t *to, const float *x, float divisor)
{
    (void)divisor;
    vf_store_f16(to, vf_load(x));
}

/* A NaN becomes -127. */
ALWAYS_INLINE void attend_round_i8(int8_t *to, const float *x, float divisor)
{
    float codes[VF];
    vf_store(codes, vf_max(vf_round(vf_div(vf_load(x), vf_set(divisor))), vf_set(-127.0f)));
    for (int i = 0; i < VF; i++)
        to[i] = (int8_t)(codes[i] < 127.0f ? codes[i] : 127.0f);
}

/* The divisor of the codes for x, whose scale is noted where there is room for it: so that all codes
 * are 0 where the scale is. */
static inline float attend_divisor(float *scales, int64_t position, const float *x, int64_t dim)
{
    float top = 0.0f;

    if (!scales)
        return 0.0f;
    for (int64_t d = 0; d < dim; d++)
        top = fabsf(x[d]) > top ? fabsf(x[d]) : top;
    scales[position] = top / 127.0f;
    return scales[position] > 0.0f ? scales[position] : INFINITY;
}

/* x [dim] as elements at to[0], to[step], .. */
#define ATTEND_STORE(name, type)                                                                   \
    static inline void attend_put_##name(type *to, int64_t step, const float *x, int64_t dim,      \
                                         float divisor)                                            \
    {                                                                                              \
        for (int64_t d = 0; d < dim; d += VF) {                                                    \
            const int64_t n = dim - d < VF ? dim - d : VF;                                         \
            float from[VF] = {0};                                                                  \
            type lanes[VF];                                                                        \
            memcpy(from, x + d, (size_t)n * sizeof *x);                                            \
            attend_round_##name(lanes, from, divisor);                                             \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[(d + i) * step] = lanes[i];                                                     \
        }                                                                                          \
    }                                                                                              \
    static inline void attend_store_##name(const struct gram_kv_head *kv, int64_t dim,             \
                                           int64_t position, const float *key, const float *value) \
    {                                                                                              \
        const int64_t width = gram_attend_width(dim);                                              \
        const int64_t panel = position / GRAM_PANEL * dim * GRAM_PANEL;                            \
        type *values = (type *)kv->values + position * width;                                      \
                                                                                                   \
        attend_put_##name((type *)kv->keys + panel + position % GRAM_PANEL, GRAM_PANEL, key, dim,  \
                          attend_divisor(kv->key_scales, position, key, dim));                     \
        attend_put_##name(values, 1, value, dim,                                                   \
                          attend_divisor(kv->value_scales, position, value, dim));                 \
        memset(values + dim, 0, (size_t)(width - dim) * sizeof *values);                           \
    }

ATTEND_STORE(f32, float)
ATTEND_STORE(f16, uint16_t)
ATTEND_STORE(i8, int8_t)

/* The kernels of a kind at a level. */
#define ATTEND_KERNELS(name, isa)                                                                  \
    void gram_attend_##name##__##isa(const struct gram_attend *a, float *scratch)                  \
    {                                                                                              \
        attend_body(a, &attend_form_##name, scratch);                                              \
    }                                                                                              \
    void gram_attend_store_##name##__##isa(const struct gram_kv_head *kv, int64_t dim,             \
                                           int64_t position, const float *key, const float *value) \
    {                                                                                              \
        attend_store_##name(kv, dim, position, key, value);                                        \
    }

#endif
