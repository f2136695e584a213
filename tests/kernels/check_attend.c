/*
 * Attention over an f16 cache against sums in double over the cache's own values, so that only the
 * rounding of f32 is judged: a score is off by (dim + 2) FLT_EPSILON sum |scale q k| at most, a
 * weight relative to the others by twice that and 4 FLT_EPSILON for its exponential, the result by
 * that and FLT_EPSILON a key, of max |v|.
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

/* A cache whose keys and values end at unreadable pages, filled by the kernel's own store. What
 * lies in the last panel behind the last key is Not a Number. */
static void place_cache(struct kcheck *c, struct gram_attend *a, const struct shape *s)
{
    const int64_t keys = gram_attend_keys(s->positions, s->dim);
    const int64_t values = gram_attend_values(s->positions, s->dim);
    uint16_t *k = place(c, LEFT, keys * 2), *v = place(c, RIGHT, values * 2);
    float key[MOST_DIM], value[MOST_DIM];

    memset(k, 0xff, (size_t)keys * 2);
    for (int64_t i = 0; i < s->positions; i++) {
        for (int64_t d = 0; d < s->dim; d++) {
            key[d] = uniform(c, s->range);
            value[d] = uniform(c, 1.0);
        }
        c->kernels->attend_store(k, v, s->dim, i, key, value);
    }
    a->keys = k;
    a->values = v;
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
static double scores_of(const struct gram_attend *a, int64_t t, double *p)
{
    double worst = 0.0;
    for (int64_t i = a->first[t]; i < a->end[t]; i++) {
        const uint16_t *k = a->keys + i / GRAM_PANEL * a->dim * GRAM_PANEL + i % GRAM_PANEL;
        double magnitude = 0.0;
        p[i] = 0.0;
        for (int64_t d = 0; d < a->dim; d++) {
            const double term =
                (double)a->q[t][d] * a->scale * (double)gram_f32_from_f16(k[d * GRAM_PANEL]);
            p[i] += term;
            magnitude += fabs(term);
        }
        worst = fmax(worst, (double)(a->dim + 2) * FLT_EPSILON * magnitude);
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
    const int64_t width = gram_attend_width(a->dim);
    const double off = scores_of(a, t, p);
    const double bound =
        2 * off + (4.0 + (double)(a->end[t] - a->first[t])) * FLT_EPSILON; /* |v| <= 1 */

    softmax_of(p, a->first[t], a->end[t]);
    for (int64_t d = 0; d < a->dim; d++) {
        double sum = 0.0;
        for (int64_t i = a->first[t]; i < a->end[t]; i++)
            sum += p[i] * (double)gram_f32_from_f16(a->values[i * width + d]);
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
    c->kernels->attend(&alone, scratch);
    if (memcmp(row, a->y[t], (size_t)a->dim * sizeof *row) != 0)
        fail(c, "T %lld dim %lld: query %lld differs alone", (long long)a->T, (long long)a->dim,
             (long long)t);
}

static void check_shape(struct kcheck *c, const struct shape *s)
{
    static _Alignas(64) float scratch[GRAM_ATTEND_QUERIES * (2 * MOST_DIM + GRAM_ATTEND_TILE)];
    struct gram_attend a = {.dim = s->dim, .T = s->T, .scale = (float)(1.0 / sqrt((double)s->dim))};

    place_cache(c, &a, s);
    place_queries(c, &a, s);
    c->kernels->attend(&a, scratch);
    check_canaries(c, "attend");
    for (int64_t t = 0; t < s->T; t++) {
        check_query(c, &a, t);
        check_alone(c, &a, t, scratch);
    }
}

void check_attend(struct kcheck *c)
{
    static const int64_t queries[] = {1, 2, 3, 4, 5, 6, 7, 12, 13, 16};
    static const int64_t dims[] = {4, 16, 40, 64, 80, 128, 160};
    static const int64_t positions[] = {1, 15, 16, 17, 100, 256, 257, 600};
    int64_t turn = 0;

    for (int i = 0; i < 10; i++)
        for (int j = 0; j < 7; j++)
            for (int k = 0; k < 8; k++, turn++) {
                const struct shape s = {queries[i], dims[j], positions[k],
                                        turn % 3 ? 0 : 1 + positions[k] / 2, turn % 2 ? 1.0 : 30.0};
                check_shape(c, &s);
            }
}

void check_attend_store(struct kcheck *c)
{
    for (int64_t dim = 1; dim <= MOST_DIM; dim += dim < 70 ? 1 : 15) {
        const int64_t positions = 3 + dim % 18;
        const int64_t keys = gram_attend_keys(positions, dim) * 2;
        const int64_t values = gram_attend_values(positions, dim) * 2;
        uint16_t *k = place(c, OUT, keys), *v = place(c, THIRD, values);
        uint16_t want_k[2 * GRAM_PANEL * MOST_DIM], want_v[24 * MOST_DIM];

        memset(k, 0, (size_t)keys);
        memset(want_k, 0, (size_t)keys);
        for (int64_t i = 0; i < positions; i++) {
            const float *key = place_floats(c, LEFT, dim, (enum kind)(dim % N_KINDS));
            const float *value = place_floats(c, RIGHT, dim, WIDE);
            c->kernels->attend_store(k, v, dim, i, key, value);
            c->ref->attend_store(want_k, want_v, dim, i, key, value);
            check_canaries(c, "attend_store");
        }
        if (memcmp(k, want_k, (size_t)keys) != 0 || memcmp(v, want_v, (size_t)values) != 0)
            fail(c, "dim %lld: the cache is not that of ref", (long long)dim);
    }
}
