/* A linear on its grid, in memory: what a method makes and a container stores. */
#ifndef GRAM_QUANT_CODED_H
#define GRAM_QUANT_CODED_H

#include "base/arena.h"
#include "base/pool.h"
#include "tensor/grid.h"

/* Row r, column k stands for (codes[r][k] - 2^(bits-1) - zero) * scale of step [r][k / span]. The last
 * group may be narrower. */
struct gram_coded {
    struct gram_grid grid;
    int64_t rows, cols;
    int64_t span, groups;    /* columns that share a step; steps of a row */
    bool is_one;             /* one step for the tensor: steps[0], the only one there is */
    uint8_t *codes;          /* [rows][cols], unsigned as stored */
    struct gram_step *steps; /* [rows][groups]; scales are values of grid.scale_dtype */
};

/* False if memory ran out. */
bool gram_coded_open(struct gram_coded *coded, const struct gram_grid *grid, int64_t rows,
                     int64_t cols, int64_t span, bool is_one, struct gram_arena *arena);
/* The step of group g of row r; its columns. */
static inline struct gram_step *gram_coded_step(const struct gram_coded *coded, int64_t r, int64_t g)
{
    return coded->is_one ? coded->steps : coded->steps + r * coded->groups + g;
}
static inline int64_t gram_coded_width(const struct gram_coded *coded, int64_t g)
{
    const int64_t left = coded->cols - g * coded->span;
    return left < coded->span ? left : coded->span;
}

/* What row r stands for, x[cols]. */
void gram_coded_row(const struct gram_coded *coded, int64_t r, float *x);
/* Row r's codes: those that its steps have nearest to x[cols]; of all rows, to w[rows][cols]. */
void gram_coded_round_row(const struct gram_coded *coded, int64_t r, const float *x);
void gram_coded_round(const struct gram_coded *coded, const float *w, struct gram_pool *pool);

#endif
