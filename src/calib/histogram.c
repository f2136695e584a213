#include "calib/histogram.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"

struct gram_histogram *gram_histogram_open(int bins, struct gram_arena *arena)
{
    struct gram_histogram *h = gram_arena_take(arena, 1, sizeof *h);

    GRAM_ASSERT(bins >= 2 && bins <= GRAM_HISTOGRAM_BINS && bins % 2 == 0);
    if (!h)
        return NULL;
    h->bins = bins;
    h->parts = gram_arena_take(arena, GRAM_HISTOGRAM_PARTS, sizeof *h->parts);
    return h->parts ? h : NULL;
}

/* The range of the first values; one that is empty is given a width. */
static void begin_range(struct gram_histogram *h, double low, double high)
{
    h->is_begun = true;
    h->low = low;
    h->high = high > low ? high : low + fmax(fabs(low), 1.0) * 0x1p-10;
}

/* Pairs of bins become one, in the lower or the upper half of a range twice as wide. */
static void double_range(struct gram_histogram *h, bool downwards)
{
    double count[GRAM_HISTOGRAM_BINS] = {0};
    const int half = h->bins / 2;

    for (int b = 0; b < half; b++)
        count[b + (downwards ? half : 0)] = h->count[2 * b] + h->count[2 * b + 1];
    memcpy(h->count, count, sizeof count);
    if (downwards)
        h->low -= h->high - h->low;
    else
        h->high += h->high - h->low;
}

struct counting {
    struct gram_histogram *h;
    const float *x;
    int64_t n;
};

static void count_parts(void *context, int64_t begin_part, int64_t end_part, int worker)
{
    const struct counting *c = context;
    const double low = c->h->low, per_width = c->h->bins / (c->h->high - low);
    const int last = c->h->bins - 1;

    (void)worker;
    for (int64_t part = begin_part; part < end_part; part++) {
        uint32_t *count = c->h->parts[part];
        const int64_t end = c->n * (part + 1) / GRAM_HISTOGRAM_PARTS;
        for (int64_t i = c->n * part / GRAM_HISTOGRAM_PARTS; i < end; i++) {
            const int bin = (int)((c->x[i] - low) * per_width);
            count[bin > last ? last : bin]++;
        }
    }
}

/* At most 2^31 values, so that no part overflows. */
static void count_values(struct gram_histogram *h, struct gram_pool *pool, const float *x, int64_t n)
{
    struct counting c = {h, x, n};

    memset(h->parts, 0, GRAM_HISTOGRAM_PARTS * sizeof *h->parts);
    gram_pool_for(pool, GRAM_HISTOGRAM_PARTS, 1, count_parts, &c);
    for (int part = 0; part < GRAM_HISTOGRAM_PARTS; part++) {
        for (int b = 0; b < h->bins; b++)
            h->count[b] += h->parts[part][b];
    }
}

/* The range grows until it holds [low, high]. */
static void widen(struct gram_histogram *h, double low, double high)
{
    while (low < h->low)
        double_range(h, true);
    while (high > h->high)
        double_range(h, false);
}

void gram_histogram_add(struct gram_histogram *h, struct gram_pool *pool, const float *x, int64_t n,
                        float low, float high)
{
    const int64_t most = INT64_C(1) << 31;

    if (n == 0)
        return;
    if (!h->is_begun)
        begin_range(h, low, high);
    widen(h, low, high);
    for (int64_t at = 0; at < n; at += most)
        count_values(h, pool, x + at, gram_min_i64(most, n - at));
}

void gram_histogram_take(struct gram_histogram *h, const double *count, double low, double high)
{
    begin_range(h, low, high);
    memcpy(h->count, count, (size_t)h->bins * sizeof *count);
}

void gram_histogram_merge(struct gram_histogram *h, const double *count, double low, double high)
{
    widen(h, low, high);
    const double per_width = h->bins / (h->high - h->low), width = (high - low) / h->bins;
    for (int b = 0; b < h->bins; b++) {
        const int bin = (int)((low + (b + 0.5) * width - h->low) * per_width);
        h->count[bin < h->bins ? bin : h->bins - 1] += count[b];
    }
}
