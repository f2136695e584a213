/*
 * The search of mse.c with a weight for every column: where inputs are large, an error costs more. With
 * the pivots of G = V D V' for weights, the sum is what rounding with feedback pays at the end
 * (feedback.h).
 */
#include "quant/steps.h"

#include "quant/method.h"

static const struct gram_method search = {.n_tries = GRAM_MSE_TRIES, .share = gram_mse_share};

/* The error of a step, as gram_grid_error(), but approximately (f32, times 1 / scale) and weighted. */
static float weighted_error(const struct gram_grid *grid, struct gram_step step, const float *x,
                            const float *importance, int64_t n)
{
    enum {
        LANES = 8
    };
    const float magic = 12582912.0f, inverse = 1.0f / step.scale, zero = (float)step.zero;
    const float low = -(float)(1 << (grid->bits - 1)), high = -low - 1;
    float lanes[LANES] = {0};

    for (int64_t i = 0; i < n; i += LANES) {
        const int width = n - i < LANES ? (int)(n - i) : LANES;
        for (int j = 0; j < width; j++) {
            float code = x[i + j] * inverse + zero;
            code = code < low ? low : code;
            code = code > high ? high : code;
            const float miss = x[i + j] - ((code + magic - magic) - zero) * step.scale;
            lanes[j] += importance[i + j] * miss * miss;
        }
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

static struct gram_step search_weighted(const struct gram_grid *grid, struct gram_range range,
                                        const float *x, const float *importance, int64_t n)
{
    struct gram_step best = gram_method_try(&search, grid, range, 0);
    float least = weighted_error(grid, best, x, importance, n);

    for (int i = 1; i < search.n_tries && least > 0; i++) {
        const struct gram_step step = gram_method_try(&search, grid, range, i);
        const float error = weighted_error(grid, step, x, importance, n);
        if (error < least) {
            least = error;
            best = step;
        }
    }
    return best;
}

struct gram_step gram_step_find(const struct gram_grid *grid, bool is_searched, const float *x,
                                const float *importance, int64_t n)
{
    struct gram_range range = {0};

    gram_range_add(&range, x, n);
    if (!is_searched)
        return gram_grid_step(grid, range);
    if (!importance || grid->codebook || grid->is_ternary)
        return gram_method_step(&search, grid, range, x, n);
    return search_weighted(grid, range, x, importance, n);
}

/* The scale of a range that is just so wide. */
float gram_step_scale(const struct gram_grid *grid, float s)
{
    const float levels = (float)((1 << grid->bits) - 1);
    const float width = grid->codebook ? grid->codebook->top : grid->asymmetric ? levels : levels / 2;
    return gram_grid_step(grid, (struct gram_range){.high = s * width}).scale;
}

struct steps_call {
    struct gram_coded *coded;
    const float *w;
    const struct gram_step_rule *rule;
};

static void find_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct steps_call *c = context;
    const struct gram_coded *coded = c->coded;
    (void)worker;

    for (int64_t r = begin; r < end; r++) {
        for (int64_t g = 0; g < coded->groups; g++) {
            const int64_t at = g * coded->span;
            const float *importance = c->rule->importance ? c->rule->importance + at : NULL;
            *gram_coded_step(coded, r, g) =
                gram_step_find(&coded->grid, c->rule->is_searched, c->w + r * coded->cols + at,
                               importance, gram_coded_width(coded, g));
        }
    }
}

void gram_steps_find(struct gram_coded *coded, const float *w, const struct gram_step_rule *rule,
                     struct gram_pool *pool)
{
    struct steps_call call = {coded, w, rule};

    if (coded->is_one) /* a search over the whole tensor, every column alike */
        coded->steps[0] =
            gram_step_find(&coded->grid, rule->is_searched, w, NULL, coded->rows * coded->cols);
    else
        gram_pool_for(pool, coded->rows, 16, find_rows, &call);
}
