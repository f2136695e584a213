/*
 * Integer linears on tiles whose scale changes along the inputs. One block of 16 rows and one panel: the sums of a group leave
 * their tile through memory and join the 16 registers of outputs, so that per group and output there is one load, a
 * conversion, a product of scales and a multiply-add.
 *
 *     tiles      group g:  multiply, store      group g+1:  multiply, store      ...
 *     vectors                               group g:  y = fma(sum, w_scale x_scale, y)
 *
 * Codes are unpacked less their offsets, as signed bytes, a chunk of a panel at a time for all blocks of the pass. Where
 * those do not fit a byte (8 bits with zero points), they stay unsigned and offsets times sums are taken off each
 * group. The values of a table are a signed high byte and an unsigned low one, each with a tile of sums.
 */
#ifndef GRAM_KERNELS_X86_INT_TILES_GROUPS_H
#define GRAM_KERNELS_X86_INT_TILES_GROUPS_H

#include "kernels/x86/int_tiles.h"

enum groups_kind { SIGNED, UNSIGNED, TABLE, TABLE_SPLIT };

/* Groups [first, last) of a panel, unpacked; `bytes` of a plane of a group. */
struct piece {
    int64_t panel, first, last, width, bytes;
    enum groups_kind kind;
};

static inline bool has_table(enum groups_kind kind)
{
    return kind == TABLE || kind == TABLE_SPLIT;
}

/* Inputs of a step: rows of the left tiles. */
static inline int64_t step_width(const struct gram_int_panels *w)
{
    return gram_min_i64(w->group, TILE_STEP);
}

/* Are all codes signed bytes, less what is subtracted from them? */
static inline bool is_signed(const struct tile_pass *pass)
{
    const struct gram_int_panels *w = pass->w;
    const int64_t begin = pass->first * w->groups * GRAM_PANEL;
    const int64_t end = pass->last * w->groups * GRAM_PANEL;
    uint8_t most = 0;

    for (int64_t i = begin; w->offsets && i < end; i++)
        most = w->offsets[i] > most ? w->offsets[i] : most;
    return most <= 128 && (w->bits < 8 || !w->offsets);
}

static inline enum groups_kind kind_of(const struct tile_pass *pass)
{
    if (pass->w->is_table)
        return pass->acts->parts == 1 ? TABLE : TABLE_SPLIT;
    return is_signed(pass) ? SIGNED : UNSIGNED;
}

/* The bytes of a quad that belong to each output: what is subtracted from its codes. */
static inline vq offset_bytes(const struct gram_int_panels *w, int64_t at)
{
    const vq minus = vq_minus_offsets(w, at);
    return _mm512_mullo_epi32(_mm512_sub_epi32(vq_zero(), minus), _mm512_set1_epi32(0x01010101));
}

/* The high bytes of a table's values, signed, then the low ones. */
static inline void unpack_values(uint8_t *to, const uint8_t *in, int64_t n, int64_t padded,
                                 const struct gram_int_panels *w)
{
    const vq sign = _mm512_set1_epi8((char)0x80);
    const vt high = vt_load(w->values[0]), low = vt_load(w->values[1]);
    uint8_t *lows = to + padded * GRAM_QUAD_BYTES;

    unpack_quads_4(lows, in, n, padded, vq_zero());
    for (int64_t i = 0; i < padded; i++) {
        const vq codes = vq_load(lows + i * GRAM_QUAD_BYTES);
        const __mmask16 mask = i < n ? 0xffff : 0;
        const vq highs = _mm512_xor_si512(vq_choose(high, codes), sign);
        vq_store(to + i * GRAM_QUAD_BYTES, _mm512_maskz_mov_epi32(mask, highs));
        vq_store(lows + i * GRAM_QUAD_BYTES, _mm512_maskz_mov_epi32(mask, vq_choose(low, codes)));
    }
}

