/*
 * A block of b, at most BLOCK x BLOCK, is packed into panels by all threads and meets all rows of a:
 *
 *      c[rows x TILE]  +=  a[rows x BLOCK]  b[BLOCK x TILE]
 *
 * is one piece of work. Rows of a that do not lie contiguous along k are copied first, and then meet
 * the whole block, so that the copy pays. Blocks of k follow each other.
 */
#include "graph/matmul.h"

#include <string.h>

#include "base/checked.h"

enum {
    BLOCK = GRAM_K_BLOCK,
    ROWS = 132,   /* of a in a piece: they stay in the second cache */
    HEIGHT = 6,   /* rows that the kernel takes together */
    TILE = 256,   /* columns of a piece */
    PIECES = 16,  /* at least, if there are rows enough */
};

struct scratch {
    char linear[GRAM_PANEL_SCRATCH];
    float a[ROWS * BLOCK];
    float rows[GRAM_PANEL * BLOCK]; /* of a weight, decoded; or columns of a on their way */
};

int64_t gram_matmul_bytes(int threads)
{
    return BLOCK * BLOCK * (int64_t)sizeof(float) + threads * (int64_t)sizeof(struct scratch);
}

bool gram_matmul_open(struct gram_matmul *mm, const struct gram_kernels *kernels,
                      struct gram_pool *pool, struct gram_arena *arena)
{
    *mm = (struct gram_matmul){
        .kernels = kernels,
        .pool = pool,
        .panels = gram_arena_take(arena, BLOCK * BLOCK, sizeof(float)),
        .scratch = gram_arena_take(arena, (size_t)gram_pool_threads(pool), sizeof(struct scratch)),
    };
    return mm->panels && mm->scratch;
}

/* f32 is read where it lies. */
struct gram_matrix gram_matrix_of_weight(const struct gram_weight *w)
{
    if (w->bits == 0 && w->dtype == GRAM_F32)
        return (struct gram_matrix){.rows = w->rows,
                                    .cols = w->cols,
                                    .data = w->data,
                                    .row = w->row_bytes / (int64_t)sizeof(float),
                                    .col = 1};
    return (struct gram_matrix){.rows = w->rows, .cols = w->cols, .weight = w};
}

struct product {
    const struct gram_matmul *mm;
    struct gram_matrix a, b;
    float *c;
    bool add;
    int64_t k0, k, n0, n; /* of the block at hand */
    int64_t rows, tile;   /* of a piece */
};

static struct scratch *scratch_of(const struct product *p, int worker)
{
    return (struct scratch *)(void *)p->mm->scratch + worker;
}

/* ---- b ---- */

static float *panel_at(const struct product *p, int64_t column)
{
    return p->mm->panels + column / GRAM_PANEL * GRAM_PANEL * p->k;
}

/* rows[n][k], `stride` floats from one to the next, as a panel [k][16]. */
static void turn_rows(float *panel, const float *rows, int64_t stride, int64_t n, int64_t k)
{
    const struct gram_weight w = {.rows = n,
                                  .cols = k,
                                  .data = rows,
                                  .dtype = GRAM_F32,
                                  .row_bytes = stride * (int64_t)sizeof(float)};
    gram_float_panels_fill(panel, &w, 0, 1);
}

/* Lines [16] of a panel from rows of b that lie `stride` apart. */
static void copy_lines(float *panel, const float *from, int64_t stride, int64_t n, int64_t k)
{
    if (n < GRAM_PANEL)
        memset(panel, 0, (size_t)(k * GRAM_PANEL) * sizeof *panel);
    for (int64_t i = 0; i < k; i++)
        memcpy(panel + i * GRAM_PANEL, from + i * stride, (size_t)n * sizeof *panel);
}

/* Rows n0 + first .. of the weight, decoded, are the columns of b. */
static void decode_columns(const struct product *p, float *panel, float *rows, int64_t first,
                           int64_t n)
{
    const struct gram_weight *w = p->b.weight;

    for (int64_t i = 0; i < n; i++)
        p->mm->kernels->decode[gram_weight_storage(w)](rows + i * p->k, w, p->n0 + first + i, p->k0,
                                                       p->k);
    turn_rows(panel, rows, p->k, n, p->k);
}

static void pack_panels(void *context, int64_t begin, int64_t end, int worker)
{
    const struct product *p = context;
    const struct gram_matrix *b = &p->b;

    for (int64_t first = begin * GRAM_PANEL; first < end * GRAM_PANEL; first += GRAM_PANEL) {
        const int64_t n = gram_min_i64(GRAM_PANEL, p->n - first);
        if (b->weight) {
            decode_columns(p, panel_at(p, first), scratch_of(p, worker)->rows, first, n);
            continue;
        }
        const float *from = b->data + p->k0 * b->row + (p->n0 + first) * b->col;
        if (b->col == 1)
            copy_lines(panel_at(p, first), from, b->row, n, p->k);
        else
            turn_rows(panel_at(p, first), from, b->col, n, p->k);
    }
}

