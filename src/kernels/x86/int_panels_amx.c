/* Integer linears: AMX where rows fill tiles and groups are whole steps, else AVX-512 VNNI. */
#include "kernels/x86/int_tiles_channel.h"
#include "kernels/x86/int_tiles_groups.h"

#include "kernels/variants.h"

enum { LEAST_ROWS = 8 /* of 16 in a tile: below, vectors are as fast */ };

/* A group is all inputs, or as many as divide a step, or whole steps of which one piece can hold it. */
static bool fits_tiles(const struct gram_int_acts *acts)
{
    return acts->groups == 1 || TILE_STEP % acts->group == 0 ||
           (acts->group % TILE_STEP == 0 && acts->group <= TILE_CODES / GRAM_PANEL / 2);
}

void gram_acts_layout__amx(struct gram_int_acts *acts)
{
    gram_acts_layout__ref(acts);
    if (acts->rows * acts->parts < LEAST_ROWS || !fits_tiles(acts))
        return;
    acts->height = TILE_ROWS;
    acts->run = GRAM_ACTS_TILE;
}

/* Most blocks whose activations the L2 cache and whose outputs scratch hold. */
static int64_t most_blocks(const struct gram_int_acts *acts, int64_t room)
{
    return gram_max_i64(1, gram_min_i64(room, TILE_PASS / (TILE_ROWS * acts->stride)));
}

void gram_int_linear__amx(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                          const struct gram_int_panels *w, int64_t begin, int64_t end, void *scratch)
{
    if (acts->run != GRAM_ACTS_TILE) {
        gram_int_linear__avx512vnni(y, y_stride, acts, w, begin, end, scratch);
        return;
    }
    const bool is_channel = w->groups == 1 && !w->is_table;
    const int64_t rows = acts->rows * acts->parts, blocks = gram_ceil_div(rows, TILE_ROWS);
    const int64_t most = most_blocks(acts, is_channel ? TILE_OUTS / CHANNEL_PANELS : TILE_OUTS);
    const int64_t passes = gram_ceil_div(blocks, most);
    struct tile_pass pass = {.acts = acts,
                             .w = w,
                             .y = y,
                             .y_stride = y_stride,
                             .rows = rows,
                             .first = begin,
                             .last = end,
                             .scratch = scratch};

    tiles_begin(is_channel ? TILE_STEP : step_width(w));
    for (int64_t i = 0; i < passes; i++) {
        pass.begin = blocks * i / passes;
        pass.end = blocks * (i + 1) / passes;
        if (is_channel)
            run_channels(&pass);
        else
            run_groups(&pass);
    }
    _tile_release();
}
