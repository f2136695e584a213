/*
 * GPFQ (Lybrand, Saab 2021, "A greedy algorithm for quantizing neural networks", eq. 3): walk through
 * the columns, and round each so that the output error so far, u, is met as well as it can be by this
 * column alone: q_t = nearest(w_t + <X_t, u> / <X_t, X_t>) with u = sum over i < t of (w_i - q_i) X_i.
 * Inner products of columns are all it takes, and X'X has them. Nothing is inverted: it works on any
 * statistics.
 */
#include "quant/solve_feedback.h"

static enum gram_status factor(float *lower, float *importance, const float *gram,
                               const int64_t *order, int64_t n, struct gram_damping *damping)
{
    *damping = (struct gram_damping){0};
    for (int64_t j = 0; j < n; j++) {
        const float *row = gram + order[j] * n;
        const float square = row[order[j]];

        importance[j] = square;
        for (int64_t i = 0; i < j; i++)
            lower[j * n + i] = square > 0 ? row[order[i]] / square : 0;
    }
    return GRAM_OK;
}

static const struct gram_feedback_method gpfq = {.name = "GPFQ", .factor = factor, .sweeps = -1};

enum gram_status gram_solve_gpfq(struct gram_coded *coded, const struct gram_problem *problem,
                                 struct gram_solution *solution, struct gram_error *err)
{
    return gram_solve_by_feedback(coded, problem, &gpfq, solution, err);
}