static inline void unpack_group(const struct tile_pass *pass, const struct piece *piece, int64_t g,
                                uint8_t *to)
{
    const struct gram_int_panels *w = pass->w;
    const uint8_t *in = w->codes + piece->panel * w->panel_bytes + gram_group_offset(w, g);
    const int64_t n = gram_group_quads(w, g), padded = piece->bytes / GRAM_QUAD_BYTES;

    if (has_table(piece->kind))
        unpack_values(to, in, n, padded, w);
    else
        unpack_quads_of[w->bits](to, in, n, padded,
                                 piece->kind == UNSIGNED
                                     ? vq_zero()
                                     : offset_bytes(w, (piece->panel * w->groups + g) * GRAM_PANEL));
}

static inline void unpack_piece(const struct tile_pass *pass, const struct piece *piece)
{
    const int64_t step = piece->bytes * (has_table(piece->kind) ? 2 : 1);

    for (int64_t g = piece->first; g < piece->last; g++)
        unpack_group(pass, piece, g, pass->scratch->codes + (g - piece->first) * step);
    TILES_SEE(pass->scratch);
}

/* A plane of a group against a block: sums 0, or 1 for the low bytes of a table. */
#define MULTIPLY_GROUP(sums, multiply, x, codes, bytes, width)                                     \
    do {                                                                                           \
        const int8_t *left_ = (x);                                                                 \
        const uint8_t *right_ = (codes), *end_ = right_ + (bytes);                                 \
        _tile_zero(sums);                                                                          \
        for (; right_ < end_; left_ += TILE_BYTES, right_ += (width) * GRAM_PANEL) {               \
            _tile_loadd(4, left_, TILE_STEP);                                                      \
            _tile_loadd(6, right_, GRAM_QUAD_BYTES);                                               \
            multiply(sums, 4, 6);                                                                  \
        }                                                                                          \
    } while (0)

/* What one group of a block and a panel is scaled by. */
struct group_scales {
    const float *x;
    const int32_t *x_sums;
    vqf w;
    vq minus_offsets;
};

/* Row t of the sums of a group. */
ALWAYS_INLINE vq group_sum(tile_sums *sums, const struct group_scales *scales, int t,
                           enum groups_kind kind)
{
    const vq sum = vq_load(sums[0][t]);

    if (kind == SIGNED)
        return sum;
    if (kind == UNSIGNED)
        return vq_add(sum, vq_start(scales->minus_offsets, scales->x_sums[t], false));
    if (kind == TABLE || t % 2 == 0)
        return vq_add(vq_times_256(sum), vq_load(sums[1][t]));
    return vq_add(vq_times_256(sum), vq_set(128 * scales->x_sums[t]));
}

ALWAYS_INLINE void run_block(const struct tile_pass *pass, const struct piece *piece, int64_t block,
                             tile_floats *out, enum groups_kind kind)
{
    _Alignas(64) tile_sums sums[2];
    const struct gram_int_acts *acts = pass->acts;
    const struct gram_int_panels *w = pass->w;
    const uint8_t *codes = pass->scratch->codes;
    vqf y[TILE_ROWS];

    UNROLL_ROWS
    for (int t = 0; t < TILE_ROWS; t++)
        y[t] = piece->first == 0 ? vqf_zero() : vqf_load((*out)[t]);
    for (int64_t g = piece->first; g < piece->last; g++) {
        const int8_t *x = tile_of(acts, block, g * w->group);
        const int64_t at = (piece->panel * w->groups + g) * GRAM_PANEL;
        const int64_t used = gram_ceil_div(gram_group_inputs(w, g), piece->width) * piece->width * GRAM_PANEL;
        struct group_scales scales = {.x = gram_block_scale(acts, block, gram_acts_span(acts, g)),
                                      .x_sums = gram_block_sum(acts, block, g),
                                      .w = vqf_scales(w, at)};

        if (kind == UNSIGNED) {
            scales.minus_offsets = vq_minus_offsets(w, at);
            MULTIPLY_GROUP(0, _tile_dpbsud, x, codes, used, piece->width);
        } else {
            MULTIPLY_GROUP(0, _tile_dpbssd, x, codes, used, piece->width);
        }
        _tile_stored(0, sums[0], 64);
        codes += piece->bytes;
        if (has_table(kind)) {
            MULTIPLY_GROUP(1, _tile_dpbsud, x, codes, used, piece->width);
            _tile_stored(1, sums[1], 64);
            codes += piece->bytes;
        }
        UNROLL_ROWS
        for (int t = 0; t < TILE_ROWS; t++)
            y[t] = vqf_add_group(y[t], group_sum(sums, &scales, t, kind), scales.w, scales.x[t]);
    }
    UNROLL_ROWS
    for (int t = 0; t < TILE_ROWS; t++)
        vqf_store((*out)[t], y[t]);
}

