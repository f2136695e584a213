/*
 * Integer linears on tiles whose scale is that of a whole channel. Sums are int32 along all inputs, so two
 * blocks of rows and two panels share what they load:
 *
 *                   right 6     right 7
 *        left 4     sums 0      sums 1           four loads for four multiplications
 *        left 5     sums 2      sums 3
 *
 * A chunk of inputs of both panels stays in the L1 cache while all blocks of the pass meet it; sums wait in
 * scratch for the next chunk. Codes of 8 bits are multiplied where they lie. They are unsigned; what they are
 * too large by, times the sum of the activations, is taken off at the end.
 */
#ifndef GRAM_KERNELS_X86_INT_TILES_CHANNEL_H
#define GRAM_KERNELS_X86_INT_TILES_CHANNEL_H

#include "kernels/x86/int_tiles.h"

enum {
    CHANNEL_PANELS = 2,
    CHANNEL_STEPS = TILE_CODES / CHANNEL_PANELS / TILE_BYTES, /* of a chunk */
};

/* Steps [step, step + steps) of CHANNEL_PANELS panels: the last again where there are fewer. */
struct chunk {
    int64_t panel, step, steps;
    bool is_last; /* of its panels */
    const uint8_t *codes[CHANNEL_PANELS];
};

/* The sums of a block, a tile a panel. */
static inline tile_sums *channel_sums(const struct tile_pass *pass, int64_t block)
{
    return pass->scratch->out.sums + (block - pass->begin) * CHANNEL_PANELS;
}

static inline int64_t chunk_panel(const struct tile_pass *pass, const struct chunk *chunk, int64_t p)
{
    return gram_min_i64(chunk->panel + p, pass->last - 1);
}

static inline const uint8_t *chunk_codes(const struct tile_pass *pass, int64_t panel, int64_t step)
{
    return pass->w->codes + panel * pass->w->panel_bytes +
           gram_quads_bytes(pass->w->bits, step * TILE_QUADS);
}

static inline void load_chunk(const struct tile_pass *pass, struct chunk *chunk)
{
    const struct gram_int_panels *w = pass->w;
    const int64_t quads = gram_group_quads(w, 0) - chunk->step * TILE_QUADS;
    const int64_t padded = chunk->steps * TILE_QUADS;

    for (int64_t p = 0; p < CHANNEL_PANELS; p++) {
        uint8_t *to = pass->scratch->codes + p * CHANNEL_STEPS * TILE_BYTES;
        const uint8_t *in = chunk_codes(pass, chunk_panel(pass, chunk, p), chunk->step);
        chunk->codes[p] = w->bits == 8 && quads >= padded ? in : to;
        if (chunk->codes[p] == to)
            unpack_quads_of[w->bits](to, in, gram_min_i64(quads, padded), padded, vq_zero());
    }
    TILES_SEE(pass->scratch);
}

/* Sums of two blocks and two panels: sums[0], [1] of the first block, below[0], [1] of the second. */
static inline void multiply_four(tile_sums *sums, tile_sums *below, const int8_t *x, const int8_t *x_below,
                                 const uint8_t *const *codes, int64_t steps, bool is_first)
{
    const uint8_t *left = codes[0], *right = codes[1];

    if (is_first) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sums[0], 64);
        _tile_loadd(1, sums[1], 64);
        _tile_loadd(2, below[0], 64);
        _tile_loadd(3, below[1], 64);
    }
    for (int64_t i = 0; i < steps * TILE_BYTES; i += TILE_BYTES) {
        _tile_loadd(4, x + i, 64);
        _tile_loadd(6, left + i, 64);
        _tile_dpbsud(0, 4, 6);
        _tile_loadd(7, right + i, 64);
        _tile_dpbsud(1, 4, 7);
        _tile_loadd(5, x_below + i, 64);
        _tile_dpbsud(2, 5, 6);
        _tile_dpbsud(3, 5, 7);
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, below[0], 64);
    _tile_stored(3, below[1], 64);
}

