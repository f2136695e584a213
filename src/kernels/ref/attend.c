/* Attention over a cache: scores of all keys, their softmax, the weighted values. */
#include <math.h>

#include "base/half.h"
#include "kernels/variants.h"

/* How the elements of a kind of cache are read and written. */
struct kind {
    float (*load)(const void *from, int64_t i);
    void (*store)(void *to, int64_t i, float x, float scale);
};

static float load_f32(const void *from, int64_t i)
{
    return ((const float *)from)[i];
}

static void store_f32(void *to, int64_t i, float x, float scale)
{
    (void)scale;
    ((float *)to)[i] = x;
}

static float load_f16(const void *from, int64_t i)
{
    return gram_f32_from_f16(((const uint16_t *)from)[i]);
}

static void store_f16(void *to, int64_t i, float x, float scale)
{
    (void)scale;
    ((uint16_t *)to)[i] = gram_f16_from_f32(x);
}

static float load_i8(const void *from, int64_t i)
{
    return ((const int8_t *)from)[i];
}

/* A NaN becomes -127. */
static void store_i8(void *to, int64_t i, float x, float scale)
{
    const float code = rintf(x / (scale > 0.0f ? scale : INFINITY));
    const float floored = code > -127.0f ? code : -127.0f;
    ((int8_t *)to)[i] = (int8_t)(floored < 127.0f ? floored : 127.0f);
}

static const struct kind kinds[GRAM_N_KV] = {
    [GRAM_KV_F32] = {load_f32, store_f32},
    [GRAM_KV_F16] = {load_f16, store_f16},
    [GRAM_KV_I8] = {load_i8, store_i8},
};

/* Where element d of the key of a position lies. */
static int64_t key_index(int64_t dim, int64_t position, int64_t d)
{
    return (position / GRAM_PANEL * dim + d) * GRAM_PANEL + position % GRAM_PANEL;
}

/* The scale of codes for x, noted where there is room for it. A NaN is no maximum. */
static float scale_of(float *scales, int64_t position, const float *x, int64_t dim)
{
    float top = 0.0f;

    if (!scales)
        return 1.0f;
    for (int64_t d = 0; d < dim; d++)
        top = fabsf(x[d]) > top ? fabsf(x[d]) : top;
    return scales[position] = top / 127.0f;
}

static void store(enum gram_kv_kind kind, const struct gram_kv_head *kv, int64_t dim,
                  int64_t position, const float *key, const float *value)
{
    const int64_t width = gram_attend_width(dim);
    const float key_scale = scale_of(kv->key_scales, position, key, dim);
    const float value_scale = scale_of(kv->value_scales, position, value, dim);

    for (int64_t d = 0; d < dim; d++)
        kinds[kind].store(kv->keys, key_index(dim, position, d), key[d], key_scale);
    for (int64_t d = 0; d < width; d++)
        kinds[kind].store(kv->values, position * width + d, d < dim ? value[d] : 0.0f, value_scale);
}

static float scale_at(const float *scales, int64_t position)
{
    return scales ? scales[position] : 1.0f;
}

static float score(enum gram_kv_kind kind, const struct gram_attend *a, int64_t t, int64_t i)
{
    float sum = 0.0f;

    for (int64_t d = 0; d < a->dim; d++)
        sum += a->q[t][d] * a->scale * kinds[kind].load(a->kv.keys, key_index(a->dim, i, d));
    return sum * scale_at(a->kv.key_scales, i);
}

/* Scores are computed twice, to need no memory for them: q and y of a query may be the same, so
 * the result waits in scratch. */
static void attend_query(enum gram_kv_kind kind, const struct gram_attend *a, int64_t t, float *y)
{
    const int64_t width = gram_attend_width(a->dim);
    float top = -INFINITY, sum = 0.0f;

    for (int64_t i = a->first[t]; i < a->end[t]; i++)
        top = fmaxf(top, score(kind, a, t, i));
    for (int64_t d = 0; d < a->dim; d++)
        y[d] = 0.0f;
    for (int64_t i = a->first[t]; i < a->end[t]; i++) {
        const float p = expf(score(kind, a, t, i) - top);
        const float weight = p * scale_at(a->kv.value_scales, i);
        sum += p;
        for (int64_t d = 0; d < a->dim; d++)
            y[d] += weight * kinds[kind].load(a->kv.values, i * width + d);
    }
    for (int64_t d = 0; d < a->dim; d++)
        y[d] = sum > 0.0f ? y[d] / sum : 0.0f;
}

static void attend(enum gram_kv_kind kind, const struct gram_attend *a, float *scratch)
{
    for (int64_t t = 0; t < a->T; t++) {
        attend_query(kind, a, t, scratch);
        for (int64_t d = 0; d < a->dim; d++)
            a->y[t][d] = scratch[d];
    }
}

#define ATTEND_KERNELS(name, kind)                                                                 \
    void gram_attend_##name##__ref(const struct gram_attend *a, float *scratch)                    \
    {                                                                                              \
        attend(kind, a, scratch);                                                                  \
    }                                                                                              \
    void gram_attend_store_##name##__ref(const struct gram_kv_head *kv, int64_t dim,               \
                                         int64_t position, const float *key, const float *value)   \
    {                                                                                              \
        store(kind, kv, dim, position, key, value);                                                \
    }

ATTEND_KERNELS(f32, GRAM_KV_F32)
ATTEND_KERNELS(f16, GRAM_KV_F16)
ATTEND_KERNELS(i8, GRAM_KV_I8)
