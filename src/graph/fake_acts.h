/*
 * Activations in training as the int8 that they will be: what a linear reads is rounded to codes and back,
 * and gradients pass through the rounding (the straight-through estimator, Bengio et al. 2013). Either each
 * token has its own scale, found as it comes, or all of them share one, which follows a moving average of
 * what is seen (torch's FusedMovingAvgObsFakeQuantize), is learned (LSQ, Esser et al. 2020), or stands.
 */
#ifndef GRAM_GRAPH_FAKE_ACTS_H
#define GRAM_GRAPH_FAKE_ACTS_H

#include <stdbool.h>
#include "base/pool.h"
#include "kernels/kernels.h"

/* y = (clamp(round half to even(x * (1 / scale)) + zero, low, high) - zero) * scale */
struct gram_fake_levels {
    float scale, zero, low, high;
};

/* What a range that is seen batch by batch comes to. */
struct gram_moving_range {
    float low, high;
    float batches; /* that were seen; 0: none yet */
};

/* Of all linears that read one value. */
struct gram_fake_acts {
    bool is_shared;       /* one scale for all; else each token has its own */
    float outlier;        /* of each its own: inputs of this magnitude and more stay as they are; 0: none */
    float scale;          /* ... positive, once a call was seen */
    bool is_watched;      /* calls move the range, and the scale with it */
    struct gram_moving_range range;
    float log, g_log;     /* log(scale / that of the range), and d loss / d it, which is added to */
};

/* The first batch as it is, each later one with weight 0.01. */
void gram_moving_range_add(struct gram_moving_range *range, float low, float high);

/* The scale by which int8 holds all of it, at least 2^-23 (ChooseQuantizationParams of torch, symmetric). */
float gram_moving_range_scale(const struct gram_moving_range *range);

/* y[n] from x[n]. */
void gram_fake_round(float *y, const float *x, int64_t n, struct gram_fake_levels levels);
/*
 * g[n] = d loss / d y becomes d loss / d x: as it is where x is within the levels, 0 where it is cut off.
 * Returns d loss / d log scale; *g_zero (or NULL) receives d loss / d zero.
 */
double gram_fake_pull_levels(float *g, const float *x, const float *y, int64_t n,
                             struct gram_fake_levels levels, double *g_zero);

/* What a call rounds with. */
struct gram_fake_call {
    struct gram_fake_acts *acts;
    const struct gram_kernels *kernels;
    struct gram_pool *pool;
    const float *x; /* [rows][cols]: what the linears read */
    float *y;       /* [rows][cols]: what they are multiplied with */
    double *sums;   /* [rows] */
    int64_t rows, cols;
};

/* Fill y. is_watching: this call moves the range of what is watched, as the first one always does. */
void gram_fake_acts_round(const struct gram_fake_call *call, bool is_watching);
/* dx[rows][cols] += d loss / d x, g[rows][cols] = d loss / d y, which is lost; g_log is added to, LSQ's
 * 1 / sqrt(cols * greatest code) of it. */
void gram_fake_acts_pull(const struct gram_fake_call *call, float *dx, float *g);

#endif
