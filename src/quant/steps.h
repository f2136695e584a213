/* Steps for a matrix of weights: by their range, or by searching for the range whose error is least. */
#ifndef GRAM_QUANT_STEPS_H
#define GRAM_QUANT_STEPS_H

#include "base/pool.h"
#include "quant/coded.h"

struct gram_step_rule {
    bool is_searched;        /* 50 ranges (mse.c), the one of least error; else the range itself */
    const float *importance; /* [cols]: what a squared error costs there; NULL: the same everywhere */
};

/* The step of x[n], whose importance is importance[n] or NULL; only integer grids heed it. x is finite. */
struct gram_step gram_step_find(const struct gram_grid *grid, bool is_searched, const float *x,
                                const float *importance, int64_t n);

/* The scale that is nearest to s > 0 among those that can be stored. */
float gram_step_scale(const struct gram_grid *grid, float s);

/* Every step of coded, for w[rows][cols]. */
void gram_steps_find(struct gram_coded *coded, const float *w, const struct gram_step_rule *rule,
                     struct gram_pool *pool);

#endif
