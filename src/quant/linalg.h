/*
 * Linear algebra that solvers share. Factorizations are LAPACK's, in f64, from OpenBLAS, which is held
 * to one thread (for the whole process: openblas_set_num_threads), so that results do not depend on how
 * many there are; everything that is large is spread over rows with the pool instead.
 */
#ifndef GRAM_QUANT_LINALG_H
#define GRAM_QUANT_LINALG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

/*
 * G + ridge I, rows and columns put in `order`, is V D V' with V unit upper triangular and D diagonal.
 *   lower  [n][n]  out: the transpose of V; zero above the diagonal
 *   pivots [n]     out: D, in the order
 *   gram   [n][n]  symmetric
 *   order  [n]     a permutation of 0..n-1
 * A column that is never active (zero on the diagonal) gets the mean of the others there. Needs 8 n^2
 * bytes more. GRAM_ENUMERIC if the sum is not positive definite, GRAM_ENOMEM; err is left alone.
 */
enum gram_status gram_factor_udu(float *lower, float *pivots, const float *gram,
                                 const int64_t *order, int64_t n, double ridge);

/* In place: lower[n][n], its diagonal taken for ones, becomes I - its inverse. */
void gram_invert_unit_lower(float *lower, int64_t n);

/*
 * x[count][n] (in place) times the inverse of G + ridge I; factors[n][n] is scratch memory. GRAM_ENUMERIC
 * if the sum is not positive definite; x is then as it was.
 */
enum gram_status gram_solve_definite(double *x, int64_t count, double *factors, const float *gram, int64_t n,
                                     double ridge);

/*
 * The best product of rank `rank` for x[rows][cols] (Eckart and Young): left[rows][rank]
 * right[rank][cols], the square root of every singular value on either side. By the largest eigenvectors
 * of the smaller of x x' and x' x, in f64. Ranks beyond the smaller side stay zero. GRAM_ENUMERIC,
 * GRAM_ENOMEM.
 */
enum gram_status gram_low_rank_fit(float *left, float *right, const float *x, int64_t rows, int64_t cols,
                                   int64_t rank);

/* How much of its mean is added to the diagonal. */
struct gram_damping {
    double share; /* in: what to begin with; out: what was needed */
    int retries;  /* out */
    double ridge; /* out: the share times the mean */
};

/* gram_factor_udu() with a ridge that grows tenfold, up to the whole mean, until there is a factorization. */
enum gram_status gram_factor_damped(float *lower, float *pivots, const float *gram,
                                    const int64_t *order, int64_t n, struct gram_damping *damping);

/* The mean of the diagonal without its zeros; 0 if there is nothing else. */
double gram_mean_diagonal(const float *gram, int64_t n);

/* order[n]: 0..n-1, by falling diagonal of gram[n][n]; equal ones as they come. False if memory ran out. */
bool gram_order_by_diagonal(int64_t *order, const float *gram, int64_t n);

#endif
