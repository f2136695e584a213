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

#include "kernels/simd/int_few.h"

enum {
    TILE_QUADS = 128,
    TILE_GROUPS = 32,
    PASS_BYTES = 1 << 20 /* of activations, which stay in the L2 cache */
};

typedef uint8_t tile_codes[INT_PANELS][TILE_QUADS][GRAM_QUAD_BYTES];
typedef float tile_floats[INT_PANELS][GRAM_PANEL];
typedef int32_t tile_sums[INT_PANELS][GRAM_PANEL];

enum {
    PASS_ROWS = (GRAM_PANEL_SCRATCH - (int)sizeof(tile_codes)) / (int)sizeof(tile_floats) -
                2 * TILE_GROUPS
};

struct many_scratch {
    tile_codes codes;
    tile_floats scales[TILE_GROUPS];
    tile_sums minus_offsets[TILE_GROUPS];
    tile_floats out[PASS_ROWS];
};
_Static_assert(sizeof(struct many_scratch) <= GRAM_PANEL_SCRATCH, "scratch");

/* Blocks [begin, end) of rows and the outputs of a tile. */
struct pass {
    const struct gram_int_acts *acts;
    const struct gram_int_panels *w;
    float *y;
    int64_t y_stride, rows; /* of codes, in all */
    int64_t begin, end, panel, last_panel;
    struct many_scratch *scratch;
    tile_sums *sums; /* of a group that has not ended; where groups are many, behind `out` */
};

/* Whole groups [g, g + groups), or a part of one group: quads [quad, quad + quads). */
struct tile {
    int64_t g, groups, quad, quads;
    int64_t at, bytes; /* in each panel */
    bool is_start, is_end;
    const uint8_t *codes[INT_PANELS];
};

ALWAYS_INLINE void unpack(uint8_t (*to)[GRAM_QUAD_BYTES], const uint8_t *in, int64_t n, int bits)
{
    for (; n > 0; n -= INT_STEP, in += gram_quads_bytes(bits, INT_STEP), to += INT_STEP) {
        UNROLL
        for (int j = 0; j < INT_STEP; j++)
            if (j < n)
                vq_store(to[j], step_codes(in, n, bits, j));
    }
}

typedef void unpack_fn(uint8_t (*to)[GRAM_QUAD_BYTES], const uint8_t *in, int64_t n);
#define DEFINE_UNPACK(bits)                                                                        \
    static void unpack_##bits(uint8_t (*to)[GRAM_QUAD_BYTES], const uint8_t *in, int64_t n)        \
    {                                                                                              \
        unpack(to, in, n, bits);                                                                   \
    }

DEFINE_UNPACK(2)
DEFINE_UNPACK(3)
DEFINE_UNPACK(4)
DEFINE_UNPACK(5)
DEFINE_UNPACK(6)
DEFINE_UNPACK(8)

static unpack_fn *const unpack_of[9] = {
    [2] = unpack_2, [3] = unpack_3, [4] = unpack_4, [5] = unpack_5, [6] = unpack_6, [8] = unpack_8,
};

/* The tile that begins at a quad of group g. */
static struct tile tile_at(const struct gram_int_panels *w, int64_t g, int64_t quad)
{
    const int64_t quads = gram_group_quads(w, g);
    struct tile tile = {.g = g, .quad = quad, .groups = 1, .quads = quads - quad};

    if (gram_group_quads(w, 0) <= TILE_QUADS) {
        const int64_t most = gram_min_i64(TILE_QUADS / gram_group_quads(w, 0), TILE_GROUPS);
        tile.groups = gram_min_i64(most, w->groups - g);
    }
    tile.quads = gram_min_i64(tile.quads, TILE_QUADS);
    tile.is_start = quad == 0;
    tile.is_end = quad + tile.quads == quads;

    const int64_t last = g + tile.groups - 1;
    const int64_t end = tile.groups > 1 ? gram_group_quads(w, last) : quad + tile.quads;
    tile.at = gram_group_offset(w, g) + gram_quads_bytes(w->bits, quad);
    tile.bytes = gram_group_offset(w, last) + gram_quads_bytes(w->bits, end) - tile.at;
    return tile;
}

/* Panel p of the pass; where there are fewer, the last once more. */
static int64_t pass_panel(const struct pass *pass, int64_t p)
{
    return gram_min_i64(pass->panel + p, pass->last_panel);
}

