/* What the tests of solvers share: problems, and how good their solutions are. */
#ifndef GRAM_TESTS_SOLVING_H
#define GRAM_TESTS_SOLVING_H

#include "support.h"

#include <math.h>

#include "base/rng.h"
#include "quant/solver.h"
#include "quant/steps.h"

struct solving {
    int64_t rows, cols;
    float *w, *gram;
    struct gram_input_stats stats;
    struct gram_method_options options;
    struct gram_pool *pool;
    struct gram_arena arena;
};

static inline void solving_open(struct solving *s, int64_t rows, int64_t cols, int threads)
{
    struct gram_error err;

    *s = (struct solving){.rows = rows, .cols = cols, .options = GRAM_METHOD_OPTIONS_INIT};
    MUST(gram_pool_open(&s->pool, threads, &err));
    s->w = gram_arena_take(&s->arena, (size_t)(rows * cols), sizeof *s->w);
    s->gram = gram_arena_take(&s->arena, (size_t)(cols * cols), sizeof *s->gram);
    assert_true(s->w && s->gram);
    s->stats =
        (struct gram_input_stats){.needs = GRAM_NEED_GRAM, .cols = cols, .tokens = 1, .gram = s->gram};
}

static inline void solving_close(struct solving *s)
{
    gram_pool_close(&s->pool);
    gram_arena_reset(&s->arena);
}

/* Roughly normal. */
static inline float draw(struct gram_rng *rng)
{
    double sum = -3;
    for (int i = 0; i < 6; i++)
        sum += gram_rng_unit(rng);
    return (float)sum;
}

/* Weights, and X'X / tokens of inputs that share factors; some channels are large. */
static inline void solving_fill(struct solving *s, int64_t tokens, uint64_t seed)
{
    struct gram_rng rng = {seed};
    float *x = gram_arena_take(&s->arena, (size_t)(tokens * s->cols), sizeof *x);
    assert_non_null(x);

    for (int64_t i = 0; i < s->rows * s->cols; i++)
        s->w[i] = 0.05f * draw(&rng);
    for (int64_t t = 0; t < tokens; t++) {
        const float shared[2] = {draw(&rng), draw(&rng)};
        for (int64_t k = 0; k < s->cols; k++)
            x[t * s->cols + k] = (draw(&rng) + shared[k % 2]) * (k % 29 == 3 ? 6.0f : 1.0f);
    }
    for (int64_t i = 0; i < s->cols; i++) {
        for (int64_t j = 0; j < s->cols; j++) {
            double sum = 0;
            for (int64_t t = 0; t < tokens; t++)
                sum += (double)x[t * s->cols + i] * (double)x[t * s->cols + j];
            s->gram[i * s->cols + j] = (float)(sum / (double)tokens);
        }
    }
}

static inline struct gram_problem solving_problem(const struct solving *s)
{
    return (struct gram_problem){
        .name = "w",
        .w = s->w,
        .rows = s->rows,
        .cols = s->cols,
        .stats = &s->stats,
        .options = &s->options,
        .pool = s->pool,
    };
}

static inline struct gram_grid grid_of(int bits, bool asymmetric, enum gram_dtype scale_dtype)
{
    return (struct gram_grid){.bits = bits, .asymmetric = asymmetric, .scale_dtype = scale_dtype};
}

static inline struct gram_coded solving_coded(struct solving *s, const struct gram_grid *grid,
                                              int64_t span)
{
    struct gram_coded coded;
    assert_true(gram_coded_open(&coded, grid, s->rows, s->cols, span, false, &s->arena));
    return coded;
}

/* Solve into fresh codes, which live until the end of s; the solution is measured. */
static inline struct gram_solution solve_with(gram_solve_fn *method, struct gram_coded *coded,
                                              struct solving *s, const struct gram_grid *grid,
                                              int64_t span)
{
    const struct gram_problem problem = solving_problem(s);
    struct gram_solution solution = {0};
    struct gram_error err;

    *coded = solving_coded(s, grid, span);
    MUST(method(coded, &problem, &solution, &err));
    gram_solution_measure(&solution, coded, s->w, &problem);
    return solution;
}

/* Round to nearest, as a method. */
static inline enum gram_status solve_rtn(struct gram_coded *coded,
                                         const struct gram_problem *problem,
                                         struct gram_solution *solution, struct gram_error *err)
{
    const struct gram_step_rule rule = {0};
    (void)solution, (void)err;

    gram_steps_find(coded, problem->w, &rule, problem->pool);
    for (int64_t r = 0; r < coded->rows; r++) {
        for (int64_t g = 0; g < coded->groups; g++) {
            const int64_t at = r * coded->cols + g * coded->span;
            gram_grid_encode(coded->codes + at, &coded->grid, *gram_coded_step(coded, r, g),
                             problem->w + at, gram_coded_width(coded, g));
        }
    }
    return GRAM_OK;
}

#endif
