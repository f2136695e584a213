/* The optimizer of HQQ on runs of weights, each with a scale and a float zero point. */
#ifndef GRAM_QUANT_HQQ_H
#define GRAM_QUANT_HQQ_H

#include <stdbool.h>
#include <stdint.h>

/* What the reference calls lp_norm, beta, iters. Its kappa, by which beta is said to grow, has no effect: its
 * results are those of a beta that stays. */
struct gram_hqq_options {
    float norm;
    double beta;
    int64_t iterations; /* 0: the range as it is */
    bool round_zero;    /* before the first iteration */
};
#define GRAM_HQQ_OPTIONS_INIT {0.7f, 10.0, 20, false}

/*
 * codes [runs][n], scale [runs] and zero [runs] for x[runs][n]: w = (code - zero) * scale, codes
 * 0..2^bits - 1. All runs stop together, when their mean |error| no longer falls, as in the reference.
 */
void gram_hqq_optimize(uint8_t *codes, float *scale, float *zero, const float *x, int64_t runs,
                       int64_t n, int bits, const struct gram_hqq_options *options);

/* argmin over e of |e|^norm + beta / 2 (x - e)^2, to first order: the shrinkage of the reference. */
float gram_hqq_shrink(float x, double beta, float norm);

#endif
