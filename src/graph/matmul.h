/*
 * Products of matrices for gradients, in f32: whatever way the operands lie, they are packed into
 * panels and multiplied by the float linear of kernels/panels.h. Results do not depend on the
 * number of threads.
 */
#ifndef GRAM_GRAPH_MATMUL_H
#define GRAM_GRAPH_MATMUL_H

#include "base/arena.h"
#include "base/pool.h"
#include "kernels/kernels.h"

/*
 * Element (i, j) is data[i * row + j * col]; one of row and col is 1. Or, with `weight`, W[i][j] of
 * a weight in any form, decoded as it is needed.
 */
struct gram_matrix {
    int64_t rows, cols;
    const float *data;
    int64_t row, col;
    const struct gram_weight *weight;
};

static inline struct gram_matrix gram_matrix_of(const float *data, int64_t rows, int64_t cols)
{
    return (struct gram_matrix){.rows = rows, .cols = cols, .data = data, .row = cols, .col = 1};
}

/* Of a matrix without a weight. */
static inline struct gram_matrix gram_matrix_transposed(struct gram_matrix m)
{
    return (struct gram_matrix){
        .rows = m.cols, .cols = m.rows, .data = m.data, .row = m.col, .col = m.row};
}

struct gram_matmul {
    const struct gram_kernels *kernels;
    struct gram_pool *pool;
    float *panels; /* of a block of b */
    char *scratch; /* [threads] */
};

/* Scratch comes from `arena`; one loop at a time. False if memory ran out. */
bool gram_matmul_open(struct gram_matmul *mm, const struct gram_kernels *kernels,
                      struct gram_pool *pool, struct gram_arena *arena);

/* c[a.rows][b.cols] = a b, or += if `add`; a has no weight; a.cols = b.rows. c is contiguous. */
void gram_matmul_run(const struct gram_matmul *mm, float *c, struct gram_matrix a,
                     struct gram_matrix b, bool add);

#endif
