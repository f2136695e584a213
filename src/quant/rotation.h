/*
 * Rotations that spread what is large over all channels: R = D S, with D random signs and S symmetric,
 * orthogonal and flat. n = 2^k m with m odd: S is the Kronecker product of the Hadamard matrix of 2^k
 * (Sylvester) and the Hartley matrix of m, cas(2 pi i j / m) / sqrt(m), whose entries are at most
 * sqrt(2 / m), so that no size needs a table of known Hadamard matrices.
 */
#ifndef GRAM_QUANT_ROTATION_H
#define GRAM_QUANT_ROTATION_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/pool.h"

struct gram_rotation {
    int64_t n, odd;
    float *signs;      /* [n]: D */
    double *hartley;   /* [odd][odd] */
};

/* n without its factors of two. */
int64_t gram_odd_factor(int64_t n);

/* The same seed gives the same rotation. False if memory ran out. */
bool gram_rotation_open(struct gram_rotation *rotation, int64_t n, uint64_t seed, struct gram_arena *arena);

/* Both may be called with groups > 1: the rotation is then applied to each of `groups` runs of n on its own.
 * False if memory ran out. */
/* w[rows][groups * n] := W R, with columns times gain first (NULL: 1). For linears that read rotated values
 * and for rows of an embedding. */
bool gram_rotate_columns(const struct gram_rotation *rotation, float *w, int64_t rows, int64_t groups,
                         const float *gain, struct gram_pool *pool);
/* w[groups * n][cols] := R' W. For linears that make values to be rotated, and with cols = 1 for biases. */
bool gram_rotate_rows(const struct gram_rotation *rotation, float *w, int64_t cols, int64_t groups,
                      struct gram_pool *pool);

#endif
