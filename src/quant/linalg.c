/*
 * V D V' is the Cholesky factorization from the last row up: with J the reversal of rows, J A J = L L',
 * hence A = R R' with R = J L J upper triangular, and V = R diag(R)^-1, D = diag(R)^2. GPTQ's own
 * factor, the upper Cholesky factor of the inverse, is R^-1; only steps found on the way need it
 * (feedback.h).
 */
#include "quant/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"

/* OpenBLAS: Fortran LAPACK, columns first. */
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t uplo_len);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda, double *b,
             const int *ldb, int *info, size_t uplo_len);
void strtri_(const char *uplo, const char *diag, const int *n, float *a, const int *lda, int *info,
             size_t uplo_len, size_t diag_len);
void dsyrk_(const char *uplo, const char *trans, const int *n, const int *k, const double *alpha,
            const double *a, const int *lda, const double *beta, double *c, const int *ldc, size_t uplo_len,
            size_t trans_len);
void dsyevr_(const char *jobz, const char *range, const char *uplo, const int *n, double *a, const int *lda,
             const double *vl, const double *vu, const int *il, const int *iu, const double *abstol, int *m,
             double *w, double *z, const int *ldz, int *isuppz, double *work, const int *lwork, int *iwork,
             const int *liwork, int *info, size_t jobz_len, size_t range_len, size_t uplo_len);
void openblas_set_num_threads(int threads);

/*
 * One thread from here on. OpenBLAS maps 128 MiB on its first call, and tries without end where the system
 * does not give them: false if it would not.
 */
static bool enter_lapack(void)
{
    const size_t room = (size_t)128 << 20;
    void *trial = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (trial == MAP_FAILED)
        return false;
    munmap(trial, room);
    openblas_set_num_threads(1);
    return true;
}

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
    if (!a || !enter_lapack()) {
        free(a);
        return GRAM_ENOMEM;
    }

    fill_reversed(a, gram, order, n, ridge);
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

    if (n > INT32_MAX || count > INT32_MAX || !enter_lapack())
        return GRAM_ENOMEM;
    for (int64_t i = 0; i < n * n; i++)
        factors[i] = gram[i];
    for (int64_t i = 0; i < n; i++)
        factors[i * n + i] += ridge + (factors[i * n + i] > 0 ? 0 : mean);
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

    openblas_set_num_threads(1); /* lower has been factored: there is room */
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

/* ---- low rank ---- */

/* The largest eigenvectors of a symmetric matrix g[n][n], which is overwritten: vectors[i][n], values[i] for
 * i < count, rising. */
static enum gram_status largest_eigenvectors(double *vectors, double *values, double *g, int n, int count)
{
    const int first = n - count + 1, work_n = 26 * n, iwork_n = 10 * n;
    const double none = 0.0;
    double *work = malloc((size_t)work_n * sizeof *work);
    int *iwork = malloc(((size_t)iwork_n + 2 * (size_t)n) * sizeof *iwork);
    int found = 0, info = -1;

    if (work && iwork)
        dsyevr_("V", "I", "L", &n, g, &n, &none, &none, &first, &n, &none, &found, values, vectors, &n,
                iwork + iwork_n, work, &work_n, iwork, &iwork_n, &info, 1, 1, 1);
    const enum gram_status status = !work || !iwork               ? GRAM_ENOMEM
                                    : info == 0 && found == count ? GRAM_OK
                                                                  : GRAM_ENUMERIC;
    free(work);
    free(iwork);
    return status;
}

/* Of one singular vector u of x's smaller side (n of them), the other side is x u / s: element i of u goes to
 * near[i * near_step], of the other to far[j * far_step], each times the root of s. */
struct singular {
    const float *x;
    int64_t n, m;                  /* of the smaller side, of the other */
    int64_t n_step, m_step;        /* in x */
    float *near, *far;
    int64_t near_step, far_step;
};

static void place_vector(const struct singular *s, const double *u, double eigenvalue)
{
    const double value = sqrt(fmax(eigenvalue, 0.0)), root = sqrt(value);

    for (int64_t i = 0; i < s->n; i++)
        s->near[i * s->near_step] = (float)(root * u[i]);
    for (int64_t j = 0; j < s->m; j++) {
        double sum = 0.0;
        for (int64_t i = 0; i < s->n; i++)
            sum += u[i] * (double)s->x[i * s->n_step + j * s->m_step];
        s->far[j * s->far_step] = value > 0.0 ? (float)(sum / root) : 0.0f;
    }
}

static enum gram_status fit(struct singular s, int64_t rank, int64_t near_next, int64_t far_next,
                            double *x, double *g, double *vectors, double *values)
{
    const int n = (int)s.n, m = (int)s.m, count = (int)(rank < s.n ? rank : s.n);
    const double one = 1.0, zero = 0.0;

    for (int64_t j = 0; j < s.m; j++) /* columns first */
        for (int64_t i = 0; i < s.n; i++)
            x[j * s.n + i] = s.x[i * s.n_step + j * s.m_step];
    if (!enter_lapack())
        return GRAM_ENOMEM;
    dsyrk_("L", "N", &n, &m, &one, x, &n, &zero, g, &n, 1, 1);
    GRAM_TRY(largest_eigenvectors(vectors, values, g, n, count));
    for (int i = 0; i < count; i++) {
        const int from = count - 1 - i; /* the largest first */
        place_vector(&s, vectors + (int64_t)from * s.n, values[from]);
        s.near += near_next;
        s.far += far_next;
    }
    return GRAM_OK;
}

enum gram_status gram_low_rank_fit(float *left, float *right, const float *x, int64_t rows, int64_t cols,
                                   int64_t rank)
{
    const bool is_wide = rows <= cols;
    const struct singular wide = {x, rows, cols, cols, 1, left, right, rank, 1};
    const struct singular tall = {x, cols, rows, 1, cols, right, left, 1, rank};
    const size_t n = (size_t)(is_wide ? rows : cols);
    double *copy = calloc((size_t)rows * (size_t)cols, sizeof *copy);
    double *g = calloc(n * n, sizeof *g), *vectors = calloc(n * n, sizeof *vectors);
    double *values = calloc(n, sizeof *values);
    enum gram_status status = GRAM_ENOMEM;

    memset(left, 0, (size_t)(rows * rank) * sizeof *left);
    memset(right, 0, (size_t)(rank * cols) * sizeof *right);
    if (copy && g && vectors && values && n <= INT32_MAX / 32)
        status = is_wide ? fit(wide, rank, 1, cols, copy, g, vectors, values)
                         : fit(tall, rank, cols, 1, copy, g, vectors, values);
    free(copy);
    free(g);
    free(vectors);
    free(values);
    return status;
}