typedef void run_block_fn(const struct tile_pass *pass, const struct piece *piece, int64_t block,
                          tile_floats *out);
#define DEFINE_RUN_BLOCK(name, kind)                                                               \
    static inline void run_block_##name(const struct tile_pass *pass, const struct piece *piece,   \
                                        int64_t block, tile_floats *out)                           \
    {                                                                                              \
        run_block(pass, piece, block, out, kind);                                                  \
    }
DEFINE_RUN_BLOCK(signed, SIGNED)
DEFINE_RUN_BLOCK(unsigned, UNSIGNED)
DEFINE_RUN_BLOCK(table, TABLE)
DEFINE_RUN_BLOCK(table_split, TABLE_SPLIT)

static run_block_fn *const run_block_of[] = {[SIGNED] = run_block_signed,
                                             [UNSIGNED] = run_block_unsigned,
                                             [TABLE] = run_block_table,
                                             [TABLE_SPLIT] = run_block_table_split};

static inline void run_piece(const struct tile_pass *pass, const struct piece *piece)
{
    const struct gram_int_panels *w = pass->w;
    const uint8_t *panel = w->codes + piece->panel * w->panel_bytes;
    const int64_t begin = gram_group_offset(w, piece->first);
    const int64_t end = piece->last == w->groups ? w->panel_bytes : gram_group_offset(w, piece->last);

    unpack_piece(pass, piece);
    for (int64_t block = pass->begin; block < pass->end; block++) {
        tiles_fetch(panel + end, end - begin, block - pass->begin, pass->end - pass->begin);
        run_block_of[piece->kind](pass, piece, block, &pass->scratch->out.floats[block - pass->begin]);
    }
}

static inline void store_panel(const struct tile_pass *pass, int64_t panel)
{
    const int64_t parts = pass->acts->parts;

    for (int64_t block = pass->begin; block < pass->end; block++) {
        tile_floats *out = &pass->scratch->out.floats[block - pass->begin];
        for (int64_t r = 0; r < block_rows(pass, block); r += parts)
            store_outputs(pass, block, r, panel, vqf_load((*out)[r]), vqf_load((*out)[r + parts - 1]));
    }
}

static inline void run_groups(const struct tile_pass *pass)
{
    const struct gram_int_panels *w = pass->w;
    const int64_t width = step_width(w), bytes = gram_ceil_div(w->group, width) * width * GRAM_PANEL;
    struct piece piece = {.width = width, .bytes = bytes, .kind = kind_of(pass)};
    const int64_t most = TILE_CODES / (bytes * (has_table(piece.kind) ? 2 : 1));

    for (piece.panel = pass->first; piece.panel < pass->last; piece.panel++) {
        for (piece.first = 0; piece.first < w->groups; piece.first = piece.last) {
            piece.last = gram_min_i64(piece.first + most, w->groups);
            run_piece(pass, &piece);
        }
        store_panel(pass, piece.panel);
    }
}

#endif