static void unpack_panel(const struct pass *pass, const struct tile *tile, int64_t p)
{
    const struct gram_int_panels *w = pass->w;
    const uint8_t *in = w->codes + pass_panel(pass, p) * w->panel_bytes + tile->at;
    uint8_t (*to)[GRAM_QUAD_BYTES] = pass->scratch->codes[p];

    for (int64_t i = 0; i < tile->groups; i++) {
        const int64_t n = gram_min_i64(tile->quads, gram_group_quads(w, tile->g + i));
        unpack_of[w->bits](to, in + gram_group_offset(w, i), n);
        to += n;
    }
}

static void load_tile(const struct pass *pass, struct tile *tile)
{
    const struct gram_int_panels *w = pass->w;

    for (int64_t p = 0; p < INT_PANELS; p++) {
        tile->codes[p] = pass->scratch->codes[p][0];
        if (INT_BYTES_LIE_READY && w->bits == 8)
            tile->codes[p] = w->codes + pass_panel(pass, p) * w->panel_bytes + tile->at;
        else
            unpack_panel(pass, tile, p);
        for (int64_t i = 0; i < tile->groups; i++) {
            const int64_t at = (pass_panel(pass, p) * w->groups + tile->g + i) * GRAM_PANEL;
            vqf_store(pass->scratch->scales[i][p], vqf_scales(w, at));
            vq_store(pass->scratch->minus_offsets[i][p], vq_minus_offsets(w, at));
        }
    }
}

/* Bring what follows the tile nearer, part `part` of `parts`: the rest of its panels, or the next
 * ones. */
static void fetch_next(const struct pass *pass, const struct tile *tile, int64_t part,
                       int64_t parts)
{
    const struct gram_int_panels *w = pass->w;
    const bool is_last = tile->at + tile->bytes >= w->panel_bytes;
    const int64_t panel = pass->panel + (is_last ? INT_PANELS : 0);
    const int64_t at = is_last ? 0 : tile->at + tile->bytes;
    const int64_t lines = gram_min_i64(tile->bytes, w->panel_bytes - at) / 64;

    for (int64_t p = panel; p < panel + INT_PANELS && p <= pass->last_panel; p++)
        for (int64_t i = lines * part / parts; i < lines * (part + 1) / parts; i++)
            __builtin_prefetch(w->codes + p * w->panel_bytes + at + 64 * i, 0, 2);
}

/* Quads of T rows against a tile, and where their sums go. */
struct run {
    const uint8_t *const *codes; /* of each panel, from byte `at` on */
    const int8_t *x;             /* from one quad of its block to the next: step */
    int64_t at, step, n;
    int minus_middle; /* without offsets */
    const int32_t *x_sums;
    const float *x_scales;
    tile_sums *minus_offsets;
    tile_floats *w_scales;
    tile_floats *out; /* outputs so far */
    tile_sums *sums;  /* of a group that begins or ends in another tile */
};

/* What n > 0 quads add to the sums. */
ALWAYS_INLINE void multiply(vq (*sums)[INT_PANELS], const struct run *run, int bits, int T)
{
    const int8_t *x = run->x, *end = x + run->n * run->step;
    const int64_t step = run->step;
    const uint8_t *panels[INT_PANELS];
    int64_t at = run->at;

    UNROLL
    for (int p = 0; p < INT_PANELS; p++)
        panels[p] = run->codes[p];
    do {
        vq codes[INT_PANELS];
        UNROLL
        for (int p = 0; p < INT_PANELS; p++)
            codes[p] = vq_load(panels[p] + at);
        UNROLL
        for (int t = 0; t < T; t++) {
            const vx quad = vx_load(x + 4 * t);
            UNROLL
            for (int p = 0; p < INT_PANELS; p++) {
                sums[t][p] = vq_dot(sums[t][p], codes[p], quad, bits);
                HOLD(sums[t][p]);
            }
        }
        at += GRAM_QUAD_BYTES;
        x += step;
    } while (x != end);
}

/* The sums of a group join the outputs. */
ALWAYS_INLINE void finish(const struct run *run, vq (*sums)[INT_PANELS], int T)
{
    UNROLL
    for (int t = 0; t < T; t++)
        UNROLL
    for (int p = 0; p < INT_PANELS; p++) {
        float *out = run->out[t][p];
        vqf_store(out, vqf_add_group(vqf_load(out), sums[t][p], vqf_load((*run->w_scales)[p]),
                                     run->x_scales[t]));
    }
}

/* A group without offsets: its sums begin with the same number for all outputs. */
ALWAYS_INLINE void run_plain(const struct run *run, int bits, int T)
{
    vq sums[INT_TOKENS][INT_PANELS];

    UNROLL
    for (int t = 0; t < T; t++) {
        const vq sum = vq_set(run->minus_middle * run->x_sums[t]);
        UNROLL
        for (int p = 0; p < INT_PANELS; p++)
            sums[t][p] = sum;
    }
    multiply(sums, run, bits, T);
    finish(run, sums, T);
}

