/*
 * Attention over a cache against sums in double over the cache's own values, so that only the
 * rounding of f32 is judged: a score is off by (dim + 2) FLT_EPSILON sum |scale q k| at most, a
 * weight relative to the others by twice that and 4 FLT_EPSILON for its exponential, the result by
 * that and FLT_EPSILON a key, of max |v|. The scales of int8 are two more factors, and so two more roundings
 * of a score and of a weight.
 */
#include "kcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kernels/attend.h"

enum { MOST_KEYS = 1024, MOST_DIM = 160 };

struct shape {
    int64_t T, dim, positions;
    int64_t window; /* keys that a query sees at most; 0: all before it */
    double range;   /* of keys: large ones make the softmax peaked */
};

static float uniform(struct kcheck *c, double range)
{
    return (float)((2.0 * gram_rng_unit(&c->rng) - 1.0) * range);
}

static double element(const struct kcheck *c, const void *at, int64_t i)
{
    switch (c->kv) {
    case GRAM_KV_F32:
        return (double)((const float *)at)[i];
    case GRAM_KV_F16:
        return (double)gram_f32_from_f16(((const uint16_t *)at)[i]);
    default:
        return ((const int8_t *)at)[i];
    }
}

static double key_at(const struct kcheck *c, const struct gram_attend *a, int64_t i, int64_t d)
{
    const int64_t at = (i / GRAM_PANEL * a->dim + d) * GRAM_PANEL + i % GRAM_PANEL;
    return element(c, a->kv.keys, at) * (a->kv.key_scales ? (double)a->kv.key_scales[i] : 1.0);
}

static double value_at(const struct kcheck *c, const struct gram_attend *a, int64_t i, int64_t d)
{
    return element(c, a->kv.values, i * gram_attend_width(a->dim) + d) *
           (a->kv.value_scales ? (double)a->kv.value_scales[i] : 1.0);
}

/* A cache whose parts end at unreadable pages, all bits set: Not a Number where floats are. */
static struct gram_kv_head place_head(struct kcheck *c, int64_t positions, int64_t dim)
{
    const int64_t keys = gram_attend_keys_bytes(c->kv, positions, dim);
    const int64_t values = gram_attend_values_bytes(c->kv, positions, dim);
    const int64_t scales = gram_attend_scales_bytes(c->kv, positions);
    struct gram_kv_head kv = {.keys = place(c, LEFT, keys), .values = place(c, RIGHT, values)};

    if (scales > 0) {
        kv.key_scales = memset(place(c, FOURTH, scales), 0xff, (size_t)scales);
        kv.value_scales = memset(place(c, FIFTH, scales), 0xff, (size_t)scales);
    }
    memset(kv.keys, 0xff, (size_t)keys);
    memset(kv.values, 0xff, (size_t)values);
    return kv;
}

/* Filled by the kernel's own store; what lies behind the last key stays Not a Number. */
static void place_cache(struct kcheck *c, struct gram_attend *a, const struct shape *s)
{
    float key[MOST_DIM], value[MOST_DIM];

    a->kv = place_head(c, s->positions, s->dim);
    for (int64_t i = 0; i < s->positions; i++) {
        for (int64_t d = 0; d < s->dim; d++) {
            key[d] = uniform(c, s->range);
            value[d] = uniform(c, 1.0);
        }
        c->kernels->attend_store[c->kv](&a->kv, s->dim, i, key, value);
    }
}

static void place_queries(struct kcheck *c, struct gram_attend *a, const struct shape *s)
{
    float *q = place(c, THIRD, s->T * s->dim * (int64_t)sizeof *q);
    float *y = place_floats(c, OUT, s->T * s->dim, UNIT);

    for (int64_t t = 0; t < s->T; t++) {
        const int64_t end = s->positions - s->T / 2 + t; /* the last ones see everything */
        for (int64_t d = 0; d < s->dim; d++)
            q[t * s->dim + d] = uniform(c, 1.0);
        a->q[t] = q + t * s->dim;
        a->y[t] = y + t * s->dim;
        a->end[t] = end < 0 ? 0 : end > s->positions ? s->positions : end;
        a->first[t] = s->window && a->end[t] > s->window ? a->end[t] - s->window : 0;
    }
}

