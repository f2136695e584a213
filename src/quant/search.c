/* Searches on a matrix in memory: steps for the weights that share one, then the nearest codes. */
#include "quant/method.h"
#include "quant/steps.h"

struct rounding {
    const struct gram_coded *coded;
    const float *w;
};

static void round_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rounding *r = context;
    const struct gram_coded *c = r->coded;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        for (int64_t g = 0; g < c->groups; g++) {
            const int64_t at = i * c->cols + g * c->span;
            gram_grid_encode(c->codes + at, &c->grid, *gram_coded_step(c, i, g), r->w + at,
                             gram_coded_width(c, g));
        }
    }
}

static void search(struct gram_coded *coded, const struct gram_problem *problem, bool is_searched)
{
    const struct gram_step_rule rule = {.is_searched = is_searched};
    struct rounding rounding = {coded, problem->w};

    gram_steps_find(coded, problem->w, &rule, problem->pool);
    gram_pool_for(problem->pool, coded->rows, 16, round_rows, &rounding);
}

enum gram_status gram_solve_rtn(struct gram_coded *coded, const struct gram_problem *problem,
                                struct gram_solution *solution, struct gram_error *err)
{
    (void)solution, (void)err;
    search(coded, problem, false);
    return GRAM_OK;
}

enum gram_status gram_solve_mse(struct gram_coded *coded, const struct gram_problem *problem,
                                struct gram_solution *solution, struct gram_error *err)
{
    (void)solution, (void)err;
    search(coded, problem, true);
    return GRAM_OK;
}
