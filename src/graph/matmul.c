/*
 * A block of b, at most BLOCK_K x BLOCK_N, is packed into panels by all threads and meets all rows
 * of a:
 *
 *      c[ROWS x TILE]  +=  a[ROWS x BLOCK_K]  b[BLOCK_K x TILE]
 *
 * is one piece of work. Blocks of k follow each other, so that sums have one order.
 */
#include "graph/matmul.h"

#include <string.h>

#include "base/checked.h"

enum {
    BLOCK_K = 512,
    BLOCK_N = 1024,
    ROWS = 96,
    TILE = 256, /* columns */
    PANEL_FLOATS = BLOCK_K * GRAM_PANEL,
    TILE_PANELS = TILE / GRAM_PANEL,
};

struct scratch {
    char linear[GRAM_PANEL_SCRATCH];
    float a[ROWS * BLOCK_K];
    float tile[ROWS * TILE];
    float row[BLOCK_N];
};

bool gram_matmul_open(struct gram_matmul *mm, const struct gram_kernels *kernels,
                      struct gram_pool *pool, struct gram_arena *arena)
{
    *mm = (struct gram_matmul){
        .kernels = kernels,
        .pool = pool,
        .panels = gram_arena_take(arena, BLOCK_K * BLOCK_N, sizeof(float)),
        .scratch = gram_arena_take(arena, (size_t)gram_pool_threads(pool), sizeof(struct scratch)),
    };
    return mm->panels && mm->scratch;
}

struct product {
    const struct gram_matmul *mm;
    struct gram_matrix a, b;
    float *c;
    bool add;
    int64_t k0, k, n0, n; /* of the block at hand */
};

static struct scratch *scratch_of(const struct product *p, int worker)
{
    return (struct scratch *)(void *)p->mm->scratch + worker;
}

/* Columns [n0 + first, .. + n <= 16) of the block as a panel [k][16]. */
static void pack_panel(const struct product *p, float *panel, int64_t first, int64_t n)
{
    const struct gram_matrix *b = &p->b;
    const float *from = b->data + p->k0 * b->row + (p->n0 + first) * b->col;

    if (n < GRAM_PANEL)
        memset(panel, 0, (size_t)(p->k * GRAM_PANEL) * sizeof *panel);
    if (b->col == 1) {
        for (int64_t k = 0; k < p->k; k++)
            memcpy(panel + k * GRAM_PANEL, from + k * b->row, (size_t)n * sizeof *panel);
        return;
    }
    const struct gram_weight rows = {.rows = n,
                                     .cols = p->k,
                                     .data = from,
                                     .dtype = GRAM_F32,
                                     .row_bytes = b->col * (int64_t)sizeof(float)};
    gram_float_panels_fill(panel, &rows, 0, 1);
}

static void pack_panels(void *context, int64_t begin, int64_t end, int worker)
{
    const struct product *p = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        pack_panel(p, p->mm->panels + i * PANEL_FLOATS, i * GRAM_PANEL,
                   gram_min_i64(GRAM_PANEL, p->n - i * GRAM_PANEL));
}

/* Rows [begin, end) of a weight's block, each a line of all panels. */
static void decode_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct product *p = context;
    const struct gram_weight *w = p->b.weight;
    float *row = scratch_of(p, worker)->row;

    for (int64_t k = begin; k < end; k++) {
        p->mm->kernels->decode[gram_weight_storage(w)](row, w, p->k0 + k, p->n0, p->n);
        for (int64_t j = 0; j < p->n; j += GRAM_PANEL) {
            float *line = p->mm->panels + j / GRAM_PANEL * PANEL_FLOATS + k * GRAM_PANEL;
            const int64_t n = gram_min_i64(GRAM_PANEL, p->n - j);
            memcpy(line, row + j, (size_t)n * sizeof *line);
            memset(line + n, 0, (size_t)(GRAM_PANEL - n) * sizeof *line);
        }
    }
}

static void pack_block(struct product *p)
{
    if (p->b.weight)
        gram_pool_for(p->mm->pool, p->k, 16, decode_rows, p);
    else
        gram_pool_for(p->mm->pool, gram_panel_count(p->n), 4, pack_panels, p);
}

