#include "train/fake.h"

#include <math.h>

#include "quant/steps.h"

enum { ROWS = 16 }; /* of a piece of work */

static float *take(struct gram_arena *arena, int64_t n)
{
    return gram_arena_take(arena, (size_t)n, sizeof(float));
}

/* The ends of the grid in steps: what lies beyond them is cut off. */
static void find_ends(struct gram_fake *f)
{
    const struct gram_grid *grid = &f->coded.grid;
    const uint8_t ends[] = {0, (uint8_t)((1 << grid->bits) - 1)};

    f->low = -(float)(1 << (grid->bits - 1));
    f->high = -f->low - 1.0f;
    if (grid->is_ternary)
        f->low = -1.0f, f->high = 1.0f;
    for (int code = 0; grid->codebook && code <= ends[1]; code++) {
        const uint8_t one = (uint8_t)code;
        float x;
        gram_grid_decode(&x, grid, (struct gram_step){1.0f, 0}, &one, 1);
        f->low = code == 0 ? x : fminf(f->low, x);
        f->high = code == 0 ? x : fmaxf(f->high, x);
    }
}

enum gram_status gram_fake_open(struct gram_fake *f, const struct gram_grid *grid, int64_t rows,
                                int64_t cols, int64_t span, bool is_one, const float *w,
                                struct gram_pool *pool, struct gram_arena *arena,
                                struct gram_error *err)
{
    const struct gram_step_rule rule = {.is_searched = true};

    *f = (struct gram_fake){.w = w};
    if (!gram_coded_open(&f->coded, grid, rows, cols, span, is_one, arena))
        return gram_fail_memory(err, "fake quantization");
    f->n_steps = is_one ? 1 : rows * f->coded.groups;
    f->quantized = take(arena, rows * cols);
    f->logs = take(arena, f->n_steps);
    f->g_logs = take(arena, f->n_steps);
    f->first = take(arena, f->n_steps);
    f->row_logs = gram_arena_take(arena, (size_t)rows, sizeof *f->row_logs);
    if (!f->quantized || !f->logs || !f->g_logs || !f->first || !f->row_logs)
        return gram_fail_memory(err, "fake quantization");
    find_ends(f);
    f->share = (float)(1.0 / sqrt((double)(is_one ? rows * cols : span) * fmax(1.0, (double)f->high)));
    gram_steps_find(&f->coded, w, &rule, pool);
    for (int64_t i = 0; i < f->n_steps; i++)
        f->first[i] = f->coded.steps[i].scale;
    return GRAM_OK;
}

/* ---- forward ---- */

struct pass {
    struct gram_fake *fake;
    float *g;
};

/* Steps are values of the type that they will be stored in; one of zero stays it. */
static void find_steps(struct gram_fake *f)
{
    for (int64_t i = 0; i < f->n_steps; i++) {
        const float scale = f->first[i] * expf(f->logs[i]);
        if (isfinite(scale) && scale > 0.0f)
            f->coded.steps[i].scale = gram_step_scale(&f->coded.grid, scale);
    }
}

static void fill_rows(void *context, int64_t begin, int64_t end, int worker)
{
    struct gram_fake *f = ((struct pass *)context)->fake;
    struct gram_coded *c = &f->coded;

    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        for (int64_t g = 0; g < c->groups; g++) {
            const int64_t at = r * c->cols + g * c->span;
            gram_grid_encode(c->codes + at, &c->grid, *gram_coded_step(c, r, g), f->w + at,
                             gram_coded_width(c, g));
        }
        gram_coded_row(c, r, f->quantized + r * c->cols);
    }
}

void gram_fake_fill(struct gram_fake *f, struct gram_pool *pool)
{
    find_steps(f);
    gram_pool_for(pool, f->coded.rows, ROWS, fill_rows, &(struct pass){.fake = f});
}

/* ---- and back ---- */

/*
 * Of weights that share a step s: q = s k, k = clip(round(w / s)).
 *   d q / d w = 1 within the grid, 0 where it is cut off
 *   d q / d log s = q - w within, q where it is cut off
 */
static double pull_group(const struct gram_fake *f, struct gram_step step, const float *w,
                         const float *q, float *g, int64_t n)
{
    const float low = f->low - (float)step.zero, high = f->high - (float)step.zero;
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        const float x = w[i] / step.scale;
        const bool is_inside = x >= low - 0.5f && x <= high + 0.5f;
        sum += (double)g[i] * ((double)q[i] - (is_inside ? (double)w[i] : 0.0));
        g[i] = is_inside ? g[i] : 0.0f;
    }
    return sum;
}

static void pull_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct pass *pass = context;
    struct gram_fake *f = pass->fake;
    const struct gram_coded *c = &f->coded;

    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        f->row_logs[r] = 0.0;
        for (int64_t g = 0; g < c->groups; g++) {
            const int64_t at = r * c->cols + g * c->span;
            const double sum = pull_group(f, *gram_coded_step(c, r, g), f->w + at, f->quantized + at,
                                          pass->g + at, gram_coded_width(c, g));
            f->row_logs[r] += sum;
            if (!c->is_one)
                f->g_logs[r * c->groups + g] += f->share * (float)sum;
        }
    }
}

void gram_fake_pull(struct gram_fake *f, float *g, struct gram_pool *pool)
{
    gram_pool_for(pool, f->coded.rows, ROWS, pull_rows, &(struct pass){f, g});
    for (int64_t r = 0; f->coded.is_one && r < f->coded.rows; r++)
        f->g_logs[0] += f->share * (float)f->row_logs[r];
}
