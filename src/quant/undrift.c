#include "quant/undrift.h"

#include <stdlib.h>

#include "base/checked.h"
#include "quant/linalg.h"

struct work {
    const struct gram_problem *problem;
    struct gram_kernels kernels;
    float *product;  /* [rows][cols]: W D' */
    double *change;  /* [rows][cols]: that, times G^-1 */
    double *factors; /* [cols][cols] */
};

static void multiply_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct work *w = context;
    const struct gram_problem *p = w->problem;

    (void)worker;
    w->kernels.gemm_f32(w->product + begin * p->cols, p->cols, p->w + begin * p->cols, p->cols,
                        p->stats->drift, p->cols, end - begin, p->cols, p->cols);
}

static enum gram_status correct(struct work *w)
{
    const struct gram_problem *p = w->problem;
    const int64_t n = p->rows * p->cols;
    const double ridge = p->options->damping * gram_mean_diagonal(p->stats->gram, p->cols);

    gram_pool_for(p->pool, p->rows, 32, multiply_rows, w);
    for (int64_t i = 0; i < n; i++)
        w->change[i] = w->product[i];
    const enum gram_status status =
        gram_solve_definite(w->change, p->rows, w->factors, p->stats->gram, p->cols, ridge);
    for (int64_t i = 0; status == GRAM_OK && i < n; i++)
        p->w[i] += (float)w->change[i];
    return status == GRAM_ENUMERIC ? GRAM_OK : status;
}

enum gram_status gram_correct_drift(const struct gram_problem *problem)
{
    struct gram_arena arena = {0};
    struct work w = {.problem = problem, .kernels = gram_problem_kernels(problem)};
    const size_t rows = (size_t)problem->rows, cols = (size_t)problem->cols;
    enum gram_status status = GRAM_ENOMEM;
    size_t square, count;

    if (!problem->stats || !problem->stats->drift)
        return GRAM_OK;
    if (gram_mul_size(&square, cols, cols) && gram_mul_size(&count, rows, cols)) {
        w.product = gram_arena_take(&arena, count, sizeof *w.product);
        w.change = gram_arena_take(&arena, count, sizeof *w.change);
        w.factors = gram_arena_take(&arena, square, sizeof *w.factors);
        if (w.product && w.change && w.factors)
            status = correct(&w);
    }
    gram_arena_reset(&arena);
    return status;
}
