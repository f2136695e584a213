/* Tiles of integer panels: what is unpacked at a time, for all rows. int_many.h has the picture. */
#ifndef GRAM_KERNELS_SIMD_INT_TILE_H
#define GRAM_KERNELS_SIMD_INT_TILE_H

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

/* Quads of a tile that a quad of the panel becomes. */
static int64_t planes_of(const struct gram_int_panels *w)
{
    return w->is_table ? 2 : 1;
}

/* The tile that begins at a quad of group g. */
static struct tile tile_at(const struct gram_int_panels *w, int64_t g, int64_t quad)
{
    const int64_t quads = gram_group_quads(w, g), room = TILE_QUADS / planes_of(w);
    struct tile tile = {.g = g, .quad = quad, .groups = 1, .quads = quads - quad};

    if (gram_group_quads(w, 0) <= room) {
        const int64_t most = gram_min_i64(room / gram_group_quads(w, 0), TILE_GROUPS);
        tile.groups = gram_min_i64(most, w->groups - g);
    }
    tile.quads = gram_min_i64(tile.quads, room);
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

/* The high bytes of a table's values, then the low ones. */
static void unpack_table(uint8_t (*to)[GRAM_QUAD_BYTES], const struct gram_int_panels *w,
                         const uint8_t *in, int64_t n)
{
    const vt high = vt_load(w->values[0]), low = vt_load(w->values[1]);

    for (int64_t i = 0; i < n; i++) {
        const vq codes = i % 2 ? vq_codes(in, NULL, 4, 1) : vq_codes(in, NULL, 4, 0);
        vq_store(to[i], vq_choose(high, codes));
        vq_store(to[n + i], vq_choose(low, codes));
        in += i % 2 ? GRAM_QUAD_BYTES : 0;
    }
}

static void unpack_panel(const struct pass *pass, const struct tile *tile, int64_t p)
{
    const struct gram_int_panels *w = pass->w;
    const uint8_t *in = w->codes + pass_panel(pass, p) * w->panel_bytes + tile->at;
    uint8_t (*to)[GRAM_QUAD_BYTES] = pass->scratch->codes[p];

    for (int64_t i = 0; i < tile->groups; i++) {
        const int64_t n = gram_min_i64(tile->quads, gram_group_quads(w, tile->g + i));
        if (w->is_table)
            unpack_table(to, w, in + gram_group_offset(w, i), n);
        else
            unpack_of[w->bits](to, in + gram_group_offset(w, i), n);
        to += planes_of(w) * n;
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

#endif
