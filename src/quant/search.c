/* Searches on a matrix in memory: steps for the weights that share one, then the nearest codes. */
#include "quant/method.h"
#include "quant/steps.h"

static void search(struct gram_coded *coded, const struct gram_problem *problem, bool is_searched)
{
    const struct gram_step_rule rule = {.is_searched = is_searched};

    gram_steps_find(coded, problem->w, &rule, problem->pool);
    gram_coded_round(coded, problem->w, problem->pool);
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
