#include "train/fake.h"

#include <math.h>
#include <string.h>

#include "quant/steps.h"

enum { ROWS = 16 }; /* of a piece of work */

static float *take(struct gram_arena *arena, int64_t n)
{
    return gram_arena_take(arena, (size_t)n, sizeof(float));
}

/* Of a codebook, half the last gap lies beyond either end. */
static void find_book_ends(struct gram_fake *f)
{
    const struct gram_grid *grid = &f->coded.grid;
    float least = INFINITY, most = -INFINITY, second_least = INFINITY, second_most = -INFINITY;

    for (int code = 0; code < 1 << grid->bits; code++) {
        const uint8_t one = (uint8_t)code;
        float x;
        gram_grid_decode(&x, grid, (struct gram_step){1.0f, 0}, &one, 1);
        second_least = x < least ? least : x > least ? fminf(second_least, x) : second_least;
        second_most = x > most ? most : x < most ? fmaxf(second_most, x) : second_most;
        least = fminf(least, x);
        most = fmaxf(most, x);
    }
    f->low = least - (second_least - least) / 2;
    f->high = most + (most - second_most) / 2;
}

/* What lies beyond these, in steps, is cut off: not rounded to what is nearest, but to the end. */
static void find_ends(struct gram_fake *f)
{
    const struct gram_grid *grid = &f->coded.grid;
    const float half = (float)(1 << (grid->bits - 1));

    f->low = grid->is_ternary ? -1.5f : -half - 0.5f;
    f->high = grid->is_ternary ? 1.5f : half - 0.5f;
    if (grid->codebook)
        find_book_ends(f);
}

/* LSQ's: of the gradient of a step. */
static float share_of(const struct gram_grid *grid, int64_t weights)
{
    const double most = grid->codebook     ? (double)grid->codebook->top
                        : grid->is_ternary ? 1.0
                                           : (double)((1 << (grid->bits - 1)) - 1);
    return (float)(1.0 / sqrt((double)weights * fmax(1.0, most)));
}

/* Everything but the steps. */
static enum gram_status open_tables(struct gram_fake *f, struct gram_arena *arena, struct gram_error *err)
{
    const struct gram_coded *c = &f->coded;

    f->n_steps = c->is_one ? 1 : c->rows * c->groups;
    f->quantized = take(arena, c->rows * c->cols);
    f->logs = take(arena, f->n_steps);
    f->g_logs = take(arena, f->n_steps);
    f->first = take(arena, f->n_steps);
    f->row_logs = gram_arena_take(arena, (size_t)c->rows, sizeof *f->row_logs);
    if (!f->quantized || !f->logs || !f->g_logs || !f->first || !f->row_logs)
        return gram_fail_memory(err, "fake quantization");
    find_ends(f);
    f->share = share_of(&c->grid, c->is_one ? c->rows * c->cols : c->span);
    return GRAM_OK;
}

static void remember_first(struct gram_fake *f)
{
    for (int64_t i = 0; i < f->n_steps; i++)
        f->first[i] = f->coded.steps[i].scale;
}

enum gram_status gram_fake_place(struct gram_fake *f, const struct gram_grid *grid, int64_t rows,
                                 int64_t cols, int64_t span, bool is_one, struct gram_arena *arena,
                                 struct gram_error *err)
{
    *f = (struct gram_fake){0};
    if (!gram_coded_open(&f->coded, grid, rows, cols, span, is_one, arena))
        return gram_fail_memory(err, "fake quantization");
    return open_tables(f, arena, err);
}

void gram_fake_begin(struct gram_fake *f, const float *w)
{
    f->w = w;
    remember_first(f);
}

enum gram_status gram_fake_open(struct gram_fake *f, const struct gram_grid *grid, int64_t rows,
                                int64_t cols, int64_t span, bool is_one, const float *w,
                                struct gram_pool *pool, struct gram_arena *arena,
                                struct gram_error *err)
{
    const struct gram_step_rule rule = {.is_searched = true};

    GRAM_TRY(gram_fake_place(f, grid, rows, cols, span, is_one, arena, err));
    gram_steps_find(&f->coded, w, &rule, pool);
    gram_fake_begin(f, w);
    return GRAM_OK;
}

enum gram_status gram_fake_resume(struct gram_fake *f, const struct gram_coded *from, const float *w,
                                  struct gram_arena *arena, struct gram_error *err)
{
    *f = (struct gram_fake){.w = w};
    if (!gram_coded_open(&f->coded, &from->grid, from->rows, from->cols, from->span, from->is_one, arena))
        return gram_fail_memory(err, "fake quantization");
    GRAM_TRY(open_tables(f, arena, err));
    memcpy(f->coded.steps, from->steps, (size_t)f->n_steps * sizeof *from->steps);
    remember_first(f);
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
        gram_coded_round_row(c, r, f->w + r * c->cols);
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
 *   d q / d w = 1 within the grid; 0 where it is cut off, unless the step leads back to the grid, from
 *   where a weight would else never return
 *   d q / d log s = q - w within, q where it is cut off
 */
static double pull_group(const struct gram_fake *f, struct gram_step step, const float *w,
                         const float *q, float *g, int64_t n)
{
    const float low = f->low - (float)step.zero, high = f->high - (float)step.zero;
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        const float x = w[i] / step.scale;
        const bool is_inside = x >= low && x <= high;
        sum += (double)g[i] * ((double)q[i] - (is_inside ? (double)w[i] : 0.0));
        const bool is_back = x > high ? g[i] > 0.0f : g[i] < 0.0f;
        g[i] = is_inside || is_back ? g[i] : 0.0f;
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