/* The same of one block. */
static inline void multiply_two(tile_sums *sums, const int8_t *x, const uint8_t *const *codes, int64_t steps,
                                bool is_first)
{
    const uint8_t *left = codes[0], *right = codes[1];

    if (is_first) {
        _tile_zero(0);
        _tile_zero(1);
    } else {
        _tile_loadd(0, sums[0], 64);
        _tile_loadd(1, sums[1], 64);
    }
    for (int64_t i = 0; i < steps * TILE_BYTES; i += TILE_BYTES) {
        _tile_loadd(4, x + i, 64);
        _tile_loadd(6, left + i, 64);
        _tile_dpbsud(0, 4, 6);
        _tile_loadd(7, right + i, 64);
        _tile_dpbsud(1, 4, 7);
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
}

/* What turns the sums of a chunk's panels into outputs. */
struct channel_end {
    int64_t outputs; /* that there are */
    vq minus_offsets[CHANNEL_PANELS];
    vqf w_scales[CHANNEL_PANELS];
};

static inline struct channel_end end_of(const struct tile_pass *pass, const struct chunk *chunk)
{
    const int64_t last = gram_min_i64(pass->w->rows, pass->last * GRAM_PANEL);
    struct channel_end end = {.outputs = last - chunk->panel * GRAM_PANEL};

    end.outputs = gram_min_i64(end.outputs, CHANNEL_PANELS * GRAM_PANEL);
    for (int p = 0; p < CHANNEL_PANELS; p++) {
        const int64_t at = chunk_panel(pass, chunk, p) * GRAM_PANEL;
        end.minus_offsets[p] = vq_minus_offsets(pass->w, at);
        end.w_scales[p] = vqf_scales(pass->w, at);
    }
    return end;
}

/* fma with 0 is the product, rounded once */
ALWAYS_INLINE vqf channel_output(const struct channel_end *end, const struct gram_int_acts *acts,
                                 int64_t block, tile_sums *sums, int64_t r, int p)
{
    const int32_t x_sum = gram_block_sum(acts, block, 0)[r];
    const vq sum = vq_add(vq_load(sums[p][r]), vq_start(end->minus_offsets[p], x_sum, false));
    return vqf_add_group(vqf_zero(), sum, end->w_scales[p], gram_block_scale(acts, block, 0)[r]);
}

/* The outputs of a row of x lie side by side: they are stored together. */
static inline void store_block(const struct tile_pass *pass, const struct channel_end *end, int64_t block,
                               int64_t panel)
{
    const struct gram_int_acts *acts = pass->acts;
    tile_sums *sums = channel_sums(pass, block);
    const int64_t rows = block_rows(pass, block);
    float *y = tile_outputs(pass, block, panel);

    for (int64_t r = 0; r < rows; r += acts->parts, y += pass->y_stride)
        for (int p = 0; p * GRAM_PANEL < end->outputs; p++) {
            vqf sum = channel_output(end, acts, block, sums, r, p);
            if (acts->parts == 2)
                sum = vqf_add(sum, channel_output(end, acts, block, sums, r + 1, p));
            vqf_store_n(y + p * GRAM_PANEL, sum, end->outputs - p * GRAM_PANEL);
        }
}

/* The blocks [from, to) against a chunk: one or two. */
static inline void multiply_blocks(const struct tile_pass *pass, const struct chunk *chunk, int64_t from,
                                   int64_t to)
{
    const int64_t k = chunk->step * TILE_STEP;
    const int8_t *x = tile_of(pass->acts, from, k);
    const bool is_first = chunk->step == 0;

    if (to - from == 2)
        multiply_four(channel_sums(pass, from), channel_sums(pass, from + 1), x,
                      tile_of(pass->acts, from + 1, k), chunk->codes, chunk->steps, is_first);
    else
        multiply_two(channel_sums(pass, from), x, chunk->codes, chunk->steps, is_first);
}

/* Bring the next chunk nearer, part `part` of `parts`: it is of the same panels, or of the next ones. */
static inline void fetch_chunk(const struct tile_pass *pass, const struct chunk *chunk, int64_t part,
                               int64_t parts)
{
    const int64_t bytes = gram_quads_bytes(pass->w->bits, CHANNEL_STEPS * TILE_QUADS);
    const int64_t panel = chunk->panel + (chunk->is_last ? CHANNEL_PANELS : 0);
    const int64_t step = chunk->is_last ? 0 : chunk->step + chunk->steps;

    for (int64_t p = panel; p < gram_min_i64(panel + CHANNEL_PANELS, pass->last); p++)
        tiles_fetch(chunk_codes(pass, p, step), bytes, part, parts);
}

/* Outputs are stored while later blocks are multiplied: their lines are far away. */
static inline void run_chunk(const struct tile_pass *pass, const struct chunk *chunk)
{
    const struct channel_end end = end_of(pass, chunk);
    const int64_t pairs = gram_ceil_div(pass->end - pass->begin, 2);
    int64_t stored = pass->begin;

    for (int64_t i = 0; i < pairs; i++) {
        const int64_t from = pass->begin + 2 * i;
        fetch_chunk(pass, chunk, i, pairs);
        multiply_blocks(pass, chunk, from, gram_min_i64(from + 2, pass->end));
        for (; chunk->is_last && stored < from; stored++)
            store_block(pass, &end, stored, chunk->panel);
    }
    for (; chunk->is_last && stored < pass->end; stored++)
        store_block(pass, &end, stored, chunk->panel);
}

static inline void run_channels(const struct tile_pass *pass)
{
    const int64_t steps = gram_ceil_div(pass->w->cols, TILE_STEP);
    struct chunk chunk = {.panel = pass->first};

    for (; chunk.panel < pass->last; chunk.panel += CHANNEL_PANELS)
        for (chunk.step = 0; chunk.step < steps; chunk.step += chunk.steps) {
            chunk.steps = gram_min_i64(CHANNEL_STEPS, steps - chunk.step);
            chunk.is_last = chunk.step + chunk.steps == steps;
            load_chunk(pass, &chunk);
            run_chunk(pass, &chunk);
        }
}

#endif
