/* Methods that round with feedback (feedback.h) differ in their matrix and in what follows. */
#ifndef GRAM_QUANT_SOLVE_FEEDBACK_H
#define GRAM_QUANT_SOLVE_FEEDBACK_H

#include "quant/linalg.h"
#include "quant/solver.h"

struct gram_feedback_method {
    const char *name;
    /* Fill lower[n][n] for columns in `order`, and importance[n], also in the order: what a squared
     * rounding error costs. damping as for gram_factor_damped(). GRAM_ENUMERIC, GRAM_ENOMEM. */
    enum gram_status (*factor)(float *lower, float *importance, const float *gram,
                               const int64_t *order, int64_t n, struct gram_damping *damping);
    int64_t sweeps;  /* of refine.h, if the user wants no other number */
    bool keep_steps; /* in these sweeps */
};

/* Obeys every option. */
enum gram_status gram_solve_by_feedback(struct gram_coded *coded, const struct gram_problem *problem,
                                        const struct gram_feedback_method *method,
                                        struct gram_solution *solution, struct gram_error *err);

#endif