/* Rows [begin, end) of a weight's block, each a line of all panels. */
static void decode_lines(void *context, int64_t begin, int64_t end, int worker)
{
    const struct product *p = context;
    const struct gram_weight *w = p->b.weight;
    float *row = scratch_of(p, worker)->rows;

    memset(row, 0, GRAM_PANEL * sizeof *row + (size_t)p->n * sizeof *row);
    for (int64_t k = begin; k < end; k++) {
        p->mm->kernels->decode[gram_weight_storage(w)](row, w, p->k0 + k, p->n0, p->n);
        for (int64_t j = 0; j < p->n; j += GRAM_PANEL)
            memcpy(panel_at(p, j) + k * GRAM_PANEL, row + j, GRAM_PANEL * sizeof *row);
    }
}

static void pack_block(struct product *p)
{
    if (p->b.weight && !p->b.is_turned)
        gram_pool_for(p->mm->pool, p->k, 16, decode_lines, p);
    else
        gram_pool_for(p->mm->pool, gram_panel_count(p->n), 4, pack_panels, p);
}

/* ---- a ---- */

/* Rows [first, first + rows) of a and the block's k, contiguous along k; where they lie, or turned
 * over, sixteen inputs at a time. */
static const float *rows_of_a(const struct product *p, struct scratch *s, int64_t first,
                              int64_t rows, int64_t *stride)
{
    const struct gram_matrix *a = &p->a;
    const float *from = a->data + first * a->row + p->k0 * a->col;

    *stride = a->row;
    if (a->col == 1)
        return from;
    *stride = p->k;
    for (int64_t k = 0; k < p->k; k += GRAM_PANEL) {
        const int64_t n = gram_min_i64(GRAM_PANEL, p->k - k);
        turn_rows(s->rows, from + k * a->col, a->col, n, rows);
        for (int64_t i = 0; i < rows; i++)
            memcpy(s->a + i * p->k + k, s->rows + i * GRAM_PANEL, (size_t)n * sizeof *s->a);
    }
    return s->a;
}

static int64_t tiles_across(const struct product *p)
{
    return gram_ceil_div(p->n, p->tile);
}

static void multiply_pieces(void *context, int64_t begin, int64_t end, int worker)
{
    const struct product *p = context;
    const int64_t across = tiles_across(p);
    const struct gram_float_panels w = {p->n, p->k, GRAM_F32, p->mm->panels};
    struct scratch *s = scratch_of(p, worker);
    gram_float_linear_fn *multiply =
        p->add || p->k0 > 0 ? p->mm->kernels->float_linear_add : p->mm->kernels->float_linear;

    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i / across * p->rows, column = i % across * p->tile;
        const int64_t rows = gram_min_i64(p->rows, p->a.rows - first);
        int64_t stride;
        const float *x = rows_of_a(p, s, first, rows, &stride);
        multiply(p->c + first * p->b.cols + p->n0, p->b.cols, x, stride, rows, &w,
                 column / GRAM_PANEL, gram_panel_count(gram_min_i64(column + p->tile, p->n)),
                 s->linear);
    }
}

/* Pieces for all threads, of rows that stay in a cache. */
static void choose_pieces(struct product *p)
{
    p->tile = p->a.col == 1 ? TILE : BLOCK;
    const int64_t cuts = gram_max_i64(gram_ceil_div(p->a.rows, ROWS),
                                      gram_ceil_div(PIECES, tiles_across(p)));
    p->rows = gram_ceil_div(gram_ceil_div(p->a.rows, cuts), HEIGHT) * HEIGHT;
}

void gram_matmul_run(const struct gram_matmul *mm, float *c, struct gram_matrix a,
                     struct gram_matrix b, bool add)
{
    struct product p = {.mm = mm, .a = a, .b = b, .c = c, .add = add};

    GRAM_ASSERT(a.cols == b.rows && !a.weight);
    for (; p.k0 < a.cols; p.k0 += p.k) {
        p.k = gram_min_i64(BLOCK, a.cols - p.k0);
        for (p.n0 = 0; p.n0 < b.cols; p.n0 += p.n) {
            p.n = gram_min_i64(BLOCK, b.cols - p.n0);
            pack_block(&p);
            choose_pieces(&p);
            gram_pool_for(mm->pool, gram_ceil_div(a.rows, p.rows) * tiles_across(&p), 1,
                          multiply_pieces, &p);
        }
    }
}
