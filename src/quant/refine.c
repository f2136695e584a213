/*
 * With the gradient g = E G of a row at hand, a change d of weight k lowers the error by d (2 g_k - d
 * G_kk), and moves the gradient by -d G_k. A change s c of a whole group (c its codes without the scale)
 * lowers it by s (2 c'g - s c'Gc). Columns go in blocks: inside, the gradient is kept up to date; what a
 * block has changed reaches the others as one matrix product.
 */
#include "quant/refine.h"

#include <math.h>
#include <string.h>

#include "quant/nearest.h"
#include "quant/product.h"
#include "quant/steps.h"

enum {
    SLICE = 64, /* rows */
    BLOCK = 128 /* columns, or one group if that is wider */
};

/* Scratch memory of a worker. */
struct slice {
    float *e;      /* [SLICE][cols] w - q at the start of a sweep; later, without meaning */
    float *g;      /* [SLICE][cols] gradient */
    float *moved;  /* [SLICE][width] minus what the block changed in q */
    float *c;      /* [SLICE][span] codes of a group without the scale */
    float *cg;     /* [SLICE][width] c G, for the block's columns */
};

struct refine_call {
    struct gram_coded *coded;
    const float *w;
    const struct gram_refine *refine;
    const struct gram_kernels *kernels;
    struct gram_product gram;
    int64_t width; /* of a block: whole groups */
    struct slice *slices;
};

/* Columns [begin, begin + n) of rows [r0, r0 + rows). */
struct tile {
    int64_t r0, rows, begin, n;
};

/* The gradient of rows, from scratch. */
static void find_gradient(const struct refine_call *c, const struct slice *s, int64_t r0,
                          int64_t rows)
{
    const int64_t cols = c->coded->cols;

    for (int64_t i = 0; i < rows; i++) {
        float *e = s->e + i * cols, *g = s->g + i * cols;
        gram_coded_row(c->coded, r0 + i, e);
        for (int64_t k = 0; k < cols; k++)
            e[k] = c->w[(r0 + i) * cols + k] - e[k];
        for (int64_t k = 0; k < cols; k++)
            g[k] = (float)c->refine->ridge * e[k];
    }
    gram_product_add(&c->gram, s->g, s->e, rows);
}

/* Row i of the tile: the scale of group `at` columns into the block moves to its best value. */
static void fit_scale(const struct refine_call *c, const struct slice *s, const struct tile *t,
                      int64_t i, int64_t at, int64_t span)
{
    const struct gram_coded *coded = c->coded;
    struct gram_step *step = gram_coded_step(coded, t->r0 + i, (t->begin + at) / coded->span);
    const float *codes = s->c + i * span, *cg = s->cg + i * t->n;
    float *g = s->g + i * coded->cols + t->begin, *moved = s->moved + i * t->n;
    const float ridge = (float)c->refine->ridge;
    const float slope = c->kernels->dot_f32(codes, g + at, span);
    const float curve = c->kernels->dot_f32(codes, cg + at, span) +
                        ridge * c->kernels->dot_f32(codes, codes, span);

    if (!(curve > 0))
        return;
    const float wanted = step->scale + slope / curve;
    if (!(wanted > 0) || !isfinite(wanted))
        return;
    const float scale = gram_step_scale(&coded->grid, wanted), d = scale - step->scale;
    if (!(d * (2 * slope - d * curve) > 0))
        return;
    step->scale = scale;
    c->kernels->axpy(g, -d, cg, t->n);
    c->kernels->axpy(g + at, -d * ridge, codes, span);
    c->kernels->axpy(moved + at, -d, codes, span);
}

/* The scales of one group, for all rows of the tile. */
static void fit_scales(const struct refine_call *c, const struct slice *s, const struct tile *t,
                       int64_t at, int64_t span)
{
    const struct gram_coded *coded = c->coded;
    const int64_t cols = coded->cols, group = (t->begin + at) / coded->span;

    for (int64_t i = 0; i < t->rows; i++) {
        const uint8_t *codes = coded->codes + (t->r0 + i) * cols + t->begin + at;
        const struct gram_step unit = {1, gram_coded_step(coded, t->r0 + i, group)->zero};
        for (int64_t k = 0; k < span; k++)
            s->c[i * span + k] = gram_code_value(&coded->grid, unit, codes[k]);
    }
    memset(s->cg, 0, (size_t)(t->rows * t->n) * sizeof *s->cg);
    gram_product_add_part(&c->gram, s->cg, t->n, s->c, span, t->rows, t->begin + at, span, t->begin,
                          t->begin + t->n);
    for (int64_t i = 0; i < t->rows; i++)
        fit_scale(c, s, t, i, at, span);
}

