/*
 * How far the inputs x of a linear have drifted from those of the float model, `wanted`, as far as x
 * tells: D, the mean over tokens of x (wanted - x)'. With G, the mean of x x', the weights that come
 * nearest to the float model's outputs are W + W D' G^-1 (least squares; the objective of Li et al. 2025,
 * GPTAQ, "Efficient Finetuning-Free Quantization for Asymmetric Calibration").
 */
#ifndef GRAM_CALIB_DRIFT_H
#define GRAM_CALIB_DRIFT_H

#include "base/arena.h"
#include "base/pool.h"
#include "kernels/kernels.h"

struct gram_drift {
    int64_t cols;
    float *sum;           /* [cols][cols]: row of x, column of wanted - x */
    float *inputs, *gaps; /* [cols][tokens of a batch] */
};

/* sum[cols][cols] is the caller's, zeroed. False if memory ran out. */
bool gram_drift_open(struct gram_drift *drift, float *sum, int64_t cols, struct gram_arena *arena);
/* Add n tokens: x[n][cols]
 * as they are, wanted[n][cols] as they are in the float model. */
void gram_drift_add(struct gram_drift *drift, const struct gram_kernels *kernels, struct gram_pool *pool,
                    const float *x, const float *wanted, int64_t n);

#endif
