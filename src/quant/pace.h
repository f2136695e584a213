/*
 * What kinds of work cost on this machine, with these threads: slices of some milliseconds are timed, and
 * scaled by what they grow with.
 */
#ifndef GRAM_QUANT_PACE_H
#define GRAM_QUANT_PACE_H

#include "base/runtime.h"
#include "quant/recipe.h"

/* Seconds. Zero where memory ran out: an estimate is no reason to fail. The last two are for jobs that run
 * text through the model, and zero for others. */
struct gram_pace {
    double byte;    /* per byte that is read and hashed */
    double product; /* per multiplication of a linear in float */
    double square;  /* per multiplication of X'X */
};

double gram_pace_now(void); /* of a clock that only runs forward */

void gram_pace_measure(struct gram_pace *pace, bool runs, const struct gram_runtime *rt);

/* Of a method on a linear [rows, cols]: what grows with cols^3, rows cols^2 and rows cols. */
struct gram_pace_solver {
    double cube, square, plane;
};

/* For linears of up to `most` columns. */
void gram_pace_measure_solver(struct gram_pace_solver *pace, const struct gram_assignment *how, int64_t most,
                              const struct gram_runtime *rt);

static inline double gram_pace_solve(const struct gram_pace_solver *pace, int64_t rows, int64_t cols)
{
    const double r = (double)rows, c = (double)cols;
    return pace->cube * c * c * c + pace->square * r * c * c + pace->plane * r * c;
}

#endif
