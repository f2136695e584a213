/*
 * HQQ (Badri, Shaji 2023, "Half-quadratic quantization of large machine learning models"): find the zero
 * point for which sum |w - q|^p is least, p < 1, so that a few outliers may be missed by much. With e
 * for the errors that are forgiven, two steps alternate: e = shrink(w - q), and the zero point that is
 * best for w - e. No calibration.
 *
 * gram_hqq_optimize() is the reference's solver with its float zero points. What we store has zero
 * points that are codes, or none: gram_solve_hqq() rounds them in each step, and where that
 * changes nothing solves for the scale by least squares. Each run keeps the best iterate, the
 * first of which is round to nearest.
 */
#include "quant/hqq.h"

#include <math.h>

#include "quant/nearest.h"
#include "quant/solver.h"
#include "quant/steps.h"

float gram_hqq_shrink(float x, double beta, float norm)
{
    const float size = fabsf(x);
    if (!(size > 0))
        return 0;
    const float kept = size - (float)(1 / beta) * powf(size, norm - 1);
    return kept > 0 ? copysignf(kept, x) : 0;
}

static float nearest_code(float x, float scale, float zero, float top)
{
    const float code = rintf(x * scale + zero);
    return code < 0 ? 0 : code > top ? top : code;
}

/* One step for one run; scale is the inverse, as in the reference. Returns sum |x - q| before it. */
static double improve_zero(float *zero, float scale, const float *x, int64_t n, float top,
                           double beta, float norm)
{
    double error = 0, sum = 0;

    for (int64_t i = 0; i < n; i++) {
        const float code = nearest_code(x[i], scale, *zero, top);
        const float miss = x[i] - (code - *zero) / scale;
        error += fabs((double)miss);
        sum += code - (x[i] - gram_hqq_shrink(miss, beta, norm)) * scale;
    }
    *zero = (float)(sum / (double)n);
    return error;
}

static void start(float *scale, float *zero, const float *x, int64_t n, float top)
{
    float low = x[0], high = x[0];

    for (int64_t i = 1; i < n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    *scale = fminf(top / (high - low), 2e4f); /* the reference's limit, for f16 */
    *zero = -low * *scale;
}

void gram_hqq_optimize(uint8_t *codes, float *scale, float *zero, const float *x, int64_t runs,
                       int64_t n, int bits, const struct gram_hqq_options *options)
{
    const float top = (float)((1 << bits) - 1);
    float best = INFINITY; /* an f32 mean, as in the reference: it decides when no more is gained */
    const double beta = options->beta;

    for (int64_t r = 0; r < runs; r++) {
        start(&scale[r], &zero[r], x + r * n, n, top);
        zero[r] = options->round_zero ? rintf(zero[r]) : zero[r];
    }
    for (int64_t i = 0; i < options->iterations; i++) {
        double error = 0;
        for (int64_t r = 0; r < runs; r++)
            error += improve_zero(&zero[r], scale[r], x + r * n, n, top, beta, options->norm);
        const float mean = (float)(error / (double)(runs * n));
        if (!(mean < best))
            break;
        best = mean;
    }
    for (int64_t r = 0; r < runs; r++) {
        for (int64_t i = 0; i < n; i++)
            codes[r * n + i] = (uint8_t)nearest_code(x[r * n + i], scale[r], zero[r], top);
        scale[r] = 1 / scale[r];
    }
}

/* The error that HQQ minimizes, of a run with this step. */
static double norm_error(const struct gram_grid *grid, struct gram_step step, const float *x,
                         int64_t n, float norm)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float value = gram_code_value(grid, step, gram_nearest(grid, step, x[i]));
        sum += (double)powf(fabsf(x[i] - value), norm);
    }
    return sum;
}

/* The zero point that is best for what is not forgiven; the scale, if there is none or it stays. */
static struct gram_step improve_step(const struct gram_grid *grid, struct gram_step step,
                                     const float *x, int64_t n, double beta, float norm)
{
    const int half = 1 << (grid->bits - 1);
    double shift = 0, product = 0, square = 0;

    for (int64_t i = 0; i < n; i++) {
        const uint8_t code = gram_nearest(grid, step, x[i]);
        const float value = gram_code_value(grid, step, code);
        const float wanted = x[i] - gram_hqq_shrink(x[i] - value, beta, norm);
        shift += (double)(code - half) - (double)(wanted / step.scale);
        product += (double)value * (double)wanted;
        square += (double)value * (double)value;
    }
    const int zero = (int)fmin(fmax(rint(shift / (double)n), -half), half - 1);
    if (grid->asymmetric && zero != step.zero)
        step.zero = zero;
    else if (square > 0 && product > 0)
        step.scale = gram_step_scale(grid, (float)((double)step.scale * product / square));
    return step;
}

static struct gram_step optimize_run(const struct gram_grid *grid, struct gram_step step,
                                     const float *x, int64_t n, int64_t iterations)
{
    const struct gram_hqq_options o = GRAM_HQQ_OPTIONS_INIT;
    struct gram_step best = step;
    double least = norm_error(grid, step, x, n, o.norm);

    for (int64_t i = 0; i < (iterations ? iterations : o.iterations); i++) {
        const struct gram_step next = improve_step(grid, step, x, n, o.beta, o.norm);
        if (next.scale == step.scale && next.zero == step.zero)
            break;
        const double error = norm_error(grid, next, x, n, o.norm);
        if (error < least) {
            least = error;
            best = next;
        }
        step = next;
    }
    return best;
}

struct hqq_call {
    struct gram_coded *coded;
    const struct gram_problem *problem;
};

static void solve_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct hqq_call *c = context;
    struct gram_coded *coded = c->coded;
    (void)worker;

    for (int64_t r = begin; r < end; r++) {
        for (int64_t g = 0; g < coded->groups; g++) {
            const int64_t at = r * coded->cols + g * coded->span, n = gram_coded_width(coded, g);
            const float *x = c->problem->w + at;
            struct gram_step *step = gram_coded_step(coded, r, g);
            if (!coded->is_one)
                *step = optimize_run(&coded->grid, *step, x, n, c->problem->options->iterations);
            gram_grid_encode(coded->codes + at, &coded->grid, *step, x, n);
        }
    }
}

enum gram_status gram_solve_hqq(struct gram_coded *coded, const struct gram_problem *problem,
                                struct gram_solution *solution, struct gram_error *err)
{
    const struct gram_step_rule range = {0};
    struct hqq_call call = {coded, problem};
    (void)solution, (void)err;

    gram_steps_find(coded, problem->w, &range, problem->pool);
    if (coded->is_one)
        coded->steps[0] = optimize_run(&coded->grid, coded->steps[0], problem->w,
                                       coded->rows * coded->cols, problem->options->iterations);
    gram_pool_for(problem->pool, coded->rows, 8, solve_rows, &call);
    return GRAM_OK;
}
