/*
 * Methods: how codes are chosen for a scheme. What there is today needs nothing but the weights: a
 * method says which ranges are tried for the weights that share a scale, and the one with the least
 * squared error is taken. One file and one line of the table each.
 */
#ifndef GRAM_QUANT_METHOD_H
#define GRAM_QUANT_METHOD_H

#include <gram/quantize.h>
#include "base/error.h"
#include "tensor/grid.h"

struct gram_method {
    const struct gram_choice *about;
    const char *observer; /* what compressed-tensors calls it, for the config that is written */
    int n_tries;          /* at least 1 */
    /* The i-th range, as a share of the weights' own; share(0) is 1, so that no method is worse
     * than rtn. */
    float (*share)(int i);
};

float gram_rtn_share(int i);
float gram_mse_share(int i);
enum { GRAM_MSE_TRIES = 50 };

/* GRAM_EINVAL, with the names that there are, for an unknown one. */
enum gram_status gram_method_find(const struct gram_method **out, const char *name,
                                  struct gram_error *err);

/* The step of the i-th try. */
struct gram_step gram_method_try(const struct gram_method *method, const struct gram_grid *grid,
                                 struct gram_range range, int i);

/* The best step for x[n], whose range is `range`; of equal ones the first. */
struct gram_step gram_method_step(const struct gram_method *method, const struct gram_grid *grid,
                                  struct gram_range range, const float *x, int64_t n);

#endif
