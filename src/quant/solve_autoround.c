/*
 * AutoRound (Cheng et al. 2023, "Optimize weight rounding via signed gradient descent"): weights are
 * rounded as nearest(w / s + z + v) with offsets v in [-0.5, 0.5], and ranges are [a low, b high] with
 * factors a, b in [0.5, 1]; v, a and b go down the gradient's sign with a rate that falls linearly to
 * zero, rounding taken for the identity (straight through), and the best of all iterates is kept. The
 * paper's loss is the error of a block's output on batches of text; here it is the linear's own over all
 * of the text, tr(E G E'), whose gradient is 2 E G. Rows are then independent, and each keeps its own
 * best iterate; the first is round to nearest on the range of least error (mse_steps) or the whole one.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "quant/nearest.h"
#include "quant/product.h"
#include "quant/solver.h"
#include "quant/steps.h"

enum {
    SLICE = 64,  /* rows */
    BLOCK = 128, /* inputs of a product */
    ITERATIONS = 200
};

/* What a group learns. */
struct clip {
    struct gram_range range; /* of its weights */
    float low, high;         /* factors */
};

/* Scratch memory of a worker. */
struct slice {
    float *v;                /* [SLICE][cols] offsets */
    float *e, *eg;           /* [SLICE][cols] w - q, and that times G */
    uint8_t *codes;          /* [SLICE][cols] of this iterate */
    struct gram_step *steps; /* [SLICE][groups] */
    struct clip *clips;      /* [SLICE][groups] */
};

struct autoround_call {
    struct gram_coded *coded;
    const struct gram_problem *problem;
    struct gram_kernels kernels;
    struct gram_product gram;
    int64_t iterations;
    struct slice *slices;
};

static inline float sign(float x)
{
    return (float)((x > 0) - (x < 0));
}

static inline float clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

static struct gram_step clipped_step(const struct gram_grid *grid, const struct clip *clip)
{
    struct gram_range range = clip->range;
    range.low *= clip->low;
    range.high *= clip->high;
    range.magnitude *= (double)clip->high;
    return gram_grid_step(grid, range);
}

/* Factors that give about the step that was found for the group. */
static void start_clip(struct clip *clip, const struct gram_grid *grid, struct gram_step found,
                       const float *x, int64_t n)
{
    *clip = (struct clip){.low = 1, .high = 1};
    gram_range_add(&clip->range, x, n);
    const float share = found.scale / gram_grid_step(grid, clip->range).scale;
    clip->low = clip->high = clamp(share, 0.5f, 1);
}

static void start_slice(const struct autoround_call *c, const struct slice *s, int64_t r0,
                        int64_t rows)
{
    const struct gram_coded *coded = c->coded;

    memset(s->v, 0, (size_t)(rows * coded->cols) * sizeof *s->v);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t g = 0; g < coded->groups; g++) {
            const int64_t at = (r0 + i) * coded->cols + g * coded->span;
            start_clip(&s->clips[i * coded->groups + g], &coded->grid,
                       *gram_coded_step(coded, r0 + i, g), c->problem->w + at,
                       gram_coded_width(coded, g));
        }
    }
}

/* Round row i of the slice; its steps come from the clips, or are given for the tensor. */
static void round_row(const struct autoround_call *c, const struct slice *s, int64_t r0, int64_t i)
{
    const struct gram_coded *coded = c->coded;
    const float *w = c->problem->w + (r0 + i) * coded->cols;
    const int64_t begin = i * coded->cols;

    for (int64_t k = 0; k < coded->cols; k++) {
        const int64_t at = i * coded->groups + k / coded->span;
        if (k % coded->span == 0)
            s->steps[at] = coded->is_one ? coded->steps[0] : clipped_step(&coded->grid, &s->clips[at]);
        const struct gram_step step = s->steps[at];
        s->codes[begin + k] =
            gram_nearest(&coded->grid, step, w[k] + s->v[begin + k] * step.scale);
        s->e[begin + k] = w[k] - gram_code_value(&coded->grid, step, s->codes[begin + k]);
    }
}

/* A step down the sign of the gradient for one group; eg is minus half of the loss's gradient in q. */
static void learn_group(const struct gram_grid *grid, struct clip *clip, struct gram_step step,
                        float *v, const float *w, const float *e, const float *eg, int64_t n,
                        float rate)
{
    const float half = (float)(1 << (grid->bits - 1)), levels = 2 * half - 1;
    float by_scale = 0; /* minus half of the loss's derivative by the scale */

    for (int64_t k = 0; k < n; k++) {
        const float place = w[k] / step.scale + (float)step.zero + v[k];
        const bool is_inside = place >= -half - 0.5f && place <= half - 0.5f;
        const float code = (w[k] - e[k]) / step.scale; /* without zero point */
        by_scale += eg[k] * (is_inside ? code - w[k] / step.scale : code);
        if (is_inside)
            v[k] = clamp(v[k] + rate * sign(eg[k]), -0.5f, 0.5f);
    }
    if (grid->asymmetric) {
        clip->high = clamp(clip->high + rate * sign(by_scale * clip->range.high / levels), 0.5f, 1);
        clip->low = clamp(clip->low - rate * sign(by_scale * clip->range.low / levels), 0.5f, 1);
    } else {
        clip->low = clip->high = clamp(clip->high + rate * sign(by_scale), 0.5f, 1);
    }
}