/* Scores of query t in p[]; returns how far off the worst may be. */
static double scores_of(const struct kcheck *c, const struct gram_attend *a, int64_t t, double *p)
{
    double worst = 0.0;
    for (int64_t i = a->first[t]; i < a->end[t]; i++) {
        double magnitude = 0.0;
        p[i] = 0.0;
        for (int64_t d = 0; d < a->dim; d++) {
            const double term = (double)a->q[t][d] * a->scale * key_at(c, a, i, d);
            p[i] += term;
            magnitude += fabs(term);
        }
        worst = fmax(worst, (double)(a->dim + 4) * FLT_EPSILON * magnitude);
    }
    return worst;
}

static void softmax_of(double *p, int64_t first, int64_t end)
{
    double top = -INFINITY, sum = 0.0;
    for (int64_t i = first; i < end; i++)
        top = fmax(top, p[i]);
    for (int64_t i = first; i < end; i++)
        sum += p[i] = exp(p[i] - top);
    for (int64_t i = first; i < end; i++)
        p[i] /= sum;
}

static void check_query(struct kcheck *c, const struct gram_attend *a, int64_t t)
{
    static double p[MOST_KEYS];
    const double off = scores_of(c, a, t, p);
    const double bound =
        2 * off + (6.0 + (double)(a->end[t] - a->first[t])) * FLT_EPSILON; /* |v| <= 1 */

    softmax_of(p, a->first[t], a->end[t]);
    for (int64_t d = 0; d < a->dim; d++) {
        double sum = 0.0;
        for (int64_t i = a->first[t]; i < a->end[t]; i++)
            sum += p[i] * value_at(c, a, i, d);
        if (!near(a->y[t][d], sum, bound))
            fail(c, "T %lld dim %lld keys [%lld, %lld): y[%lld][%lld] is %.9g, not %.9g",
                 (long long)a->T, (long long)a->dim, (long long)a->first[t], (long long)a->end[t],
                 (long long)t, (long long)d, (double)a->y[t][d], sum);
    }
}

/* A query alone, its result over the query itself, must have the bits that it has within the block.
 */
static void check_alone(struct kcheck *c, const struct gram_attend *a, int64_t t, float *scratch)
{
    float row[MOST_DIM];
    struct gram_attend alone = *a;

    memcpy(row, a->q[t], (size_t)a->dim * sizeof *row);
    alone.T = 1;
    alone.q[0] = alone.y[0] = row;
    alone.first[0] = a->first[t];
    alone.end[0] = a->end[t];
    c->kernels->attend[c->kv](&alone, scratch);
    if (memcmp(row, a->y[t], (size_t)a->dim * sizeof *row) != 0)
        fail(c, "T %lld dim %lld: query %lld differs alone", (long long)a->T, (long long)a->dim,
             (long long)t);
}

static void check_shape(struct kcheck *c, const struct shape *s)
{
    static _Alignas(64) float scratch[GRAM_ATTEND_QUERIES * (2 * MOST_DIM + GRAM_ATTEND_TILE) +
                                      GRAM_ATTEND_PIECE * 4 * GRAM_PANEL];
    struct gram_attend a = {.dim = s->dim, .T = s->T, .scale = (float)(1.0 / sqrt((double)s->dim))};

    place_cache(c, &a, s);
    place_queries(c, &a, s);
    c->kernels->attend[c->kv](&a, scratch);
    check_canaries(c, "attend");
    for (int64_t t = 0; t < s->T; t++) {
        check_query(c, &a, t);
        check_alone(c, &a, t, scratch);
    }
}

