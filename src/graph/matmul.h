/*
 * Products of matrices in training, in f32: whatever way the operands lie, the second is packed into
 * panels and meets the float linear of kernels/panels.h. An element of the result is one chain of
 * multiply-adds in the order of k, so that its bits depend neither on the number of threads nor on
 * how rows, columns or k are cut.
 */
#ifndef GRAM_GRAPH_MATMUL_H
#define GRAM_GRAPH_MATMUL_H

#include "base/arena.h"
#include "base/pool.h"
#include "kernels/kernels.h"

/*
 * Element (i, j) is data[i * row + j * col]; one of row and col is 1. Or, with `weight`, W[i][j] of
 * a weight in any form, or W[j][i] if it is turned, decoded as it is needed.
 */
struct gram_matrix {
    int64_t rows, cols;
    const float *data;
    int64_t row, col;
    const struct gram_weight *weight;
    bool is_turned;
};

static inline struct gram_matrix gram_matrix_of(const float *data, int64_t rows, int64_t cols)
{
    return (struct gram_matrix){.rows = rows, .cols = cols, .data = data, .row = cols, .col = 1};
}

static inline struct gram_matrix gram_matrix_transposed(struct gram_matrix m)
{
    return (struct gram_matrix){.rows = m.cols,
                                .cols = m.rows,
                                .data = m.data,
                                .row = m.col,
                                .col = m.row,
                                .weight = m.weight,
                                .is_turned = !m.is_turned};
}

/* W, which is borrowed. */
struct gram_matrix gram_matrix_of_weight(const struct gram_weight *w);

struct gram_matmul {
    const struct gram_kernels *kernels;
    struct gram_pool *pool;
    float *panels; /* of a block of b */
    char *scratch; /* [threads] */
};

/* Bytes that gram_matmul_open() takes. */
int64_t gram_matmul_bytes(int threads);
/* Scratch comes from `arena`; one loop at a time. False if memory ran out. */
bool gram_matmul_open(struct gram_matmul *mm, const struct gram_kernels *kernels,
                      struct gram_pool *pool, struct gram_arena *arena);

/* c[a.rows][b.cols] = a b, or += if `add`; a has no weight; a.cols = b.rows. c is contiguous. */
void gram_matmul_run(const struct gram_matmul *mm, float *c, struct gram_matrix a,
                     struct gram_matrix b, bool add);

#endif
