/*
 * Integer linear for many tokens, over the quads of a level (vq).
 *
 * A tile, INT_PANELS panels by at most 256 inputs, is unpacked once into the L1 cache and meets all
 * tokens, INT_TOKENS at a time. With 4 panels and 6 tokens:
 *
 *              panel 0    panel 1    panel 2    panel 3
 *     token 0  sum 16     sum 16     sum 16     sum 16       24 registers of sums,
 *     ...                                                    4 of codes (one quad of the tile),
 *     token 5  sum 16     sum 16     sum 16     sum 16       1 of activations (a quad, broadcast)
 *
 * so that 24 multiplications wait for ten loads. At the end of a group the sums become floats and
 * join the outputs so far. Those lie in scratch: in y, whose stride is a power of two most of the
 * time, they would fall on the same few lines of the cache. Short groups share a tile, so that the
 * outputs of a block are fetched once for all of them. A group longer than a tile keeps its sums in
 * scratch from tile to tile.
 */
#ifndef GRAM_KERNELS_SIMD_INT_MANY_H
#define GRAM_KERNELS_SIMD_INT_MANY_H

#include "kernels/simd/int_few.h"

enum {
    TILE_QUADS = 64,
    TILE_GROUPS = 16,
    PASS_TOKENS = 156 /* fills the scratch */
};

typedef uint8_t tile_codes[INT_PANELS][GRAM_QUAD_BYTES]; /* of one quad */
typedef float tile_floats[INT_PANELS][GRAM_PANEL];
typedef int32_t tile_sums[INT_PANELS][GRAM_PANEL];

struct many_scratch {
    tile_codes codes[TILE_QUADS];
    tile_floats scales[TILE_GROUPS];
    tile_sums minus_offsets[TILE_GROUPS];
    tile_floats out[PASS_TOKENS];
};
_Static_assert(sizeof(struct many_scratch) <= GRAM_PANEL_SCRATCH, "scratch");

/* Tokens [begin, end) and the outputs of a tile. */
struct pass {
    const struct gram_int_acts *acts;
    const struct gram_int_panels *w;
    float *y;
    int64_t y_stride, begin, end, panel, panels;
    struct many_scratch *scratch;
    tile_sums *sums; /* of a group that has not ended; where groups are many, behind `out` */
};

/* Whole groups [g, g + groups), or a part of one group: quads [quad, quad + quads). */
struct tile {
    int64_t g, groups, quad, quads;
};

ALWAYS_INLINE void unpack(tile_codes *to, int64_t p, const uint8_t *in, int64_t n, int bits)
{
    for (; n > 0; n -= INT_STEP, in += gram_quads_bytes(bits, INT_STEP), to += INT_STEP) {
        UNROLL
        for (int j = 0; j < INT_STEP; j++)
            if (j < n)
                vq_store(to[j][p], step_codes(in, n, bits, j));
    }
}

