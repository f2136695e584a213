/* How good finished codes are. */
#include "quant/solver.h"

#include <string.h>

#include "base/checked.h"
#include "base/cpu.h"
#include "quant/product.h"

enum { SLICE = 64, BLOCK = 128 }; /* rows; inputs of a product */

struct measure {
    const struct gram_coded *coded;
    const float *w;
    struct gram_product gram; /* n is 0: there is none */
    float *e, *eg;             /* [workers][SLICE][cols] */
    double *weight, *output;   /* [slices] */
};

static void measure_slice(const struct measure *m, int64_t slice, float *e, float *eg)
{
    const int64_t cols = m->coded->cols, r0 = slice * SLICE, left = m->coded->rows - r0;
    const int64_t rows = left < SLICE ? left : SLICE;

    for (int64_t i = 0; i < rows; i++) {
        float *row = e + i * cols;
        gram_coded_row(m->coded, r0 + i, row);
        for (int64_t k = 0; k < cols; k++)
            row[k] = m->w[(r0 + i) * cols + k] - row[k];
        m->weight[slice] += gram_sum_squares(row, cols);
    }
    if (!m->gram.n)
        return;
    memset(eg, 0, (size_t)(rows * cols) * sizeof *eg);
    gram_product_add(&m->gram, eg, e, rows);
    for (int64_t i = 0; i < rows * cols; i++)
        m->output[slice] += (double)e[i] * (double)eg[i];
}

static void measure_slices(void *context, int64_t begin, int64_t end, int worker)
{
    const struct measure *m = context;
    const int64_t at = worker * SLICE * m->coded->cols;

    for (int64_t i = begin; i < end; i++)
        measure_slice(m, i, m->e + at, m->eg + at);
}

static double add_up(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static bool open_measure(struct measure *m, const struct gram_problem *problem,
                         const struct gram_kernels *kernels, size_t slices, struct gram_arena *arena)
{
    const size_t room = (size_t)(gram_pool_threads(problem->pool) * SLICE), cols = (size_t)m->coded->cols;
    const float *gram = problem->stats ? problem->stats->gram : NULL;

    m->e = gram_arena_take(arena, room * cols, sizeof *m->e);
    m->eg = gram_arena_take(arena, room * cols, sizeof *m->eg);
    m->weight = gram_arena_take(arena, slices, sizeof *m->weight);
    m->output = gram_arena_take(arena, slices, sizeof *m->output);
    return m->e && m->eg && m->weight && m->output &&
           (!gram || gram_product_open(&m->gram, gram, m->coded->cols, gram_min_i64(BLOCK, m->coded->cols),
                                       kernels, problem->pool, arena));
}

void gram_solution_measure(struct gram_solution *solution, const struct gram_coded *coded,
                           const float *original, const struct gram_problem *problem)
{
    const size_t slices = (size_t)((coded->rows + SLICE - 1) / SLICE);
    const struct gram_kernels kernels = gram_problem_kernels(problem);
    struct gram_arena own = {0}, *arena = problem->scratch ? problem->scratch : &own;
    struct measure m = {.coded = coded, .w = original};

    solution->weight_error = solution->output_error = -1;
    if (open_measure(&m, problem, &kernels, slices, arena)) {
        gram_pool_for(problem->pool, (int64_t)slices, 1, measure_slices, &m);
        solution->weight_error = add_up(m.weight, (int64_t)slices);
        if (m.gram.n)
            solution->output_error = add_up(m.output, (int64_t)slices);
    }
    gram_arena_rewind(arena);
    gram_arena_reset(&own);
}

struct gram_kernels gram_problem_kernels(const struct gram_problem *problem)
{
    struct gram_kernels kernels;

    if (problem->kernels)
        return *problem->kernels;
    gram_kernels_init(&kernels, gram_cpu_detect());
    return kernels;
}