/* Row i of the tile: each code of a group moves to its best value. */
static void move_codes(const struct refine_call *c, const struct slice *s, const struct tile *t,
                       int64_t i, int64_t at, int64_t span)
{
    const struct gram_coded *coded = c->coded;
    const struct gram_step step = *gram_coded_step(coded, t->r0 + i, (t->begin + at) / coded->span);
    const float ridge = (float)c->refine->ridge;
    const float least = coded->grid.codebook ? 0 : 0.5f * step.scale; /* that can change a code */
    uint8_t *codes = coded->codes + (t->r0 + i) * coded->cols + t->begin;
    float *g = s->g + i * coded->cols + t->begin, *moved = s->moved + i * t->n;

    for (int64_t k = at; k < at + span; k++) {
        const float *row = c->refine->gram + (t->begin + k) * coded->cols + t->begin;
        const float curve = row[k] + ridge;
        if (!(fabsf(g[k]) > least * curve) || curve <= 0)
            continue;
        const float now = gram_code_value(&coded->grid, step, codes[k]);
        const uint8_t code = gram_nearest(&coded->grid, step, now + g[k] / curve);
        const float d = gram_code_value(&coded->grid, step, code) - now;
        if (!(d * (2 * g[k] - d * curve) > 0))
            continue;
        codes[k] = code;
        c->kernels->axpy(g, -d, row, t->n);
        g[k] -= ridge * d;
        moved[k] -= d;
    }
}

/* Tell the columns outside of the block what changed in it. */
static void spread(const struct refine_call *c, const struct slice *s, const struct tile *t)
{
    const int64_t cols = c->coded->cols, end = t->begin + t->n;

    gram_product_add_part(&c->gram, s->g, cols, s->moved, t->n, t->rows, t->begin, t->n, 0, t->begin);
    gram_product_add_part(&c->gram, s->g + end, cols, s->moved, t->n, t->rows, t->begin, t->n, end, cols);
}

static void refine_tile(const struct refine_call *c, const struct slice *s, const struct tile *t)
{
    const int64_t span = c->coded->span;

    memset(s->moved, 0, (size_t)(t->rows * t->n) * sizeof *s->moved);
    for (int64_t at = 0; at < t->n; at += span) {
        const int64_t width = t->n - at < span ? t->n - at : span;
        if (!c->refine->keep_steps && !c->coded->is_one)
            fit_scales(c, s, t, at, width);
        for (int64_t i = 0; i < t->rows; i++)
            move_codes(c, s, t, i, at, width);
    }
    spread(c, s, t);
}

static void refine_slices(void *context, int64_t first, int64_t last, int worker)
{
    const struct refine_call *c = context;
    const struct slice *s = &c->slices[worker];
    const int64_t cols = c->coded->cols;

    for (int64_t i = first; i < last; i++) {
        const int64_t r0 = i * SLICE, left = c->coded->rows - r0;
        const int64_t rows = left < SLICE ? left : SLICE;
        find_gradient(c, s, r0, rows);
        for (int64_t sweep = 0; sweep < c->refine->sweeps; sweep++) {
            for (int64_t begin = 0; begin < cols; begin += c->width) {
                const int64_t n = cols - begin < c->width ? cols - begin : c->width;
                refine_tile(c, s, &(struct tile){r0, rows, begin, n});
            }
        }
    }
}

static bool take_slices(struct refine_call *c, int workers, struct gram_arena *arena)
{
    const size_t cols = SLICE * (size_t)c->coded->cols, width = SLICE * (size_t)c->width;

    c->slices = gram_arena_take(arena, (size_t)workers, sizeof *c->slices);
    for (int i = 0; c->slices && i < workers; i++) {
        struct slice *s = &c->slices[i];
        s->e = gram_arena_take(arena, cols, sizeof *s->e);
        s->g = gram_arena_take(arena, cols, sizeof *s->g);
        s->moved = gram_arena_take(arena, width, sizeof *s->moved);
        s->c = gram_arena_take(arena, width, sizeof *s->c);
        s->cg = gram_arena_take(arena, width, sizeof *s->cg);
        if (!s->e || !s->g || !s->moved || !s->c || !s->cg)
            return false;
    }
    return c->slices != NULL;
}

bool gram_refine(struct gram_coded *coded, const float *w, const struct gram_refine *refine,
                 const struct gram_kernels *kernels, struct gram_pool *pool)
{
    const int64_t span = coded->span;
    struct refine_call call = {.coded = coded, .w = w, .refine = refine, .kernels = kernels};
    struct gram_arena own = {0}, *arena = refine->scratch ? refine->scratch : &own;

    call.width = span < BLOCK ? BLOCK / span * span : span;
    const bool ok =
        take_slices(&call, gram_pool_threads(pool), arena) &&
        gram_product_open(&call.gram, refine->gram, coded->cols, call.width, kernels, pool, arena);

    if (ok)
        gram_pool_for(pool, (coded->rows + SLICE - 1) / SLICE, 1, refine_slices, &call);
    gram_arena_rewind(arena);
    gram_arena_reset(&own);
    return ok;
}
