#include "quant/coded.h"

#include "base/checked.h"

bool gram_coded_open(struct gram_coded *coded, const struct gram_grid *grid, int64_t rows,
                     int64_t cols, int64_t span, bool is_one, struct gram_arena *arena)
{
    const int64_t groups = gram_ceil_div(cols, span);
    int64_t weights, steps;

    if (!gram_mul_i64(&weights, rows, cols) || !gram_mul_i64(&steps, rows, groups))
        return false;
    *coded = (struct gram_coded){
        .grid = *grid,
        .rows = rows,
        .cols = cols,
        .span = span,
        .groups = groups,
        .is_one = is_one,
        .codes = gram_arena_take(arena, (size_t)weights, 1),
        .steps = gram_arena_take(arena, is_one ? 1 : (size_t)steps, sizeof *coded->steps),
    };
    return coded->codes && coded->steps;
}

void gram_coded_row(const struct gram_coded *coded, int64_t r, float *x)
{
    for (int64_t g = 0; g < coded->groups; g++) {
        const int64_t begin = g * coded->span;
        gram_grid_decode(x + begin, &coded->grid, *gram_coded_step(coded, r, g),
                         coded->codes + r * coded->cols + begin, gram_coded_width(coded, g));
    }
}

void gram_coded_round_row(const struct gram_coded *coded, int64_t r, const float *x)
{
    for (int64_t g = 0; g < coded->groups; g++) {
        const int64_t begin = g * coded->span;
        gram_grid_encode(coded->codes + r * coded->cols + begin, &coded->grid,
                         *gram_coded_step(coded, r, g), x + begin, gram_coded_width(coded, g));
    }
}

struct rounding {
    const struct gram_coded *coded;
    const float *w;
};

static void round_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rounding *r = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        gram_coded_round_row(r->coded, i, r->w + i * r->coded->cols);
}

void gram_coded_round(const struct gram_coded *coded, const float *w, struct gram_pool *pool)
{
    enum { ROWS = 16 };
    struct rounding rounding = {coded, w};

    gram_pool_for(pool, coded->rows, ROWS, round_rows, &rounding);
}
