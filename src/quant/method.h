/*
 * Methods: how codes are chosen for a scheme. A search looks at the weights that share a scale and
 * nothing else: it says which ranges are tried, and the one with the least squared error is taken;
 * so it streams. A solver wants the whole matrix, and mostly what calibration knows of its inputs.
 * One file and one line of the table each.
 */
#ifndef GRAM_QUANT_METHOD_H
#define GRAM_QUANT_METHOD_H

#include <gram/quantize.h>
#include "base/error.h"
#include "quant/solver.h"
#include "quant/spec.h"
#include "tensor/grid.h"
#include "tensor/scheme.h"

struct gram_method {
    const struct gram_choice *about;
    const char *observer; /* what compressed-tensors calls it, for the config that is written */
    unsigned needs;       /* enum gram_need: of the inputs of the linear */
    gram_solve_fn *solve; /* of a matrix in memory; searches have one too */
    int n_tries;          /* of a search, at least 1; 0: this is a solver */
    /* The i-th range, as a share of the weights' own; share(0) is 1, so that no method is worse
     * than rtn. */
    float (*share)(int i);
};

gram_solve_fn gram_solve_rtn, gram_solve_mse;
float gram_rtn_share(int i);
float gram_mse_share(int i);
enum { GRAM_MSE_TRIES = 50 };

/* GRAM_EINVAL, with the names that there are, for an unknown one. */
enum gram_status gram_method_find(const struct gram_method **out, const char *name,
                                  struct gram_error *err);

/* The same with options behind the name, which are set in *options: "gptq:block=64". */
enum gram_status gram_method_read(const struct gram_method **out, struct gram_method_options *options,
                                  const char *text, struct gram_error *err);
extern const struct gram_spec_table gram_method_table; /* of struct gram_method_options */

/* Solvers know integer grids alone. */
static inline bool gram_method_takes(const struct gram_method *method,
                                     const struct gram_scheme *scheme)
{
    return method->n_tries > 0 || (!scheme->codebook && !scheme->is_ternary);
}

/* Does it look at weights alone, in the order of the file? */
static inline bool gram_method_streams(const struct gram_method *method)
{
    return method->n_tries > 0;
}

/* The step of the i-th try. */
struct gram_step gram_method_try(const struct gram_method *method, const struct gram_grid *grid,
                                 struct gram_range range, int i);

/* The best step for x[n], whose range is `range`; of equal ones the first. */
struct gram_step gram_method_step(const struct gram_method *method, const struct gram_grid *grid,
                                  struct gram_range range, const float *x, int64_t n);

#endif