/* A short group with offsets. */
ALWAYS_INLINE void run_offset(const struct run *run, int bits, int T)
{
    vq sums[INT_TOKENS][INT_PANELS];

    UNROLL
    for (int t = 0; t < T; t++)
        UNROLL
    for (int p = 0; p < INT_PANELS; p++)
        sums[t][p] = vq_start(vq_load((*run->minus_offsets)[p]), run->x_sums[t], true);
    multiply(sums, run, bits, T);
    finish(run, sums, T);
}

/* A part of a group: joins the sums in memory. */
ALWAYS_INLINE void run_part(const struct run *run, int bits, int T)
{
    vq sums[INT_TOKENS][INT_PANELS];

    UNROLL
    for (int t = 0; t < T; t++)
        UNROLL
    for (int p = 0; p < INT_PANELS; p++)
        sums[t][p] = vq_load(run->sums[t][p]);
    multiply(sums, run, bits, T);
    UNROLL
    for (int t = 0; t < T; t++)
        UNROLL
    for (int p = 0; p < INT_PANELS; p++)
        vq_store(run->sums[t][p], sums[t][p]);
}

static void start_part(const struct run *run, int64_t T)
{
    for (int64_t t = 0; t < T; t++)
        for (int p = 0; p < INT_PANELS; p++)
            vq_store(run->sums[t][p],
                     vq_start(vq_load((*run->minus_offsets)[p]), run->x_sums[t], false));
}

static void finish_part(const struct run *run, bool is_first, int64_t T)
{
    for (int64_t t = 0; t < T; t++)
        for (int p = 0; p < INT_PANELS; p++) {
            const vq sum = vq_load(run->sums[t][p]);
            const vqf before = is_first ? vqf_zero() : vqf_load(run->out[t][p]);
            vqf_store(run->out[t][p], vqf_add_group(before, sum, vqf_load((*run->w_scales)[p]),
                                                    run->x_scales[t]));
        }
}

typedef void run_fn(const struct run *run);
/* At most INT_TOKENS rows. Each is a function of its own: gcc keeps 24 sums in registers as long as
 * they come to the loop and leave it in one way. Multiplications differ between bytes and narrower
 * codes at most. */
#define DEFINE_RUN(kind, n)                                                                        \
    __attribute__((noinline)) static void kind##_bytes_##n(const struct run *run)                  \
    {                                                                                              \
        run_##kind(run, 8, n < INT_TOKENS ? n : INT_TOKENS);                                       \
    }                                                                                              \
    __attribute__((noinline)) static void kind##_narrow_##n(const struct run *run)                 \
    {                                                                                              \
        run_##kind(run, 6, n < INT_TOKENS ? n : INT_TOKENS);                                       \
    }
#define DEFINE_RUNS(kind)                                                                          \
    DEFINE_RUN(kind, 1)                                                                            \
    DEFINE_RUN(kind, 2)                                                                            \
    DEFINE_RUN(kind, 3) DEFINE_RUN(kind, 4) DEFINE_RUN(kind, 5) DEFINE_RUN(kind, 6)
#define RUNS(kind)                                                                                 \
    {                                                                                              \
        NULL, kind##_1, kind##_2, kind##_3, kind##_4, kind##_5, kind##_6                           \
    }

DEFINE_RUNS(part)
DEFINE_RUNS(plain)
DEFINE_RUNS(offset)

enum { PART, PLAIN, OFFSET };
static run_fn *const runs_of[][2][7] = {
    [PART] = {RUNS(part_narrow), RUNS(part_bytes)},
    [PLAIN] = {RUNS(plain_narrow), RUNS(plain_bytes)},
    [OFFSET] = {RUNS(offset_narrow), RUNS(offset_bytes)},
};

static int kind_of(const struct gram_int_panels *w, const struct tile *tile)
{
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
    run_fn *run_group = runs_of[kind][pass->w->bits == 8][T];
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
        run.at += run.n * GRAM_QUAD_BYTES;
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
    const int64_t pieces = gram_ceil_div(height, INT_TOKENS), most = gram_ceil_div(height, pieces);
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
    if (rows <= INT_FEW_TOKENS)
        int_linear_few[w->bits][rows](y, y_stride, acts, w, begin, end);
    else
        int_linear_many(y, y_stride, acts, w, begin, end, scratch);
}

#endif