typedef void unpack_fn(tile_codes *to, int64_t p, const uint8_t *in, int64_t n);
#define DEFINE_UNPACK(bits)                                                                        \
    static void unpack_##bits(tile_codes *to, int64_t p, const uint8_t *in, int64_t n)             \
    {                                                                                              \
        unpack(to, p, in, n, bits);                                                                \
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

static void load_panel(const struct pass *pass, const struct tile *tile, int64_t p)
{
    const struct gram_int_panels *w = pass->w;
    const int64_t panel = pass->panel + p;
    const uint8_t *in = w->codes + panel * w->panel_bytes + gram_quads_bytes(w->bits, tile->quad);
    tile_codes *to = pass->scratch->codes;

    for (int64_t i = 0; i < tile->groups; i++) {
        const int64_t g = tile->g + i, at = (panel * w->groups + g) * GRAM_PANEL;
        const int64_t n = gram_min_i64(tile->quads, gram_group_quads(w, g));
        unpack_of[w->bits](to, p, in + gram_group_offset(w, g), n);
        to += n;
        vqf_store(pass->scratch->scales[i][p], vqf_scales(w, at));
        vq_store(pass->scratch->minus_offsets[i][p], vq_minus_offsets(w, at));
    }
}

/* A block of tokens: row i of x, x_sums and x_scales lies i strides behind. */
struct block {
    const int8_t *x;
    const int32_t *x_sums;
    const float *x_scales;
    int64_t x_stride, groups, spans;
    tile_floats *out;
    tile_sums *sums;
};

ALWAYS_INLINE struct block block_at(const struct pass *pass, const struct tile *tile, int64_t t)
{
    const struct gram_int_acts *acts = pass->acts;
    return (struct block){
        .x = acts->codes + t * acts->stride + tile->g * acts->group + 4 * tile->quad,
        .x_sums = acts->sums + t * acts->groups + tile->g,
        .x_scales = acts->scales + t * acts->spans + gram_acts_span(acts, tile->g),
        .x_stride = acts->stride,
        .groups = acts->groups,
        .spans = acts->spans,
        .out = pass->scratch->out + (t - pass->begin),
        .sums = pass->sums + (t - pass->begin),
    };
}

/* What n > 0 quads of T tokens add to the sums. */
ALWAYS_INLINE void multiply(vq (*sums)[INT_PANELS], tile_codes *tile, const int8_t *x,
                            int64_t x_stride, int64_t n, int bits, int T)
{
    do {
        vq codes[INT_PANELS];
        UNROLL
        for (int p = 0; p < INT_PANELS; p++)
            codes[p] = vq_load((*tile)[p]);
        UNROLL
        for (int t = 0; t < T; t++) {
            const vx quad = vx_load(x + t * x_stride);
            UNROLL
            for (int p = 0; p < INT_PANELS; p++) {
                sums[t][p] = vq_dot(sums[t][p], codes[p], quad, bits);
                HOLD(sums[t][p]);
            }
        }
        tile++;
        x += 4;
    } while (--n > 0);
}

/* The sums of row i join its outputs. */
ALWAYS_INLINE void finish(float (*out)[GRAM_PANEL], const vq *sums, float (*scales)[GRAM_PANEL],
                          float x_scale, bool is_begun)
{
    UNROLL
    for (int p = 0; p < INT_PANELS; p++) {
        const vqf before = is_begun ? vqf_load(out[p]) : vqf_zero();
        vqf_store(out[p], vqf_add_group(before, sums[p], vqf_load(scales[p]), x_scale));
    }
}

/* Every group of the tile, whole, for T tokens. */
ALWAYS_INLINE void run_narrow(const struct pass *pass, const struct tile *tile, int64_t t0,
                              int bits, int T)
{
    const struct block b = block_at(pass, tile, t0);
    const int64_t scale_step = b.spans > 1 ? 1 : 0;
    struct many_scratch *scratch = pass->scratch;
    tile_codes *codes = scratch->codes;
    const int8_t *x = b.x;

    for (int64_t i = 0; i < tile->groups; i++) {
        const int64_t n = gram_group_quads(pass->w, tile->g + i);
        vq sums[INT_TOKENS][INT_PANELS];

        UNROLL
        for (int t = 0; t < T; t++)
            UNROLL
        for (int p = 0; p < INT_PANELS; p++)
            sums[t][p] =
                vq_start(vq_load(scratch->minus_offsets[i][p]), b.x_sums[t * b.groups + i], true);
        multiply(sums, codes, x, b.x_stride, n, bits, T);
        UNROLL
        for (int t = 0; t < T; t++)
            finish(b.out[t], sums[t], scratch->scales[i], b.x_scales[t * b.spans + i * scale_step],
                   true);
        codes += n;
        x += 4 * n;
    }
}

/* A part of a group, or a group of more than GRAM_NARROW_GROUP inputs: joins the sums in memory. */
ALWAYS_INLINE void run_wide(const struct pass *pass, const struct tile *tile, int64_t t0, int bits,
                            int T)
{
    const struct block b = block_at(pass, tile, t0);
    vq sums[INT_TOKENS][INT_PANELS];

    UNROLL
    for (int t = 0; t < T; t++)
        UNROLL
    for (int p = 0; p < INT_PANELS; p++)
        sums[t][p] = vq_load(b.sums[t][p]);
    multiply(sums, pass->scratch->codes, b.x, b.x_stride, tile->quads, bits, T);
    UNROLL
    for (int t = 0; t < T; t++)
        UNROLL
    for (int p = 0; p < INT_PANELS; p++)
        vq_store(b.sums[t][p], sums[t][p]);
}

typedef void block_fn(const struct pass *pass, const struct tile *tile, int64_t t);
/* At most INT_TOKENS. Multiplications differ between bytes and narrower codes at most. */
#define DEFINE_BLOCK(form, n)                                                                      \
    static void form##_##n(const struct pass *pass, const struct tile *tile, int64_t t)            \
    {                                                                                              \
        enum { T = n < INT_TOKENS ? n : INT_TOKENS };                                              \
        if (INT_BYTES_DIFFER && pass->w->bits == 8)                                                \
            run_##form(pass, tile, t, 8, T);                                                       \
        else                                                                                       \
            run_##form(pass, tile, t, 6, T);                                                       \
    }
#define DEFINE_BLOCKS(form)                                                                        \
    DEFINE_BLOCK(form, 1)                                                                          \
    DEFINE_BLOCK(form, 2)                                                                          \
    DEFINE_BLOCK(form, 3) DEFINE_BLOCK(form, 4) DEFINE_BLOCK(form, 5) DEFINE_BLOCK(form, 6)
#define BLOCKS(form)                                                                               \
    {                                                                                              \
        NULL, form##_1, form##_2, form##_3, form##_4, form##_5, form##_6                           \
    }

DEFINE_BLOCKS(narrow)
DEFINE_BLOCKS(wide)

static block_fn *const blocks[2][7] = {BLOCKS(wide), BLOCKS(narrow)};

static void load_tile(const struct pass *pass, const struct tile *tile)
{
    for (int64_t p = 0; p < pass->panels; p++)
        load_panel(pass, tile, p);
}

static void run_tile(const struct pass *pass, const struct tile *tile)
{
    block_fn *const *run = blocks[pass->w->group <= GRAM_NARROW_GROUP];

    for (int64_t t = pass->begin; t < pass->end; t += INT_TOKENS)
        run[gram_min_i64(INT_TOKENS, pass->end - t)](pass, tile, t);
}

static void run_narrow_groups(const struct pass *pass)
{
    const int64_t quads = gram_group_quads(pass->w, 0);
    const int64_t most = gram_min_i64(TILE_QUADS / quads, TILE_GROUPS);
    struct tile tile = {
        .quads = quads,
    };

    memset(pass->scratch->out, 0, (size_t)(pass->end - pass->begin) * sizeof(tile_floats));
    for (; tile.g < pass->w->groups; tile.g += tile.groups) {
        tile.groups = gram_min_i64(most, pass->w->groups - tile.g);
        load_tile(pass, &tile);
        run_tile(pass, &tile);
    }
}

static void start_wide(const struct pass *pass, int64_t g)
{
    for (int64_t t = pass->begin; t < pass->end; t++) {
        const int32_t x_sum = pass->acts->sums[t * pass->acts->groups + g];
        for (int p = 0; p < INT_PANELS; p++)
            vq_store(pass->sums[t - pass->begin][p],
                     vq_start(vq_load(pass->scratch->minus_offsets[0][p]), x_sum, false));
    }
}

static void finish_wide(const struct pass *pass, int64_t g)
{
    const struct gram_int_acts *acts = pass->acts;

    for (int64_t t = 0; t < pass->end - pass->begin; t++) {
        const int64_t at = (pass->begin + t) * acts->spans + gram_acts_span(acts, g);
        vq sums[INT_PANELS];
        UNROLL
        for (int p = 0; p < INT_PANELS; p++)
            sums[p] = vq_load(pass->sums[t][p]);
        finish(pass->scratch->out[t], sums, pass->scratch->scales[0], acts->scales[at], g > 0);
    }
}

static void run_wide_groups(const struct pass *pass)
{
    for (int64_t g = 0; g < pass->w->groups; g++) {
        const int64_t quads = gram_group_quads(pass->w, g);
        struct tile tile = {.g = g, .groups = 1};

        for (; tile.quad < quads; tile.quad += tile.quads) {
            tile.quads = gram_min_i64(TILE_QUADS, quads - tile.quad);
            load_tile(pass, &tile);
            if (tile.quad == 0)
                start_wide(pass, g);
            run_tile(pass, &tile);
        }
        finish_wide(pass, g);
    }
}

static void store_outputs(const struct pass *pass)
{
    for (int64_t p = 0; p < pass->panels; p++) {
        const int64_t n = pass->w->rows - (pass->panel + p) * GRAM_PANEL;
        float *y = pass->y + (pass->panel + p) * GRAM_PANEL;
        for (int64_t t = pass->begin; t < pass->end; t++)
            vqf_store_n(y + t * pass->y_stride, vqf_load(pass->scratch->out[t - pass->begin][p]),
                        n);
    }
}

static void int_linear_many(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                            const struct gram_int_panels *w, int64_t begin, int64_t end,
                            struct many_scratch *scratch)
{
    const bool is_narrow = w->group <= GRAM_NARROW_GROUP;
    const bool has_both = !is_narrow && w->groups > 1; /* outputs, and sums of a group */
    const int64_t tokens = has_both ? PASS_TOKENS / 2 : PASS_TOKENS;
    struct pass pass = {.acts = acts, .w = w, .y = y, .y_stride = y_stride, .scratch = scratch};

    pass.sums = (tile_sums *)(void *)(scratch->out + (has_both ? tokens : 0));
    for (pass.begin = 0; pass.begin < acts->rows; pass.begin = pass.end) {
        pass.end = gram_min_i64(pass.begin + tokens, acts->rows);
        for (pass.panel = begin; pass.panel < end; pass.panel += INT_PANELS) {
            pass.panels = gram_min_i64(INT_PANELS, end - pass.panel);
            if (is_narrow)
                run_narrow_groups(&pass);
            else
                run_wide_groups(&pass);
            store_outputs(&pass);
        }
    }
}

ALWAYS_INLINE void int_linear(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                              const struct gram_int_panels *w, int64_t begin, int64_t end,
                              void *scratch)
{
    if (acts->rows == 0)
        return;
    if (acts->rows <= INT_FEW_TOKENS)
        int_linear_few[w->bits][acts->rows](y, y_stride, acts, w, begin, end);
    else
        int_linear_many(y, y_stride, acts, w, begin, end, scratch);
}

#endif
