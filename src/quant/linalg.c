/*
 * V D V' is the Cholesky factorization from the last row up: with J the reversal of rows, J A J = L L',
 * hence A = R R' with R = J L J upper triangular, and V = R diag(R)^-1, D = diag(R)^2. GPTQ's own
 * factor, the upper Cholesky factor of the inverse, is R^-1; only steps found on the way need it
 * (feedback.h).
 */
#include "quant/linalg.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"

/* OpenBLAS: Fortran LAPACK, columns first. */
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t uplo_len);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda, double *b,
             const int *ldb, int *info, size_t uplo_len);
void strtri_(const char *uplo, const char *diag, const int *n, float *a, const int *lda, int *info,
             size_t uplo_len, size_t diag_len);
void openblas_set_num_threads(int threads);

double gram_mean_diagonal(const float *gram, int64_t n)
{
    double sum = 0;
    int64_t live = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += gram[i * n + i];
        live += gram[i * n + i] > 0;
    }
    return live ? sum / (double)live : 0;
}

struct ranked {
    float value;
    int64_t at;
};

static int by_falling_value(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return x->at < y->at ? -1 : 1;
}

bool gram_order_by_diagonal(int64_t *order, const float *gram, int64_t n)
{
    struct ranked *ranked = calloc((size_t)n, sizeof *ranked);
    if (!ranked)
        return false;

    for (int64_t i = 0; i < n; i++)
        ranked[i] = (struct ranked){gram[i * n + i], i};
    qsort(ranked, (size_t)n, sizeof *ranked, by_falling_value);
    for (int64_t i = 0; i < n; i++)
        order[i] = ranked[i].at;
    free(ranked);
    return true;
}

/* The half of J A J that dpotrf reads, a[column b][row a >= b]. */
static void fill_reversed(double *a, const float *gram, const int64_t *order, int64_t n,
                          double ridge)
{
    const double mean = gram_mean_diagonal(gram, n);

    for (int64_t b = 0; b < n; b++) {
        const float *row = gram + order[n - 1 - b] * n;
        double *column = a + b * n;

        for (int64_t i = b; i < n; i++)
            column[i] = row[order[n - 1 - i]];
        column[b] += ridge + (column[b] > 0 ? 0 : mean);
    }
}

/* Row n-1-b of V' is column b of L, reversed, over its own diagonal. */
static bool take_unit_rows(float *lower, float *pivots, const double *l, int64_t n)
{
    bool is_finite = true;

    for (int64_t b = 0; b < n; b++) {
        const int64_t row = n - 1 - b;
        const double *column = l + b * n, diagonal = column[b];

        for (int64_t i = b; i < n; i++)
            lower[row * n + n - 1 - i] = (float)(column[i] / diagonal);
        for (int64_t i = row + 1; i < n; i++)
            lower[row * n + i] = 0;
        pivots[row] = (float)(diagonal * diagonal);
        is_finite = is_finite && isfinite(pivots[row]) && pivots[row] > 0;
    }
    return is_finite;
}

enum gram_status gram_factor_udu(float *lower, float *pivots, const float *gram,
                                 const int64_t *order, int64_t n, double ridge)
{
    const int order_of_a = (int)n;
    int info = 0;
    size_t count, bytes;

    if (n > INT32_MAX || !gram_mul_size(&count, (size_t)n, (size_t)n) ||
        !gram_mul_size(&bytes, count, sizeof(double)))
        return GRAM_ENOMEM;
    double *a = malloc(bytes);
    if (!a)
        return GRAM_ENOMEM;

    fill_reversed(a, gram, order, n, ridge);
    openblas_set_num_threads(1);
    dpotrf_("L", &order_of_a, a, &order_of_a, &info, 1);
    const bool is_definite = info == 0 && take_unit_rows(lower, pivots, a, n);
    free(a);
    return is_definite ? GRAM_OK : GRAM_ENUMERIC;
}

enum gram_status gram_solve_definite(double *x, int64_t count, double *factors, const float *gram, int64_t n,
                                     double ridge)
{
    const int order = (int)n, columns = (int)count;
    const double mean = gram_mean_diagonal(gram, n);
    int info = 0;

    if (n > INT32_MAX || count > INT32_MAX)
        return GRAM_ENOMEM;
    for (int64_t i = 0; i < n * n; i++)
        factors[i] = gram[i];
    for (int64_t i = 0; i < n; i++)
        factors[i * n + i] += ridge + (factors[i * n + i] > 0 ? 0 : mean);
    openblas_set_num_threads(1);
    dpotrf_("L", &order, factors, &order, &info, 1);
    if (info != 0)
        return GRAM_ENUMERIC;
    dpotrs_("L", &order, &columns, factors, &order, x, &order, &info, 1);
    return GRAM_OK;
}

void gram_invert_unit_lower(float *lower, int64_t n)
{
    const int order = (int)n;
    int info = 0;

    openblas_set_num_threads(1);
    strtri_("U", "U", &order, lower, &order, &info, 1, 1); /* our rows are its columns */
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < j; i++)
            lower[j * n + i] = -lower[j * n + i];
        lower[j * n + j] = 0;
    }
}

enum gram_status gram_factor_damped(float *lower, float *pivots, const float *gram,
                                    const int64_t *order, int64_t n, struct gram_damping *damping)
{
    const double mean = gram_mean_diagonal(gram, n);

    for (damping->retries = 0;; damping->retries++) {
        damping->ridge = damping->share * (mean > 0 ? mean : 1);
        const enum gram_status status =
            gram_factor_udu(lower, pivots, gram, order, n, damping->ridge);
        if (status != GRAM_ENUMERIC || damping->share >= 1)
            return status;
        damping->share = damping->share > 0 ? fmin(10 * damping->share, 1) : 0.001;
    }
}
