/*
 * Integer linear for many rows of activations, over the quads of a level (vq).
 *
 * A tile, INT_PANELS panels by at most 512 inputs, is unpacked once into the L1 cache (bytes lie
 * there as they are) and meets all rows, a block at a time. With 4 panels and 6 rows:
 *
 *              panel 0    panel 1    panel 2    panel 3
 *     row 0    sum 16     sum 16     sum 16     sum 16       24 registers of sums,
 *     ...                                                    4 of codes (one quad of the tile),
 *     row 5    sum 16     sum 16     sum 16     sum 16       1 of activations (a quad, broadcast)
 *
 * so that 24 multiplications wait for ten loads. At the end of a group the sums become floats and
 * join the outputs so far. Those lie in scratch: in y, whose stride is a power of two most of the
 * time, they would fall on the same few lines of the cache. Short groups share a tile; a group
 * longer than a tile keeps its sums in scratch from tile to tile. Meanwhile the codes of the next
 * tile come nearer.
 */
#ifndef GRAM_KERNELS_SIMD_INT_MANY_H
#define GRAM_KERNELS_SIMD_INT_MANY_H

#include "kernels/simd/int_runs.h"

static int kind_of(const struct gram_int_panels *w, const struct tile *tile)
{
    if (w->is_table)
        return TABLE;
    if (!tile->is_start || !tile->is_end || (w->offsets && w->group > GRAM_NARROW_GROUP))
        return PART;
    return w->offsets ? OFFSET : PLAIN;
}

/* T rows, the first of which is r of the block, against the tile. */
static void run_rows(const struct pass *pass, const struct tile *tile, int64_t block, int64_t r,
                     int64_t T)
{
    const struct gram_int_acts *acts = pass->acts;
    struct many_scratch *scratch = pass->scratch;
    const int64_t first = (block - pass->begin) * acts->height + r;
    const int kind = kind_of(pass->w, tile);
    const bool is_second = kind == TABLE ? acts->parts == 2 : pass->w->bits == 8;
    run_fn *run_group = runs_of[kind][is_second][T];
    struct run run = {
        .codes = tile->codes,
        .x = gram_block_quad(acts, block, tile->g * (acts->group / 4) + tile->quad) + 4 * r,
        .step = 4 * acts->height,
        .minus_middle = -vq_middle(pass->w->bits),
        .out = scratch->out + first,
        .sums = pass->sums + first,
    };

    if (tile->g == 0 && kind != PART)
        memset(run.out, 0, (size_t)T * sizeof *run.out);
    for (int64_t i = 0; i < tile->groups; i++) {
        const int64_t g = tile->g + i;

        run.n = gram_min_i64(tile->quads, gram_group_quads(pass->w, g));
        run.x_sums = gram_block_sum(acts, block, g) + r;
        run.x_scales = gram_block_scale(acts, block, gram_acts_span(acts, g)) + r;
        run.minus_offsets = scratch->minus_offsets + i;
        run.w_scales = scratch->scales + i;
        if (kind == PART && tile->is_start)
            start_part(&run, T);
        run_group(&run);
        if (kind == PART && tile->is_end)
            finish_part(&run, g == 0, T);
        run.at += planes_of(pass->w) * run.n * GRAM_QUAD_BYTES;
        run.x += run.n * run.step;
    }
}

/* Outputs of `rows` rows that the block has, in y; two parts of a row of x are added up. */
static void store_block(const struct pass *pass, int64_t block, int64_t rows)
{
    const int64_t height = pass->acts->height, parts = pass->acts->parts;
    tile_floats *out = pass->scratch->out + (block - pass->begin) * height;
    float *y = pass->y + block * (height / parts) * pass->y_stride;

    for (int64_t r = 0; r < rows; r += parts, y += pass->y_stride)
        for (int64_t p = 0; p < INT_PANELS && pass->panel + p <= pass->last_panel; p++) {
            const int64_t at = (pass->panel + p) * GRAM_PANEL;
            const vqf sum = vqf_load(out[r][p]);
            vqf_store_n(y + at, parts == 1 ? sum : vqf_add(sum, vqf_load(out[r + 1][p])),
                        pass->w->rows - at);
        }
}

static void run_tile(const struct pass *pass, const struct tile *tile)
{
    const int64_t height = pass->acts->height;
    const int64_t parts = pass->acts->parts, pieces = gram_ceil_div(height, INT_TOKENS);
    const int64_t most = gram_ceil_div(gram_ceil_div(height, pieces), parts) * parts;
    const bool is_last = tile->is_end && tile->g + tile->groups == pass->w->groups;

    for (int64_t block = pass->begin; block < pass->end; block++) {
        const int64_t rows = gram_min_i64(height, pass->rows - block * height);
        fetch_next(pass, tile, block - pass->begin, pass->end - pass->begin);
        for (int64_t r = 0; r < rows; r += most)
            run_rows(pass, tile, block, r, gram_min_i64(most, rows - r));
        if (is_last)
            store_block(pass, block, rows);
    }
}

static void run_panels(const struct pass *pass)
{
    const struct gram_int_panels *w = pass->w;

    for (int64_t g = 0, quad = 0; g < w->groups;) {
        struct tile tile = tile_at(w, g, quad);
        load_tile(pass, &tile);
        run_tile(pass, &tile);
        g += tile.is_end ? tile.groups : 0;
        quad = tile.is_end ? 0 : quad + tile.quads;
    }
}

static void int_linear_many(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                            const struct gram_int_panels *w, int64_t begin, int64_t end,
                            struct many_scratch *scratch)
{
    /* outputs, and sums of a group that is not run at once */
    const bool has_both = w->groups > 1 && w->group > GRAM_NARROW_GROUP;
    const int64_t room = has_both ? PASS_ROWS / 2 : PASS_ROWS;
    const int64_t rows = gram_max_i64(gram_min_i64(room, PASS_BYTES / acts->stride), acts->height);
    const int64_t blocks = gram_ceil_div(acts->rows * acts->parts, acts->height);
    const int64_t passes = gram_ceil_div(blocks, rows / acts->height);
    struct pass pass = {.acts = acts,
                        .w = w,
                        .y = y,
                        .y_stride = y_stride,
                        .rows = acts->rows * acts->parts,
                        .last_panel = end - 1,
                        .scratch = scratch};

    pass.sums = (tile_sums *)(void *)(scratch->out + (has_both ? room : 0));
    for (int64_t i = 0; i < passes; i++) {
        pass.begin = blocks * i / passes;
        pass.end = blocks * (i + 1) / passes;
        for (pass.panel = begin; pass.panel < end; pass.panel += INT_PANELS)
            run_panels(&pass);
    }
}

ALWAYS_INLINE void int_linear(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                              const struct gram_int_panels *w, int64_t begin, int64_t end,
                              void *scratch)
{
    const int64_t rows = acts->rows * acts->parts;

    if (rows == 0)
        return;
    const int form = !w->is_table ? w->bits : acts->parts == 1 ? INT_TABLE : INT_TABLE_SPLIT;
    if (rows <= INT_FEW_TOKENS)
        int_linear_few[form][rows](y, y_stride, acts, w, begin, end);
    else
        int_linear_many(y, y_stride, acts, w, begin, end, scratch);
}

#endif