static void learn_row(const struct autoround_call *c, const struct slice *s, int64_t r0, int64_t i,
                      float rate)
{
    const struct gram_coded *coded = c->coded;

    for (int64_t g = 0; g < coded->groups; g++) {
        const int64_t at = i * coded->cols + g * coded->span, which = i * coded->groups + g;
        learn_group(&coded->grid, &s->clips[which], s->steps[which], s->v + at,
                    c->problem->w + r0 * coded->cols + at, s->e + at, s->eg + at,
                    gram_coded_width(coded, g), rate);
    }
}

static void keep_row(const struct autoround_call *c, const struct slice *s, int64_t r0, int64_t i)
{
    const struct gram_coded *coded = c->coded;
    const size_t cols = (size_t)coded->cols, groups = (size_t)coded->groups;

    memcpy(coded->codes + (r0 + i) * coded->cols, s->codes + i * coded->cols, cols);
    if (!coded->is_one)
        memcpy(gram_coded_step(coded, r0 + i, 0), s->steps + i * coded->groups,
               groups * sizeof *s->steps);
}

static void solve_slice(const struct autoround_call *c, const struct slice *s, int64_t r0,
                        int64_t rows)
{
    const int64_t cols = c->coded->cols;
    double least[SLICE];

    start_slice(c, s, r0, rows);
    for (int64_t t = 0; t <= c->iterations; t++) {
        const float rate = (float)(c->iterations - t) / (float)(c->iterations * c->iterations);
        for (int64_t i = 0; i < rows; i++)
            round_row(c, s, r0, i);
        memset(s->eg, 0, (size_t)(rows * cols) * sizeof *s->eg);
        gram_product_add(&c->gram, s->eg, s->e, rows);
        for (int64_t i = 0; i < rows; i++) {
            const double loss = (double)c->kernels.dot_f32(s->e + i * cols, s->eg + i * cols, cols);
            if (t == 0 || loss < least[i]) {
                least[i] = loss;
                keep_row(c, s, r0, i);
            }
            learn_row(c, s, r0, i, rate);
        }
    }
}

static void solve_slices(void *context, int64_t begin, int64_t end, int worker)
{
    const struct autoround_call *c = context;
    for (int64_t i = begin; i < end; i++) {
        const int64_t r0 = i * SLICE, left = c->coded->rows - r0;
        solve_slice(c, &c->slices[worker], r0, left < SLICE ? left : SLICE);
    }
}

static bool take_slices(struct autoround_call *c, int workers, struct gram_arena *arena)
{
    const size_t cols = SLICE * (size_t)c->coded->cols, groups = SLICE * (size_t)c->coded->groups;

    c->slices = gram_arena_take(arena, (size_t)workers, sizeof *c->slices);
    for (int i = 0; c->slices && i < workers; i++) {
        struct slice *s = &c->slices[i];
        s->v = gram_arena_take(arena, cols, sizeof *s->v);
        s->e = gram_arena_take(arena, cols, sizeof *s->e);
        s->eg = gram_arena_take(arena, cols, sizeof *s->eg);
        s->codes = gram_arena_take(arena, cols, 1);
        s->steps = gram_arena_take(arena, groups, sizeof *s->steps);
        s->clips = gram_arena_take(arena, groups, sizeof *s->clips);
        if (!s->v || !s->e || !s->eg || !s->codes || !s->steps || !s->clips)
            return false;
    }
    return c->slices != NULL;
}

enum gram_status gram_solve_autoround(struct gram_coded *coded, const struct gram_problem *problem,
                                      struct gram_solution *solution, struct gram_error *err)
{
    const int64_t iterations = problem->options->iterations;
    const struct gram_step_rule rule = {.is_searched = problem->options->mse_steps};
    struct autoround_call call = {
        .coded = coded,
        .problem = problem,
        .kernels = gram_problem_kernels(problem),
        .iterations = iterations > 0 ? iterations : ITERATIONS,
    };
    struct gram_arena own = {0}, *arena = problem->scratch ? problem->scratch : &own;
    (void)solution;

    const bool ok = take_slices(&call, gram_pool_threads(problem->pool), arena) &&
                    gram_product_open(&call.gram, problem->stats->gram, coded->cols,
                                      gram_min_i64(BLOCK, coded->cols), &call.kernels, problem->pool, arena);
    if (ok) {
        gram_steps_find(coded, problem->w, &rule, problem->pool);
        gram_pool_for(problem->pool, (coded->rows + SLICE - 1) / SLICE, 1, solve_slices, &call);
    }
    gram_arena_rewind(arena);
    gram_arena_reset(&own);
    return ok ? GRAM_OK : gram_fail_memory(err, problem->name);
}