void check_attend(struct kcheck *c)
{
    static const int64_t queries[] = {1, 2, 3, 4, 5, 6, 7, 13, 16, 29, 48};
    static const int64_t dims[] = {4, 16, 40, 64, 80, 128, 160};
    static const int64_t positions[] = {1, 15, 16, 17, 100, 256, 257, 600};
    int64_t turn = 0;

    for (int i = 0; i < 11; i++)
        for (int j = 0; j < 7; j++)
            for (int k = 0; k < 8; k++, turn++) {
                const struct shape s = {queries[i], dims[j], positions[k],
                                        turn % 3 ? 0 : 1 + positions[k] / 2, turn % 2 ? 1.0 : 30.0};
                check_shape(c, &s);
            }
}

static void check_same(struct kcheck *c, const char *what, const void *got, const void *want,
                       int64_t bytes, int64_t dim)
{
    if (memcmp(got, want, (size_t)bytes) != 0)
        fail(c, "dim %lld: the %s are not those of ref", (long long)dim, what);
}

/* Keys of all magnitudes, one with a Not a Number and an infinity. */
static void check_stored(struct kcheck *c, int64_t positions, int64_t dim)
{
    static float keys[2 * GRAM_PANEL * MOST_DIM], values[24 * MOST_DIM];
    float key_scales[2 * GRAM_PANEL], value_scales[2 * GRAM_PANEL];
    const struct gram_kv_head kv = place_head(c, positions, dim);
    const struct gram_kv_head want = {keys, values, kv.key_scales ? key_scales : NULL,
                                      kv.key_scales ? value_scales : NULL};
    const int64_t scales = gram_attend_scales_bytes(c->kv, positions);

    memset(keys, 0xff, sizeof keys);
    memset(values, 0xff, sizeof values);
    memset(key_scales, 0xff, sizeof key_scales);
    memset(value_scales, 0xff, sizeof value_scales);
    for (int64_t i = 0; i < positions; i++) {
        float *key = place_floats(c, THIRD, dim, (enum kind)(i % N_KINDS));
        float *value = place_floats(c, OUT, dim, i % 2 ? WIDE : UNIT);
        if (i == 2)
            key[dim / 2] = NAN;
        if (i == 1)
            value[dim / 3] = -INFINITY;
        c->kernels->attend_store[c->kv](&kv, dim, i, key, value);
        c->ref->attend_store[c->kv](&want, dim, i, key, value);
        check_canaries(c, "attend_store");
    }
    check_same(c, "keys", kv.keys, keys, gram_attend_keys_bytes(c->kv, positions, dim), dim);
    check_same(c, "values", kv.values, values, gram_attend_values_bytes(c->kv, positions, dim), dim);
    if (scales > 0) {
        check_same(c, "scales of keys", kv.key_scales, key_scales, scales, dim);
        check_same(c, "scales of values", kv.value_scales, value_scales, scales, dim);
    }
}

/* What int8 codes stand for is within half a scale of what was stored. */
static void check_codes(struct kcheck *c)
{
    const int64_t dim = 64;
    struct gram_attend a = {.kv = place_head(c, 1, dim), .dim = dim};
    const float *x = place_floats(c, THIRD, dim, UNIT);

    if (!a.kv.key_scales)
        return;
    c->kernels->attend_store[c->kv](&a.kv, dim, 0, x, x);
    for (int64_t d = 0; d < dim; d++) {
        const double half = 0.5001 * (double)a.kv.key_scales[0];
        if (!near(x[d], key_at(c, &a, 0, d), half) || !near(x[d], value_at(c, &a, 0, d), half))
            fail(c, "%.9g was stored as %.9g and %.9g", (double)x[d], key_at(c, &a, 0, d),
                 value_at(c, &a, 0, d));
    }
}

void check_attend_store(struct kcheck *c)
{
    for (int64_t dim = 1; dim <= MOST_DIM; dim += dim < 70 ? 1 : 15)
        check_stored(c, 3 + dim % 18, dim);
    check_codes(c);
}
