/*
 * LDLQ (Chee, Cai, Kuleshov, De Sa 2023, QuIP): rounding with the feedback that is optimal among all
 * linear ones, V - I of G = V D V'. The codes are GPTQ's (theorem 6). What differs is what follows:
 * greedy passes over the codes as in LDLQ-RG (supplement, algorithm 4), steps left as they are.
 * iterations -1 is plain LDLQ. Incoherence, the other half of QuIP, is a transform.
 */
#include "quant/solve_feedback.h"

static const struct gram_feedback_method ldlq = {
    .name = "LDLQ",
    .factor = gram_factor_damped,
    .sweeps = 10,
    .keep_steps = true,
};

enum gram_status gram_solve_ldlq(struct gram_coded *coded, const struct gram_problem *problem,
                                 struct gram_solution *solution, struct gram_error *err)
{
    return gram_solve_by_feedback(coded, problem, &ldlq, solution, err);
}
