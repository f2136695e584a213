#include "calib/cross.h"

#include <string.h>

#include "base/checked.h"
#include "kernels/transpose.h"

enum {
    BATCH = 512,         /* tokens of a product */
    STRIDE = BATCH + 16, /* columns that are 2 KiB apart would share few sets of the first cache */
    ROWS = 96,           /* of a tile: sixteen blocks of six, which share the panels in the first cache */
    PANELS = 4,          /* of a tile */
    COLS = PANELS * GRAM_PANEL,
    MIRROR = 64, /* rows and columns that are mirrored together */
};

bool gram_cross_open(struct gram_cross *cross, float *sum, int64_t cols, struct gram_arena *arena)
{
    const size_t panels = (size_t)gram_panel_count(cols);
    *cross = (struct gram_cross){
        .cols = cols,
        .sum = sum,
        .panels = gram_arena_take(arena, panels, BATCH * GRAM_PANEL * sizeof(float)),
        .columns = gram_arena_take(arena, panels * GRAM_PANEL, STRIDE * sizeof(float)),
    };
    return cross->panels && cross->columns;
}

struct work {
    struct gram_cross *cross;
    const struct gram_kernels *kernels;
    const float *x;
    int64_t n; /* rows of x */
    float factor;
};

static float *panel_at(const struct gram_cross *cross, int64_t panel, int64_t token)
{
    return cross->panels + (panel * BATCH + token) * GRAM_PANEL;
}

/* Tokens x[n] into panels [begin, end), behind those that are there. */
static void fill_panels(void *context, int64_t begin, int64_t end, int worker)
{
    const struct work *w = context;
    const int64_t cols = w->cross->cols;

    (void)worker;
    for (int64_t t = 0; t < w->n; t++) {
        for (int64_t p = begin; p < end; p++) {
            const size_t width = (size_t)gram_min_i64(GRAM_PANEL, cols - p * GRAM_PANEL);
            memcpy(panel_at(w->cross, p, w->cross->filled + t), w->x + t * cols + p * GRAM_PANEL,
                   width * sizeof *w->x);
        }
    }
}

/* Panels [begin, end) of the batch as columns. */
static void turn_panels(void *context, int64_t begin, int64_t end, int worker)
{
    enum { QUAD = 4 };
    const struct work *w = context;

    (void)worker;
    for (int64_t p = begin; p < end; p++) {
        for (int64_t at = 0; at < BATCH; at += QUAD) {
            const int64_t t = at / GRAM_PANEL * GRAM_PANEL, c = at % GRAM_PANEL;
            float quad[QUAD][GRAM_PANEL];
            gram_transpose_32(quad, panel_at(w->cross, p, t) + c, GRAM_PANEL * sizeof(float));
            for (int64_t i = 0; i < QUAD; i++)
                memcpy(w->cross->columns + (p * GRAM_PANEL + c + i) * STRIDE + t, quad[i],
                       sizeof quad[i]);
        }
    }
}

static int64_t tiles_of(const struct gram_cross *cross)
{
    return gram_ceil_div(cross->cols, COLS);
}

/* Rows from i0, columns from j0 of X'X of the batch, added to the sum. */
static void add_tile(const struct work *w, int64_t i0, int64_t j0)
{
    _Alignas(GRAM_PANEL_ALIGN) char scratch[GRAM_PANEL_SCRATCH];
    float tile[ROWS][COLS];
    const struct gram_cross *cross = w->cross;
    const int64_t rows = gram_min_i64(ROWS, cross->cols - i0);
    const int64_t cols = gram_min_i64(COLS, cross->cols - j0);
    const struct gram_float_panels panels = {
        .rows = cols,
        .cols = BATCH,
        .dtype = GRAM_F32,
        .data = panel_at(cross, j0 / GRAM_PANEL, 0),
    };

    w->kernels->float_linear(tile[0], COLS, cross->columns + i0 * STRIDE, STRIDE, rows, &panels, 0,
                             gram_panel_count(cols), scratch);
    for (int64_t i = 0; i < rows; i++) {
        float *sum = cross->sum + (i0 + i) * cross->cols + j0;
        for (int64_t j = 0; j < cols; j++)
            sum[j] += tile[i][j];
    }
}

static void add_tiles(void *context, int64_t begin, int64_t end, int worker)
{
    const struct work *w = context;
    const int64_t tiles = tiles_of(w->cross);

    (void)worker;
    for (int64_t at = begin; at < end; at++) {
        const int64_t i0 = at / tiles * ROWS, j0 = at % tiles * COLS;
        if (j0 + COLS > i0) /* not all below the diagonal */
            add_tile(w, i0, j0);
    }
}

static void add_batch(const struct work *w, struct gram_pool *pool)
{
    struct gram_cross *cross = w->cross;
    void *context = (void *)(uintptr_t)w;

    gram_pool_for(pool, gram_panel_count(cross->cols), 2, turn_panels, context);
    gram_pool_for(pool, gram_ceil_div(cross->cols, ROWS) * tiles_of(cross), 1, add_tiles, context);
    cross->filled = 0;
}

void gram_cross_add(struct gram_cross *cross, const struct gram_kernels *kernels,
                    struct gram_pool *pool, const float *x, int64_t n)
{
    struct work w = {.cross = cross, .kernels = kernels, .x = x};

    for (int64_t t = 0; t < n; t += w.n) {
        w.x = x + t * cross->cols;
        w.n = gram_min_i64(n - t, BATCH - cross->filled);
        gram_pool_for(pool, gram_panel_count(cross->cols), 16, fill_panels, &w);
        cross->filled += w.n;
        if (cross->filled == BATCH)
            add_batch(&w, pool);
    }
}

/* Rows and columns of the square whose upper right corner tile is (i0, j0), i0 <= j0. */
static void mirror_tile(const struct work *w, int64_t i0, int64_t j0)
{
    const int64_t cols = w->cross->cols;
    float *sum = w->cross->sum;

    for (int64_t i = i0; i < gram_min_i64(i0 + MIRROR, cols); i++) {
        for (int64_t j = gram_max_i64(i, j0); j < gram_min_i64(j0 + MIRROR, cols); j++) {
            const float value = sum[i * cols + j] * w->factor;
            sum[i * cols + j] = value;
            sum[j * cols + i] = value;
        }
    }
}

static void mirror_tiles(void *context, int64_t begin, int64_t end, int worker)
{
    const struct work *w = context;

    (void)worker;
    for (int64_t i0 = begin * MIRROR; i0 < end * MIRROR; i0 += MIRROR) {
        for (int64_t j0 = i0; j0 < w->cross->cols; j0 += MIRROR)
            mirror_tile(w, i0, j0);
    }
}

void gram_cross_close(struct gram_cross *cross, const struct gram_kernels *kernels,
                      struct gram_pool *pool, float factor)
{
    struct work w = {.cross = cross, .kernels = kernels, .factor = factor};

    for (int64_t p = 0; cross->filled > 0 && p < gram_panel_count(cross->cols); p++)
        memset(panel_at(cross, p, cross->filled), 0,
               (size_t)(BATCH - cross->filled) * GRAM_PANEL * sizeof(float));
    if (cross->filled > 0)
        add_batch(&w, pool);
    gram_pool_for(pool, gram_ceil_div(cross->cols, MIRROR), 1, mirror_tiles, &w);
}
