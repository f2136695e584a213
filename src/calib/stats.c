/*
 * Columns are shared out between threads, tokens are walked in order: no sum depends on how many
 * threads there are.
 */
#include "calib/stats.h"

#include <math.h>

#include "base/checked.h"
#include "calib/histogram.h"

enum { PART = 64 }; /* columns that one thread walks at a time */

static bool take(float **out, struct gram_input_stats *s, unsigned need, int64_t count,
                 struct gram_arena *arena)
{
    if (s->needs & need)
        *out = gram_arena_take(arena, (size_t)count, sizeof **out);
    return *out || !(s->needs & need);
}

bool gram_stats_open(struct gram_input_stats *stats, unsigned needs, int64_t cols,
                     struct gram_arena *arena)
{
    const size_t parts = (size_t)gram_ceil_div(cols, PART);
    int64_t square;

    *stats = (struct gram_input_stats){.cols = cols};
    stats->needs = needs & GRAM_NEED_HISTOGRAM ? needs | GRAM_NEED_RANGE : needs;
    if (!gram_mul_i64(&square, cols, cols))
        return false;
    bool ok = take(&stats->low, stats, GRAM_NEED_RANGE, cols, arena) &&
              take(&stats->high, stats, GRAM_NEED_RANGE, cols, arena) &&
              take(&stats->absmax, stats, GRAM_NEED_RANGE, cols, arena) &&
              take(&stats->mean_abs, stats, GRAM_NEED_MEAN_ABS, cols, arena) &&
              take(&stats->mean, stats, GRAM_NEED_MEAN, cols, arena) &&
              take(&stats->wanted, stats, GRAM_NEED_MEAN, cols, arena) &&
              take(&stats->drift, stats, GRAM_NEED_DRIFT, square, arena) &&
              take(&stats->gram, stats, GRAM_NEED_GRAM, square, arena);
    ok = ok && (stats->parts = gram_arena_take(arena, parts, sizeof *stats->parts));
    ok = ok && (stats->abs_sum = gram_arena_take(arena, (size_t)cols, sizeof *stats->abs_sum));
    ok = ok && (stats->sum = gram_arena_take(arena, (size_t)cols, sizeof *stats->sum));
    ok = ok && (stats->wanted_sum = gram_arena_take(arena, (size_t)cols, sizeof *stats->wanted_sum));
    if (ok && needs & GRAM_NEED_GRAM)
        ok = gram_cross_open(&stats->cross, stats->gram, cols, arena);
    if (ok && needs & GRAM_NEED_DRIFT)
        ok = gram_drift_open(&stats->drifted, stats->drift, cols, arena);
    if (ok && needs & GRAM_NEED_HISTOGRAM)
        ok = (stats->histogram = gram_histogram_open(GRAM_HISTOGRAM_BINS, arena)) != NULL;
    return ok;
}

struct window {
    struct gram_input_stats *stats;
    const float *x;
    int64_t n;
};

/* The range of columns [begin, end) of the window, into that of all windows; and of all of them at once. */
static struct gram_window_range add_range(const struct window *w, int64_t begin, int64_t end)
{
    struct gram_input_stats *s = w->stats;
    const float *x = w->x + begin;
    const int64_t n = end - begin, cols = s->cols;
    float low[PART], high[PART];
    struct gram_window_range all = {x[0], x[0]};

    for (int64_t k = 0; k < n; k++)
        low[k] = high[k] = x[k];
    for (int64_t t = 1; t < w->n; t++) {
        for (int64_t k = 0; k < n; k++) {
            const float value = x[t * cols + k];
            low[k] = value < low[k] ? value : low[k];
            high[k] = value > high[k] ? value : high[k];
        }
    }
    for (int64_t k = 0; k < n; k++) {
        const int64_t c = begin + k;
        s->low[c] = s->tokens == 0 || low[k] < s->low[c] ? low[k] : s->low[c];
        s->high[c] = s->tokens == 0 || high[k] > s->high[c] ? high[k] : s->high[c];
        all.low = low[k] < all.low ? low[k] : all.low;
        all.high = high[k] > all.high ? high[k] : all.high;
    }
    return all;
}

