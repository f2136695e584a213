/* The registry of methods, and the search that they share. */
#include "quant/method.h"

#include <string.h>

static const struct gram_choice choices[] = {
    {"rtn", "round to nearest on the full range of the weights"},
    {"mse", "the range whose squared error is least, out of 50 between 0.32 and 1.28"},
    {NULL, NULL},
};

static const struct gram_method methods[] = {
    {&choices[0], "minmax", 1, gram_rtn_share},
    {&choices[1], "mse", GRAM_MSE_TRIES, gram_mse_share},
};

const struct gram_choice *gram_methods(void)
{
    return choices;
}

enum gram_status gram_method_find(const struct gram_method **out, const char *name,
                                  struct gram_error *err)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i].about->name, name) == 0) {
            *out = &methods[i];
            return GRAM_OK;
        }
    }
    return gram_fail(err, GRAM_EINVAL, "unknown method '%s'; there are rtn and mse", name);
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
