/*
 * auto_clip_layer of the reference, but over all tokens: the output of a group changes by x e, and the mean
 * of its square over tokens is e G e', with G the group's part of X'X / tokens.
 */
#include "quant/awq_clip.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/cpu.h"
#include "quant/steps.h"

enum { SLICE = 32, TRIES = 10, GRID = 20 };

struct clipping {
    const struct gram_rescale *at;
    struct gram_kernels kernels;
    struct gram_grid grid;
    float *w;             /* [rows][cols] */
    int64_t rows, span;
    float *s;             /* [cols] */
    float *scratch;       /* [workers][3][SLICE][span] */
    struct gram_arena arena;
};

static float clamp(float x, float most)
{
    return fmaxf(-most, fminf(x, most));
}

/* What n weights lose, in the units of the inputs before scaling, if they are clipped to `most`. */
static void find_loss(float *e, const struct clipping *c, const float *w, const float *s, float most,
                      int64_t n, float *scratch)
{
    uint8_t *codes = (uint8_t *)scratch;

    for (int64_t k = 0; k < n; k++)
        e[k] = clamp(w[k], most);
    const struct gram_step step = gram_step_find(&c->grid, false, e, NULL, n);
    gram_grid_encode(codes, &c->grid, step, e, n);
    gram_grid_decode(e, &c->grid, step, codes, n);
    for (int64_t k = 0; k < n; k++)
        e[k] = (e[k] - w[k]) * s[k];
}

/* Columns [k, k + n) of some rows, w[rows] with stride cols. */
static void clip_group(const struct clipping *c, float *w, int64_t rows, int64_t k, int64_t n, float *scratch)
{
    const int64_t cols = c->at->cols;
    const float *gram = c->at->stats->gram + k * cols + k;
    float *e = scratch, *eg = e + SLICE * n, *codes = eg + SLICE * n;
    float absmax[SLICE], best[SLICE];
    double least[SLICE];

    for (int64_t r = 0; r < rows; r++) {
        absmax[r] = 0.0f;
        for (int64_t i = 0; i < n; i++)
            absmax[r] = fmaxf(absmax[r], fabsf(w[r * cols + i]));
        best[r] = absmax[r];
        least[r] = INFINITY;
    }
    for (int t = 0; t < TRIES; t++) {
        const double share = 1.0 - (double)t / GRID;
        for (int64_t r = 0; r < rows; r++)
            find_loss(e + r * n, c, w + r * cols, c->s + k, (float)(share * (double)absmax[r]), n, codes);
        memset(eg, 0, (size_t)(rows * n) * sizeof *eg);
        c->kernels.gemm_f32(eg, n, e, n, gram, cols, rows, n, n);
        for (int64_t r = 0; r < rows; r++) {
            double error = 0;
            for (int64_t i = 0; i < n; i++)
                error += (double)e[r * n + i] * (double)eg[r * n + i];
            if (error < least[r]) {
                least[r] = error;
                best[r] = (float)(share * (double)absmax[r]);
            }
        }
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            w[r * cols + i] = clamp(w[r * cols + i], best[r]);
}

static void clip_slices(void *context, int64_t begin, int64_t end, int worker)
{
    const struct clipping *c = context;
    const int64_t cols = c->at->cols;
    float *scratch = c->scratch + worker * 3 * SLICE * c->span;

    for (int64_t slice = begin; slice < end; slice++) {
        const int64_t r0 = slice * SLICE, rows = gram_min_i64(SLICE, c->rows - r0);
        for (int64_t k = 0; k < cols; k += c->span)
            clip_group(c, c->w + r0 * cols + k, rows, k, gram_min_i64(c->span, cols - k), scratch);
    }
}

/* The inverse of the columns' scales, so that G is that of the inputs as they were measured. */
static void fill_scales(struct clipping *c, const float *s)
{
    for (int64_t k = 0; k < c->at->cols; k++)
        c->s[k] = s ? 1.0f / s[gram_rescale_channel(c->at, k)] : 1.0f;
}

static bool clip_reader(struct gram_transform_call *call, const struct gram_rescale *at, int slot,
                        const float *s)
{
    const struct gram_scheme *scheme = &call->assigned[slot].scheme;
    const size_t workers = (size_t)gram_pool_threads(call->pool);
    struct clipping c = {
        .at = at,
        .grid = gram_scheme_grid(scheme, GRAM_F32),
        .w = call->weights->values[slot],
        .rows = call->weights->desc->slots[slot].rows,
        .span = gram_scheme_span(scheme, at->cols),
    };

    gram_kernels_init(&c.kernels, gram_cpu_detect());
    c.s = gram_arena_take(&c.arena, (size_t)at->cols, sizeof *c.s);
    c.scratch = gram_arena_take(&c.arena, workers * 3 * SLICE * (size_t)c.span, sizeof *c.scratch);
    const bool ok = c.s && c.scratch;
    if (ok) {
        fill_scales(&c, s);
        gram_pool_for(call->pool, gram_ceil_div(c.rows, SLICE), 1, clip_slices, &c);
    }
    gram_arena_reset(&c.arena);
    return ok;
}

static bool is_clipped(const struct gram_transform_call *call, int slot)
{
    const struct gram_assignment *how = &call->assigned[slot];
    const enum gram_role role = call->weights->desc->slots[slot].role;

    if (role == GRAM_W_Q || role == GRAM_W_K || how->scheme.kind != GRAM_SCHEME_CODES)
        return false;
    if (how->scheme.granularity == GRAM_PER_TENSOR)
        return false;
    return call->options->as_reference || (how->method && strcmp(how->method->about->name, "rtn") == 0);
}

bool gram_awq_clip(struct gram_transform_call *call, const struct gram_rescale *at, const float *s)
{
    bool ok = true;

    for (int i = 0; ok && at->stats && i < at->n_readers; i++) {
        if (is_clipped(call, at->readers[i]))
            ok = clip_reader(call, at, at->readers[i], s);
    }
    return ok;
}
