/*
 * Statistics of ranks that have seen a share of the windows each, put together. Means are added with the
 * shares of tokens as weights, ranges are widened, in the order of ranks: every rank gets the same bits.
 * Counts go to the bins of rank 0, whose range grows until it holds all; where bins do not lie in each other
 * they go where their middle lies, so clipping differs from that of one process by the width of a bin.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "calib/histogram.h"
#include "calib/stats.h"

struct sharing {
    struct gram_input_stats *stats;
    struct gram_comm *comm;
    const struct gram_job *job;
    struct gram_error *err;
    int rank, size;
};

static enum gram_status add_means(const struct sharing *s, float *mean, int64_t n, float share)
{
    for (int64_t i = 0; mean && i < n; i++)
        mean[i] *= share;
    return mean ? gram_comm_sum(s->comm, mean, n, s->job, s->err) : GRAM_OK;
}

/* Every rank's x[n], one under the other; free() it. NULL if memory ran out. */
static double *gather_room(const struct sharing *s, int64_t n)
{
    return calloc((size_t)s->size * (size_t)n, sizeof(double));
}

static enum gram_status gather(const struct sharing *s, double *all, int64_t n)
{
    return gram_comm_sum_f64(s->comm, all, s->size * n, s->job, s->err);
}

static enum gram_status widen_ranges(const struct sharing *s)
{
    struct gram_input_stats *t = s->stats;
    double *all = gather_room(s, 2 * t->cols);

    if (!all)
        return gram_fail_memory(s->err, "calibration statistics");
    for (int64_t k = 0; k < t->cols; k++) {
        all[2 * (s->rank * t->cols + k)] = (double)t->low[k];
        all[2 * (s->rank * t->cols + k) + 1] = (double)t->high[k];
    }
    const enum gram_status status = gather(s, all, 2 * t->cols);
    for (int64_t i = 0; status == GRAM_OK && i < s->size * t->cols; i++) {
        const int64_t k = i % t->cols;
        t->low[k] = fminf(t->low[k], (float)all[2 * i]);
        t->high[k] = fmaxf(t->high[k], (float)all[2 * i + 1]);
        t->absmax[k] = fmaxf(fabsf(t->low[k]), fabsf(t->high[k]));
    }
    free(all);
    return status;
}

/* A share began with its own first window x; had it begun with what was before it, m, then m - x would have
 * faded by its windows. */
static enum gram_status chain_moving(const struct sharing *s)
{
    struct gram_input_stats *t = s->stats;
    enum { LOW, HIGH, FIRST_LOW, FIRST_HIGH, FADED, N };
    double *all = gather_room(s, N);

    if (!all)
        return gram_fail_memory(s->err, "calibration statistics");
    double *own = all + s->rank * N;
    own[LOW] = (double)t->moving_low;
    own[HIGH] = (double)t->moving_high;
    own[FIRST_LOW] = (double)t->first.low;
    own[FIRST_HIGH] = (double)t->first.high;
    own[FADED] = pow(1 - GRAM_MOVING_WEIGHT, (double)t->windows);
    const enum gram_status status = gather(s, all, N);
    double low = all[LOW], high = all[HIGH];
    for (int r = 1; r < s->size; r++) {
        const double *at = all + r * N;
        low = at[LOW] + at[FADED] * (low - at[FIRST_LOW]);
        high = at[HIGH] + at[FADED] * (high - at[FIRST_HIGH]);
    }
    t->moving_low = (float)low;
    t->moving_high = (float)high;
    free(all);
    return status;
}

static enum gram_status add_counts(const struct sharing *s)
{
    const int64_t n = GRAM_HISTOGRAM_BINS + 2;
    double *all = gather_room(s, n);

    if (!all)
        return gram_fail_memory(s->err, "calibration statistics");
    memcpy(all + s->rank * n, s->stats->histogram->count, GRAM_HISTOGRAM_BINS * sizeof *all);
    all[s->rank * n + n - 2] = s->stats->histogram->low;
    all[s->rank * n + n - 1] = s->stats->histogram->high;
    const enum gram_status status = gather(s, all, n);
    for (int r = 0; status == GRAM_OK && r < s->size; r++) {
        const double *from = all + r * n;
        if (r == 0)
            gram_histogram_take(s->stats->histogram, from, from[n - 2], from[n - 1]);
        else
            gram_histogram_merge(s->stats->histogram, from, from[n - 2], from[n - 1]);
    }
    free(all);
    return status;
}

enum gram_status gram_stats_share(struct gram_input_stats *stats, struct gram_comm *comm,
                                  const struct gram_job *job, struct gram_error *err)
{
    const struct sharing s = {stats, comm, job, err, gram_comm_rank(comm), gram_comm_size(comm)};
    double tokens = (double)stats->tokens;
    int64_t square;

    if (!comm)
        return GRAM_OK;
    GRAM_TRY(gram_comm_sum_f64(comm, &tokens, 1, job, err));
    const float share = (float)((double)stats->tokens / tokens);
    GRAM_ASSERT(gram_mul_i64(&square, stats->cols, stats->cols));
    GRAM_TRY(add_means(&s, stats->mean_abs, stats->cols, share));
    GRAM_TRY(add_means(&s, stats->mean, stats->cols, share));
    GRAM_TRY(add_means(&s, stats->wanted, stats->cols, share));
    GRAM_TRY(add_means(&s, stats->gram, square, share));
    GRAM_TRY(add_means(&s, stats->drift, square, share));
    if (stats->needs & GRAM_NEED_RANGE) {
        GRAM_TRY(widen_ranges(&s));
        GRAM_TRY(chain_moving(&s));
    }
    if (stats->histogram)
        GRAM_TRY(add_counts(&s));
    stats->tokens = (int64_t)tokens;
    return GRAM_OK;
}
