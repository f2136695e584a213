/*
 * Attention over a cache, over the vectors of the vec_*.h that was included before. Both products
 * are blocks of simd/float_block.h: scores are a linear whose outputs are positions, results one
 * whose inputs are. Elements become f32 where they are used; the scales of int8 go to the scores
 * and to the weights.
 *
 * In scratch, for T <= 16 queries:   q [T][dim], scaled     sums [T][width]     scores [T][256]
 *
 *   for each tile of 256 keys:
 *     scores = q keys;  mask;  top' = max(top, scores);  p = exp(scores - top')
 *     sums = sums exp(top - top') + p values;  total likewise
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

#define ATTEND_BLOCK(name, T)                                                                      \
    FLOAT_BLOCK(attend_##name##_##T, T, ATTEND_PANELS(T), load_##name, false, AHEAD)               \
    FLOAT_BLOCK(attend_lone_##name##_##T, T, 1, load_##name, false, AHEAD)
#define ATTEND_BLOCKS(name)                                                                        \
    ATTEND_BLOCK(name, 1)                                                                          \
    ATTEND_BLOCK(name, 2)                                                                          \
    ATTEND_BLOCK(name, 3)                                                                          \
    ATTEND_BLOCK(name, 4)                                                                          \
    ATTEND_BLOCK(name, 5)                                                                          \
    ATTEND_BLOCK(name, 6)

ATTEND_BLOCKS(f32)
ATTEND_BLOCKS(f16)
ATTEND_BLOCKS(i8)

static const int attend_panels[HEIGHT + 1] = {[1] = ATTEND_PANELS(1), ATTEND_PANELS(2),
                                              ATTEND_PANELS(3),       ATTEND_PANELS(4),
                                              ATTEND_PANELS(5),       ATTEND_PANELS(6)};

/* Blocks by queries, of one panel and of attend_panels[]. */
#define ATTEND_ROW(name)                                                                           \
    {                                                                                              \
        [1] = name##_1, name##_2, name##_3, name##_4, name##_5, name##_6                           \
    }
#define ATTEND_FORM(name, bytes)                                                                   \
    {                                                                                              \
        bytes, ATTEND_ROW(attend_lone_##name), ATTEND_ROW(attend_##name)                           \
    }

static const struct attend_form {
    int64_t bytes; /* of an element */
    float_block_fn *lone[HEIGHT + 1], *wide[HEIGHT + 1];
} attend_form_f32 = ATTEND_FORM(f32, 4), attend_form_f16 = ATTEND_FORM(f16, 2),
  attend_form_i8 = ATTEND_FORM(i8, 1);

/* y[t] of T queries and `panels` panels, in blocks of heights as equal as can be. */
static inline void attend_product(const struct attend_form *form, const struct float_block *b,
                                  float *y, const float *x, const char *w, int64_t T,
                                  int64_t panels)
{
    const int64_t blocks = gram_ceil_div(T, HEIGHT);

    for (int64_t i = 0; i < blocks; i++) {
        const int64_t t = T * i / blocks, rows = T * (i + 1) / blocks - t;
        for (int64_t p = 0, n; p < panels; p += n) {
            n = p + attend_panels[rows] <= panels ? attend_panels[rows] : 1;
            float_block_fn *block = n == 1 ? form->lone[rows] : form->wide[rows];
            block(b, y + t * b->y_stride + p * GRAM_PANEL, x + t * b->x_stride,
                  w + p * b->panel_bytes);
        }
    }
}

/* A block of queries on its way through the keys. */
struct attend {
    const struct gram_attend *a;
    const struct attend_form *form;
    int64_t width;
    float *q, *sums, *scores;
    float top[GRAM_ATTEND_QUERIES], total[GRAM_ATTEND_QUERIES];
};

static inline void attend_begin(struct attend *s, const struct gram_attend *a,
                                const struct attend_form *form, float *scratch)
{
    s->a = a;
    s->form = form;
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
    const struct float_block scores = {.y_stride = GRAM_ATTEND_TILE,
                                       .x_stride = a->dim,
                                       .K = a->dim,
                                       .step = GRAM_PANEL * bytes,
                                       .panel_bytes = GRAM_PANEL * bytes * a->dim};
    const struct float_block results = {.y_stride = s->width,
                                        .x_stride = GRAM_ATTEND_TILE,
                                        .K = end - begin,
                                        .step = s->width * bytes,
                                        .panel_bytes = GRAM_PANEL * bytes,
                                        .resume = true};

    attend_product(s->form, &scores, s->scores, s->q,
                   (const char *)a->kv.keys + begin * a->dim * bytes, a->T, n / GRAM_PANEL);
    if (a->kv.key_scales)
        attend_scale(s, a->kv.key_scales + begin, n);
    for (int64_t t = 0; t < a->T; t++) {
        attend_mask(s->scores + t * GRAM_ATTEND_TILE, n, a->first[t] - begin, a->end[t] - begin);
        attend_weigh(s, t, n);
    }
    if (a->kv.value_scales)
        attend_scale(s, a->kv.value_scales + begin, n);
    attend_product(s->form, &results, s->sums, s->scores,
                   (const char *)a->kv.values + begin * s->width * bytes, a->T,
                   s->width / GRAM_PANEL);
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
