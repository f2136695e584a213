/*
 * X'X over the tokens of a calibration, the second moments of the inputs of a linear (the Hessian of
 * its squared output error, up to a factor: Frantar et al. 2022, GPTQ).
 *
 * Tokens are kept until a batch is full, then multiplied in tiles of the upper triangle: the columns
 * of the batch are rows of a float linear, its rows are the panels of the weight. Each element is one
 * chain in the order of tokens within a batch, and batches are added in order, so the bits depend on
 * the tokens alone: not on how they were cut into windows, nor on the number of threads.
 */
#ifndef GRAM_CALIB_CROSS_H
#define GRAM_CALIB_CROSS_H

#include "base/arena.h"
#include "base/pool.h"
#include "kernels/kernels.h"

struct gram_cross {
    int64_t cols;
    int64_t filled;   /* tokens of the batch at hand */
    float *panels;    /* [panels of 16 columns][batch][16]: the batch, token by token */
    float *columns;   /* [cols][stride]: the same, column by column */
    float *sum;       /* [cols][cols]: of full batches, upper triangle (and some of the lower) */
};

/* sum[cols][cols] is the caller's, zeroed. False if memory ran out. */
bool gram_cross_open(struct gram_cross *cross, float *sum, int64_t cols, struct gram_arena *arena);
/* Add tokens x[n][cols]. */
void gram_cross_add(struct gram_cross *cross, const struct gram_kernels *kernels,
                    struct gram_pool *pool, const float *x, int64_t n);
/* Add the batch at hand; then make sum whole and symmetric, times `factor`. */
void gram_cross_close(struct gram_cross *cross, const struct gram_kernels *kernels,
                      struct gram_pool *pool, float factor);

#endif