static void add_abs(const struct window *w, int64_t begin, int64_t end)
{
    double *sum = w->stats->abs_sum;

    for (int64_t t = 0; t < w->n; t++) {
        for (int64_t k = begin; k < end; k++)
            sum[k] += (double)fabsf(w->x[t * w->stats->cols + k]);
    }
}

static void add_values(double *sum, const float *x, int64_t n, int64_t cols, int64_t begin, int64_t end)
{
    for (int64_t t = 0; t < n; t++) {
        for (int64_t k = begin; k < end; k++)
            sum[k] += (double)x[t * cols + k];
    }
}

static void add_parts(void *context, int64_t begin, int64_t end, int worker)
{
    const struct window *w = context;
    struct gram_input_stats *s = w->stats;

    (void)worker;
    for (int64_t part = begin; part < end; part++) {
        const int64_t from = part * PART, to = gram_min_i64(from + PART, s->cols);
        if (s->needs & GRAM_NEED_RANGE)
            s->parts[part] = add_range(w, from, to);
        if (s->needs & GRAM_NEED_MEAN_ABS)
            add_abs(w, from, to);
        if (s->needs & GRAM_NEED_MEAN)
            add_values(s->sum, w->x, w->n, s->cols, from, to);
    }
}

static struct gram_window_range range_of_window(const struct gram_input_stats *s)
{
    struct gram_window_range all = s->parts[0];

    for (int64_t part = 1; part < gram_ceil_div(s->cols, PART); part++) {
        all.low = fminf(all.low, s->parts[part].low);
        all.high = fmaxf(all.high, s->parts[part].high);
    }
    return all;
}

void gram_stats_add(struct gram_input_stats *stats, const struct gram_kernels *kernels,
                    struct gram_pool *pool, const float *x, int64_t n)
{
    struct window w = {stats, x, n};

    if (n == 0)
        return;
    stats->kernels = kernels;
    stats->pool = pool;
    if (stats->needs & (GRAM_NEED_RANGE | GRAM_NEED_MEAN_ABS | GRAM_NEED_MEAN))
        gram_pool_for(pool, gram_ceil_div(stats->cols, PART), 1, add_parts, &w);
    if (stats->needs & GRAM_NEED_RANGE) {
        const struct gram_window_range all = range_of_window(stats);
        const float weight = stats->tokens == 0 ? 1.0f : GRAM_MOVING_WEIGHT;
        if (stats->tokens == 0)
            stats->first = all;
        stats->moving_low += weight * (all.low - stats->moving_low);
        stats->moving_high += weight * (all.high - stats->moving_high);
        if (stats->histogram)
            gram_histogram_add(stats->histogram, pool, x, n * stats->cols, all.low, all.high);
    }
    if (stats->needs & GRAM_NEED_GRAM)
        gram_cross_add(&stats->cross, kernels, pool, x, n);
    stats->tokens += n;
    stats->windows++;
}

void gram_stats_add_wanted(struct gram_input_stats *stats, const struct gram_kernels *kernels,
                           struct gram_pool *pool, const float *x, const float *wanted, int64_t n)
{
    gram_drift_add(&stats->drifted, kernels, pool, x, wanted, n);
    if (stats->needs & GRAM_NEED_MEAN)
        add_values(stats->wanted_sum, wanted, n, stats->cols, 0, stats->cols);
}

static void divide(float *mean, const double *sum, const struct gram_input_stats *stats)
{
    for (int64_t k = 0; mean && k < stats->cols; k++)
        mean[k] = (float)(sum[k] / (double)stats->tokens);
}

void gram_stats_close(struct gram_input_stats *stats)
{
    if (stats->tokens == 0)
        return;
    for (int64_t k = 0; stats->absmax && k < stats->cols; k++)
        stats->absmax[k] = fmaxf(fabsf(stats->low[k]), fabsf(stats->high[k]));
    for (int64_t i = 0; stats->drift && i < stats->cols * stats->cols; i++)
        stats->drift[i] /= (float)stats->tokens;
    divide(stats->mean_abs, stats->abs_sum, stats);
    divide(stats->mean, stats->sum, stats);
    divide(stats->wanted, stats->drift ? stats->wanted_sum : stats->sum, stats);
    if (stats->gram)
        gram_cross_close(&stats->cross, stats->kernels, stats->pool,
                         1.0f / (float)stats->tokens);
}
