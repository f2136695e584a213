/* The registry of methods, and the search that they share. */
#include "quant/method.h"

#include <stdio.h>
#include <string.h>

static const struct gram_choice choices[] = {
    {"rtn", "round to nearest on the full range of the weights"},
    {"mse", "the range whose squared error is least, out of 50 between 0.32 and 1.28"},
    {"gptq", "round column by column, correcting the rest for the output's error (calibrated)"},
    {"ldlq", "the rounding of gptq, then greedy passes over the codes alone (calibrated)"},
    {"gpfq", "round column by column along the path of the inputs (calibrated)"},
    {"hqq", "scales and zero points by half-quadratic splitting"},
    {"autoround", "learn roundings and ranges by sign-gradient descent (calibrated)"},
    {NULL, NULL},
};

static const struct gram_method methods[] = {
    /*            observer  needs           solve                 tries           ranges */
    {&choices[0], "minmax", 0,              gram_solve_rtn,       1,              gram_rtn_share},
    {&choices[1], "mse",    0,              gram_solve_mse,       GRAM_MSE_TRIES, gram_mse_share},
    {&choices[2], "mse",    GRAM_NEED_GRAM, gram_solve_gptq,      0,              NULL},
    {&choices[3], "mse",    GRAM_NEED_GRAM, gram_solve_ldlq,      0,              NULL},
    {&choices[4], "mse",    GRAM_NEED_GRAM, gram_solve_gpfq,      0,              NULL},
    {&choices[5], "mse",    0,              gram_solve_hqq,       0,              NULL},
    {&choices[6], "mse",    GRAM_NEED_GRAM, gram_solve_autoround, 0,              NULL},
};

const struct gram_choice *gram_methods(void)
{
    return choices;
}

enum gram_status gram_method_find(const struct gram_method **out, const char *name,
                                  struct gram_error *err)
{
    char names[256] = "";
    size_t at = 0;

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i].about->name, name) == 0) {
            *out = &methods[i];
            return GRAM_OK;
        }
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "",
                               methods[i].about->name);
    }
    return gram_fail(err, GRAM_EINVAL, "unknown method '%.64s'; there are %s", name, names);
}

struct gram_step gram_method_try(const struct gram_method *method, const struct gram_grid *grid,
                                 struct gram_range range, int i)
{
    const float share = method->share(i);
    return gram_grid_step(grid, gram_range_scaled(range, share));
}

struct gram_step gram_method_step(const struct gram_method *method, const struct gram_grid *grid,
                                  struct gram_range range, const float *x, int64_t n)
{
    struct gram_step best = gram_method_try(method, grid, range, 0);
    if (method->n_tries == 1)
        return best;

    double least = gram_grid_error(grid, best, x, n);
    for (int i = 1; i < method->n_tries && least > 0.0; i++) {
        const struct gram_step step = gram_method_try(method, grid, range, i);
        const double error = gram_grid_error(grid, step, x, n);
        if (error < least) {
            least = error;
            best = step;
        }
    }
    return best;
}
