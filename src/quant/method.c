/* The registry of methods, and the search that they share. */
#include "quant/method.h"

#include <stddef.h>

#include "base/named.h"

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

static const struct gram_option options[] = {
    {"damping", "X", "gptq ldlq", "added to the diagonal of X'X, as a share of its mean [0.01]"},
    {"act-order", NULL, "gptq ldlq gpfq", "columns with large inputs first [on]"},
    {"static-groups", NULL, "gptq ldlq gpfq", "steps are found before the first column is rounded [on]"},
    {"mse-steps", NULL, "gptq ldlq gpfq autoround", "steps by search, not by the range of the weights [on]"},
    {"block", "N", "gptq ldlq gpfq", "columns that are rounded before the others are corrected [128]"},
    {"iterations", "N", "gptq ldlq gpfq hqq autoround", "-1 for none, 0 for the method's own [0]"},
    {"reference", NULL, "gptq ldlq", "as the reference: no-static-groups,no-mse-steps,iterations=-1"},
    {NULL, NULL, NULL, NULL},
};

/* clang-format off */
#define AT(field) offsetof(struct gram_method_options, field)
static const struct gram_field fields[] = {
    {.type = GRAM_FIELD_REAL, .offset = AT(damping), .low = 1e-9, .high = 1},
    {.type = GRAM_FIELD_FLAG, .offset = AT(act_order)},
    {.type = GRAM_FIELD_FLAG, .offset = AT(static_groups)},
    {.type = GRAM_FIELD_FLAG, .offset = AT(mse_steps)},
    {.type = GRAM_FIELD_COUNT, .offset = AT(block), .low = 1, .high = 1 << 24},
    {.type = GRAM_FIELD_COUNT, .offset = AT(iterations), .low = -1, .high = 1e6},
    {.type = GRAM_FIELD_ALIAS, .alias = ":no-static-groups,no-mse-steps,iterations=-1"},
};
#undef AT
/* clang-format on */

const struct gram_spec_table gram_method_table = {"method", options, fields};

const struct gram_option *gram_method_option_list(void)
{
    return options;
}

const struct gram_choice *gram_methods(void)
{
    return choices;
}

enum gram_status gram_method_find(const struct gram_method **out, const char *name,
                                  struct gram_error *err)
{
    size_t at;

    GRAM_TRY(gram_named_find(&at, choices, sizeof choices[0], "method", name, err));
    *out = &methods[at];
    return GRAM_OK;
}

enum gram_status gram_method_read(const struct gram_method **out, struct gram_method_options *o,
                                  const char *text, struct gram_error *err)
{
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)gram_spec_name(text), text);
    GRAM_TRY(gram_method_find(out, name, err));
    return gram_spec_read(o, &gram_method_table, (*out)->about->name, text, err);
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