/* Rows [first, first + rows) of a and the block's k, contiguous along k; where they lie, or copied.
 */
static const float *rows_of_a(const struct product *p, float *copy, int64_t first, int64_t rows,
                              int64_t *stride)
{
    const struct gram_matrix *a = &p->a;
    const float *from = a->data + first * a->row + p->k0 * a->col;

    if (a->col == 1) {
        *stride = a->row;
        return from;
    }
    *stride = p->k;
    for (int64_t k = 0; k < p->k; k++)
        for (int64_t i = 0; i < rows; i++)
            copy[i * p->k + k] = from[k * a->col + i];
    return copy;
}

/* One panel at a time: those of a short block lie PANEL_FLOATS apart. */
static void multiply_panels(const struct product *p, struct scratch *s, const float *x,
                            int64_t x_stride, int64_t rows, int64_t first, int64_t panels)
{
    for (int64_t i = 0; i < panels; i++) {
        const struct gram_float_panels w = {.rows = GRAM_PANEL,
                                            .cols = p->k,
                                            .dtype = GRAM_F32,
                                            .data = p->mm->panels + (first + i) * PANEL_FLOATS};
        p->mm->kernels->float_linear(s->tile + i * GRAM_PANEL, TILE, x, x_stride, rows, &w, 0, 1,
                                     s->linear);
    }
}

static void multiply_tile(const struct product *p, int64_t first_row, int64_t first_panel,
                          struct scratch *s)
{
    const int64_t rows = gram_min_i64(ROWS, p->a.rows - first_row);
    const int64_t panels = gram_min_i64(TILE_PANELS, gram_panel_count(p->n) - first_panel);
    const int64_t column = first_panel * GRAM_PANEL, n = gram_min_i64(TILE, p->n - column);
    const bool add = p->add || p->k0 > 0;
    int64_t stride;
    const float *x = rows_of_a(p, s->a, first_row, rows, &stride);

    if (p->k == BLOCK_K) {
        const struct gram_float_panels w = {.rows = panels * GRAM_PANEL,
                                            .cols = p->k,
                                            .dtype = GRAM_F32,
                                            .data = p->mm->panels + first_panel * PANEL_FLOATS};
        p->mm->kernels->float_linear(s->tile, TILE, x, stride, rows, &w, 0, panels, s->linear);
    } else {
        multiply_panels(p, s, x, stride, rows, first_panel, panels);
    }
    for (int64_t i = 0; i < rows; i++) {
        float *c = p->c + (first_row + i) * p->b.cols + p->n0 + column;
        if (add)
            p->mm->kernels->add(c, c, s->tile + i * TILE, n);
        else
            memcpy(c, s->tile + i * TILE, (size_t)n * sizeof *c);
    }
}

static int64_t tiles_across(const struct product *p)
{
    return gram_ceil_div(p->n, TILE);
}

static void multiply_tiles(void *context, int64_t begin, int64_t end, int worker)
{
    const struct product *p = context;
    const int64_t across = tiles_across(p);

    for (int64_t i = begin; i < end; i++)
        multiply_tile(p, i / across * ROWS, i % across * TILE_PANELS, scratch_of(p, worker));
}

void gram_matmul_run(const struct gram_matmul *mm, float *c, struct gram_matrix a,
                     struct gram_matrix b, bool add)
{
    struct product p = {.mm = mm, .a = a, .b = b, .c = c, .add = add};

    GRAM_ASSERT(a.cols == b.rows && !a.weight);
    for (; p.k0 < a.cols; p.k0 += p.k) {
        p.k = gram_min_i64(BLOCK_K, a.cols - p.k0);
        for (p.n0 = 0; p.n0 < b.cols; p.n0 += p.n) {
            p.n = gram_min_i64(BLOCK_N, b.cols - p.n0);
            pack_block(&p);
            gram_pool_for(mm->pool, gram_ceil_div(a.rows, ROWS) * tiles_across(&p), 1,
                          multiply_tiles, &p);
        }
    }
}
