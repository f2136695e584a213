#include "quant/product.h"

#include "base/checked.h"

enum { PANELS = 4, COLS = PANELS * GRAM_PANEL, ROWS = 64 }; /* of a tile */

static int64_t width_of(const struct gram_product *p, int64_t at)
{
    return gram_min_i64(p->block, p->n - at * p->block);
}

/* Blocks before this one are whole. */
static float *panel_at(const struct gram_product *p, int64_t at, int64_t panel)
{
    return p->panels + (gram_panel_count(p->n) * at * p->block + panel * width_of(p, at)) * GRAM_PANEL;
}

struct packing {
    const struct gram_product *product;
    const float *matrix;
};

static void pack_panels(void *context, int64_t begin, int64_t end, int worker)
{
    const struct packing *c = context;
    const struct gram_product *p = c->product;

    (void)worker;
    for (int64_t at = 0; at * p->block < p->n; at++) {
        const struct gram_weight block = {
            .rows = p->n,
            .cols = width_of(p, at),
            .data = c->matrix + at * p->block,
            .row_bytes = p->n * (int64_t)sizeof *c->matrix,
            .dtype = GRAM_F32,
        };
        gram_float_panels_fill(panel_at(p, at, 0), &block, begin, end);
    }
}

bool gram_product_open(struct gram_product *product, const float *matrix, int64_t n, int64_t block,
                       const struct gram_kernels *kernels, struct gram_pool *pool, struct gram_arena *arena)
{
    const int64_t padded = gram_panel_count(n) * GRAM_PANEL;
    struct packing packing = {product, matrix};
    int64_t count;

    *product = (struct gram_product){.kernels = kernels, .n = n, .block = block};
    if (!gram_mul_i64(&count, n, padded) ||
        !(product->panels = gram_arena_take(arena, (size_t)count, sizeof *product->panels)))
        return false;
    gram_pool_for(pool, gram_panel_count(n), 1, pack_panels, &packing);
    return true;
}

/* A part of the product: inputs [first, first + n), outputs [begin, end). */
struct part {
    const struct gram_product *product;
    int64_t first, n, begin, end;
};

/* The part's outputs among those of the panels [panel, panel + panels), for rows of a tile; y is where output
 * `begin` is. */
static void add_tile(const struct part *part, float *y, int64_t y_stride, const float *x, int64_t x_stride,
                     int64_t rows, int64_t panel, int64_t panels)
{
    _Alignas(GRAM_PANEL_ALIGN) char scratch[GRAM_PANEL_SCRATCH];
    float tile[ROWS][COLS];
    const struct gram_product *p = part->product;
    const int64_t at = part->first / p->block, skipped = part->first - at * p->block;
    const int64_t first = panel * GRAM_PANEL, n = gram_min_i64(panels * GRAM_PANEL, p->n - first);
    const int64_t from = gram_max_i64(part->begin, first), to = gram_min_i64(part->end, first + n);
    const struct gram_float_panels weight = {n, part->n, GRAM_F32,
                                             panel_at(p, at, panel) + skipped * GRAM_PANEL};

    p->kernels->float_linear(tile[0], COLS, x, x_stride, rows, &weight, 0, gram_panel_count(n), scratch);
    for (int64_t t = 0; t < rows; t++) {
        float *to_add = y + t * y_stride + from - part->begin;
        for (int64_t j = 0; j < to - from; j++)
            to_add[j] += tile[t][from - first + j];
    }
}

void gram_product_add_part(const struct gram_product *p, float *y, int64_t y_stride, const float *x,
                           int64_t x_stride, int64_t rows, int64_t first, int64_t n, int64_t begin,
                           int64_t end)
{
    const struct part part = {p, first, n, begin, end};
    /* panels of a part of the block's inputs do not follow each other */
    const int64_t panels = n == width_of(p, first / p->block) ? PANELS : 1;

    for (int64_t panel = begin / GRAM_PANEL; panel * GRAM_PANEL < end; panel += panels) {
        for (int64_t t = 0; t < rows; t += ROWS)
            add_tile(&part, y + t * y_stride, y_stride, x + t * x_stride, x_stride,
                     gram_min_i64(ROWS, rows - t), panel, panels);
    }
}

void gram_product_add(const struct gram_product *p, float *y, const float *x, int64_t rows)
{
    for (int64_t first = 0; first < p->n; first += p->block)
        gram_product_add_part(p, y, p->n, x + first, p->n, rows, first, width_of(p, first / p->block), 0,
                              p->n);
}
