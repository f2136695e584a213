/* Attention over a cache in f16: scores of all keys, their softmax, the weighted values. */
#include <math.h>

#include "base/half.h"
#include "kernels/variants.h"

void gram_attend_store__ref(uint16_t *keys, uint16_t *values, int64_t dim, int64_t position,
                            const float *key, const float *value)
{
    const int64_t width = gram_attend_width(dim);
    uint16_t *k = keys + position / GRAM_PANEL * dim * GRAM_PANEL + position % GRAM_PANEL;
    uint16_t *v = values + position * width;

    for (int64_t d = 0; d < dim; d++)
        k[d * GRAM_PANEL] = gram_f16_from_f32(key[d]);
    for (int64_t d = 0; d < width; d++)
        v[d] = d < dim ? gram_f16_from_f32(value[d]) : 0;
}

static float score(const struct gram_attend *a, int64_t t, int64_t i)
{
    const uint16_t *k = a->keys + i / GRAM_PANEL * a->dim * GRAM_PANEL + i % GRAM_PANEL;
    float sum = 0.0f;

    for (int64_t d = 0; d < a->dim; d++)
        sum += a->q[t][d] * a->scale * gram_f32_from_f16(k[d * GRAM_PANEL]);
    return sum;
}

/* Scores are computed twice, to need no memory for them: q and y of a query may be the same, so
 * the result waits in scratch. */
static void attend_query(const struct gram_attend *a, int64_t t, float *y)
{
    const int64_t width = gram_attend_width(a->dim);
    float top = -INFINITY, sum = 0.0f;

    for (int64_t i = a->first[t]; i < a->end[t]; i++)
        top = fmaxf(top, score(a, t, i));
    for (int64_t d = 0; d < a->dim; d++)
        y[d] = 0.0f;
    for (int64_t i = a->first[t]; i < a->end[t]; i++) {
        const float p = expf(score(a, t, i) - top);
        sum += p;
        for (int64_t d = 0; d < a->dim; d++)
            y[d] += p * gram_f32_from_f16(a->values[i * width + d]);
    }
    for (int64_t d = 0; d < a->dim; d++)
        y[d] = sum > 0.0f ? y[d] / sum : 0.0f;
}

void gram_attend__ref(const struct gram_attend *a, float *scratch)
{
    for (int64_t t = 0; t < a->T; t++) {
        attend_query(a, t, scratch);
        for (int64_t d = 0; d < a->dim; d++)
            a->y[t][d] = scratch[d];
    }
}
