/*
 * What calibration knows of the inputs of linears. Linears that read the same value share one
 * entry. Sums run over tokens in their order, whatever the number of threads.
 */
#ifndef GRAM_CALIB_STATS_H
#define GRAM_CALIB_STATS_H

#include <stdint.h>
#include <gram/job.h>
#include "base/arena.h"
#include "base/comm.h"
#include "base/error.h"
#include "base/pool.h"
#include "calib/cross.h"
#include "calib/drift.h"
#include "kernels/kernels.h"

/* What a method or a transform asks for; one pass collects the union. */
enum gram_need {
    GRAM_NEED_RANGE = 1 << 0,     /* low, high, absmax per channel, and of all */
    GRAM_NEED_MEAN_ABS = 1 << 1,  /* mean |x| per channel */
    GRAM_NEED_GRAM = 1 << 2,      /* X'X / tokens */
    GRAM_NEED_HISTOGRAM = 1 << 3, /* of all values, for clipping */
    GRAM_NEED_DRIFT = 1 << 4,     /* how far it is from what it is in the float model (drift.h) */
    GRAM_NEED_MEAN = 1 << 5,      /* mean x per channel, and what it should be if there is drift */
};

/* averaging_constant of torch's MovingAverageMinMaxObserver */
#define GRAM_MOVING_WEIGHT 0.01f

/* See calib/histogram.h. */
struct gram_histogram;

struct gram_window_range {
    float low, high;
};

/* Of one value [tokens, cols]. Fields that were not asked for are NULL. */
struct gram_input_stats {
    unsigned needs; /* enum gram_need */
    int64_t cols;
    int64_t tokens;
    float *low, *high;    /* [cols] */
    float *absmax;        /* [cols] */
    float *mean_abs;      /* [cols] */
    float *mean, *wanted; /* [cols]: of x, and of x in the float model; the latter if drift is measured */
    float *drift;         /* [cols][cols]: mean over tokens of x (wanted - x)' */
    float *gram;          /* [cols][cols], whole and symmetric: mean over tokens of x x' */
    float moving_low, moving_high; /* of all channels: averaged over windows with GRAM_MOVING_WEIGHT */
    struct gram_window_range first; /* what they began with */
    int64_t windows;
    struct gram_histogram *histogram;

    /* Of the sums while tokens are added. */
    const struct gram_kernels *kernels;
    struct gram_pool *pool;
    double *abs_sum, *sum, *wanted_sum; /* [cols] */
    struct gram_window_range *parts; /* of the window at hand, by parts of the columns */
    struct gram_cross cross;
    struct gram_drift drifted;
};

/* Zero bytes are an empty one. Memory comes from `arena`. False if it ran out. */
bool gram_stats_open(struct gram_input_stats *stats, unsigned needs, int64_t cols, struct gram_arena *arena);
/* Add n tokens x[n][cols], finite: one window. kernels and pool must live until gram_stats_close(). */
void gram_stats_add(struct gram_input_stats *stats, const struct gram_kernels *kernels,
                    struct gram_pool *pool, const float *x, int64_t n);
/* Before them: what these n tokens are in the float model; if drift is measured. */
void gram_stats_add_wanted(struct gram_input_stats *stats, const struct gram_kernels *kernels,
                           struct gram_pool *pool, const float *x, const float *wanted, int64_t n);
/* After the last window: sums become means, X'X is made whole. */
void gram_stats_close(struct gram_input_stats *stats);
/*
 * Then, where ranks have seen a share of the windows each, at least one: put together what all have seen, as
 * if one had seen them in the order of ranks, to rounding (histograms: to the width of a bin); the same bits
 * on every rank. comm NULL: nothing to do. Errors of gram_comm_sum(), GRAM_ENOMEM.
 */
enum gram_status gram_stats_share(struct gram_input_stats *stats, struct gram_comm *comm,
                                  const struct gram_job *job, struct gram_error *err);

#endif
