/*
 * GPTQ (Frantar, Ashkboos, Hoefler, Alistarh 2022): rounding with feedback (feedback.h), columns with
 * large inputs first ("act-order"), so that their errors can still be made up for. What the reference
 * does not do:
 *   - ranges of steps are searched with the pivots of the factorization as weights, which is the error
 *     that is paid at the end;
 *   - codes and steps then descend on the output error itself (refine.h).
 * act_order false, static_groups false, mse_steps false and iterations -1 is the reference's default.
 * With act_order and without static_groups our groups stay those of the file, the reference's are cut in
 * the order of rounding.
 */
#include "quant/solve_feedback.h"

static const struct gram_feedback_method gptq = {
    .name = "GPTQ",
    .factor = gram_factor_damped,
    .sweeps = 4,
};

enum gram_status gram_solve_gptq(struct gram_coded *coded, const struct gram_problem *problem,
                                 struct gram_solution *solution, struct gram_error *err)
{
    return gram_solve_by_feedback(coded, problem, &gptq, solution, err);
}
