/*
 * Grids: from weights to codes and back. Weights that share a scale are one run of floats x[n]. On an
 * integer grid their codes q lie in -2^(bits-1) .. 2^(bits-1) - 1 and stand for (q - zero) * scale;
 * they are stored unsigned, q + 2^(bits-1). On a codebook a code stands for a value of its table times
 * the scale. All of this is plain float arithmetic in a fixed order: the same bytes on every processor
 * and for every compiler.
 */
#ifndef GRAM_TENSOR_GRID_H
#define GRAM_TENSOR_GRID_H

#include <stdbool.h>
#include <stdint.h>
#include <gram/tensor.h>
#include "tensor/codebook.h"

struct gram_grid {
    int bits; /* 2..8 */
    bool asymmetric;
    enum gram_dtype scale_dtype; /* f32, f16, bf16: every scale is one of its values */
    const struct gram_codebook *codebook; /* NULL: integers */
    bool is_ternary; /* integers -1, 0, 1 of 2 bits, scale = mean |x| (BitNet b1.58, Ma et al. 2024) */
};

/* low <= 0 <= high. Zero bytes are the range of no weights at all. */
struct gram_range {
    float low, high;
    double magnitude; /* sum |x| over count weights */
    int64_t count;
};

/* scale is finite and positive, or 0 for zeros on a codebook that keeps them; zero is a code, 0 on a
 * symmetric grid. */
struct gram_step {
    float scale;
    int zero;
};

/* Extend *range to hold x[n]. False, and nothing changed, if one of them is NaN or Inf. */
bool gram_range_add(struct gram_range *range, const float *x, int64_t n);
/* The range of both: the same bits only for the same order of calls. */
void gram_range_merge(struct gram_range *range, const struct gram_range *other);
/* The range of share * x. */
struct gram_range gram_range_scaled(struct gram_range range, float share);

/*
 * The step that spreads the codes over the range (calculate_qparams of compressed-tensors):
 * symmetric, scale = max(-low, high) / ((2^bits - 1) / 2); asymmetric, scale = (high - low) /
 * (2^bits - 1) and zero = round(-2^(bits-1) - low / scale). The scale is rounded to scale_dtype
 * first; one that would be zero becomes the least of that type, one that is too large for the type,
 * or for its codes to decode to a finite f32, is cut off, and that of an empty range is the type's
 * epsilon.
 */
struct gram_step gram_grid_step(const struct gram_grid *grid, struct gram_range range);
/* Was the scale cut off? Then the largest weights are clipped. */
bool gram_step_is_saturated(const struct gram_grid *grid, struct gram_step step);

/* codes[n] = clamp(round half to even(x / scale + zero)), stored unsigned, or what the codebook has
 * nearest to x / scale. Returns the sum of squared differences between x and what the codes stand
 * for. x is finite. */
double gram_grid_encode(uint8_t *codes, const struct gram_grid *grid, struct gram_step step,
                        const float *x, int64_t n);
/* The same sum, without the codes. */
double gram_grid_error(const struct gram_grid *grid, struct gram_step step, const float *x,
                       int64_t n);
/* x[n] = (q - zero) * scale, or value * scale, rounded once. */
void gram_grid_decode(float *x, const struct gram_grid *grid, struct gram_step step,
                      const uint8_t *codes, int64_t n);

/* Sum of squares, in the same order of additions. */
double gram_sum_squares(const float *x, int64_t n);

#endif
