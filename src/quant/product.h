/*
 * Products of many rows with one square matrix, such as G = X'X: it is repacked once into panels, by blocks
 * of the inputs, so that a part of a product can be had as well as all of it.
 */
#ifndef GRAM_QUANT_PRODUCT_H
#define GRAM_QUANT_PRODUCT_H

#include "base/arena.h"
#include "base/pool.h"
#include "kernels/kernels.h"

struct gram_product {
    const struct gram_kernels *kernels;
    int64_t n;     /* rows and columns of the matrix */
    int64_t block; /* 1..n inputs that lie together; the last block may be narrower */
    float *panels; /* [blocks][panels of 16 outputs][inputs of the block][16] */
};

/* For matrix[n][n], a row per output; that it is symmetric is not asked for. False if memory ran out. */
bool gram_product_open(struct gram_product *product, const float *matrix, int64_t n, int64_t block,
                       const struct gram_kernels *kernels, struct gram_pool *pool, struct gram_arena *arena);

/*
 * y[t][j] += sum over k of x[t][k] matrix[begin + j][first + k], for `rows` rows, k < n, begin + j < end. The
 * inputs must lie in one block. Strides in floats. Any thread; the bits depend on the row alone.
 */
void gram_product_add_part(const struct gram_product *product, float *y, int64_t y_stride, const float *x,
                           int64_t x_stride, int64_t rows, int64_t first, int64_t n, int64_t begin,
                           int64_t end);
/* All inputs, all outputs: y[rows][n] += x[rows][n] matrix'. */
void gram_product_add(const struct gram_product *product, float *y, const float *x, int64_t rows);

#endif
