/*
 * Integer linears on tiles whose scale changes along the inputs. One block of 16 rows meets one panel: the
 * sums of a group leave their tile through memory and join the 16 registers of outputs, so that per group and
 * output there is one load, a conversion, a product of scales and a multiply-add. A tile that is stored right
 * after its multiplication makes the next wait, hence two sets of tiles in turn:
 *
 *     multiply    g        g + 1          g + 2
 *     store                g              g + 1
 *     vectors              g - 1          g         y = fma(sum, w_scale x_scale, y)
 *
 * Codes are unpacked less their offsets, as signed bytes, a piece of a panel at a time for all blocks of
 * the pass. Where those do not fit a byte (8 bits with zero points), and where groups are long, they stay
 * unsigned and offsets times sums are taken off each group. The values of a table are a signed high byte
 * and an unsigned low one, each with a tile of sums.
 */
#ifndef GRAM_KERNELS_X86_INT_TILES_GROUPS_H
#define GRAM_KERNELS_X86_INT_TILES_GROUPS_H

#include "kernels/x86/int_tiles.h"

enum groups_kind { SIGNED, UNSIGNED, TABLE, TABLE_SPLIT };
enum { SIGNED_GROUP = 256 /* inputs whose sum is at most 2^22 */ };

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
    return most <= 128 && (w->bits < 8 || !w->offsets) && w->group <= SIGNED_GROUP;
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

    for (int64_t g = piece->first; g < piece->last; g++) {
        const int64_t i = g - piece->first, at = (piece->panel * pass->w->groups + g) * GRAM_PANEL;
        unpack_group(pass, piece, g, pass->scratch->codes + i * step);
        vqf_store(pass->scratch->scales.w[i], vqf_scales(pass->w, at));
        if (piece->kind == UNSIGNED)
            vq_store(pass->scratch->scales.minus_offsets[i], vq_minus_offsets(pass->w, at));
    }
    TILES_SEE(pass->scratch);
}

/* A block of rows and a piece of a panel, in numbers of its own: a store of tiles might change any other, for
 * all that the compiler knows. */
struct block_run {
    const int8_t *x;       /* of the block, from the first group of the piece on */
    const float *x_scales; /* from one group to the next: x_step */
    const int32_t *x_sums;
    const uint8_t *codes;
    const struct piece_scales *scales;
    int64_t x_step, group, width, bytes;
    int64_t inputs; /* to the end of a row */
    int64_t groups; /* of the piece */
    tile_sums (*sums)[2]; /* of each set: a tile, and one for the low bytes of a table */
};

static inline struct block_run run_of(const struct tile_pass *pass, const struct piece *piece, int64_t block,
                                      tile_sums (*sums)[2])
{
    const struct gram_int_acts *acts = pass->acts;
    const int64_t k = piece->first * pass->w->group, x_step = acts->spans > 1 ? TILE_ROWS : 0;

    return (struct block_run){.x = tile_of(acts, block, k),
                              .x_scales = gram_block_scale(acts, block, 0) + piece->first * x_step,
                              .x_sums = gram_block_sum(acts, block, piece->first),
                              .codes = pass->scratch->codes,
                              .scales = &pass->scratch->scales,
                              .x_step = x_step,
                              .group = pass->w->group,
                              .width = piece->width,
                              .bytes = piece->bytes,
                              .inputs = pass->w->cols - k,
                              .groups = piece->last - piece->first,
                              .sums = sums};
}

/* A plane of a group against a block: a tile of sums. */
#define MULTIPLY_PLANE(sums, left, right, multiply, x, codes, end, width)                          \
    do {                                                                                           \
        const int8_t *left_ = (x);                                                                 \
        const uint8_t *right_ = (codes);                                                           \
        _tile_zero(sums);                                                                          \
        do {                                                                                       \
            _tile_loadd(left, left_, TILE_STEP);                                                   \
            _tile_loadd(right, right_, GRAM_QUAD_BYTES);                                           \
            multiply(sums, left, right);                                                           \
            left_ += TILE_BYTES, right_ += (width) * GRAM_PANEL;                                   \
        } while (right_ < (end));                                                                  \
    } while (0)
#define MULTIPLY_GROUP(sums, low_sums, left, right)                                                \
    do {                                                                                           \
        if (kind == UNSIGNED)                                                                      \
            MULTIPLY_PLANE(sums, left, right, _tile_dpbsud, x, codes, end, run->width);            \
        else                                                                                       \
            MULTIPLY_PLANE(sums, left, right, _tile_dpbssd, x, codes, end, run->width);            \
        if (has_table(kind))                                                                       \
            MULTIPLY_PLANE(low_sums, left, right, _tile_dpbsud, x, codes + run->bytes,             \
                           end + run->bytes, run->width);                                          \
    } while (0)

/* Group i of the piece into the tiles of a set, 0 and 1 or 2 and 3. */
ALWAYS_INLINE void multiply_group(const struct block_run *run, int64_t i, int set, enum groups_kind kind)
{
    const int64_t k = i * run->group;
    const int8_t *x = run->x + k / TILE_STEP * TILE_BYTES + k % TILE_STEP;
    const uint8_t *codes = run->codes + i * run->bytes * (has_table(kind) ? 2 : 1);
    const uint8_t *end = codes + gram_min_i64(run->group, run->inputs - k) * GRAM_PANEL;

    if (set == 0)
        MULTIPLY_GROUP(0, 1, 4, 6);
    else
        MULTIPLY_GROUP(2, 3, 5, 7);
}

ALWAYS_INLINE void store_sums(const struct block_run *run, int set, enum groups_kind kind)
{
    if (set == 0)
        _tile_stored(0, run->sums[0][0], 64);
    else
        _tile_stored(2, run->sums[1][0], 64);
    if (has_table(kind) && set == 0)
        _tile_stored(1, run->sums[0][1], 64);
    if (has_table(kind) && set == 1)
        _tile_stored(3, run->sums[1][1], 64);
    TILES_SEE(run->sums);
}

/* Row t of the sums of a group. */
ALWAYS_INLINE vq group_sum(tile_sums *sums, vq minus_offsets, const int32_t *x_sums, int t,
                           enum groups_kind kind)
{
    const vq sum = vq_load(sums[0][t]);

    if (kind == SIGNED)
        return sum;
    if (kind == UNSIGNED)
        return vq_add(sum, vq_start(minus_offsets, x_sums[t], false));
    if (kind == TABLE || t % 2 == 0)
        return vq_add(vq_times_256(sum), vq_load(sums[1][t]));
    return vq_add(vq_times_256(sum), vq_set(128 * x_sums[t]));
}

/* As floats. Beside tiles that are multiplied, one port of two converts floats, multiplies and adds their
 * products; the other only adds. So two rows of three become floats by additions: a sum of at most 2^22 is
 * added to the bits of 1.5 * 2^23 as to an integer, which then is taken off as a float, exactly. */
ALWAYS_INLINE vqf group_float(vq sum, vq middle, int t, enum groups_kind kind)
{
    if (kind == SIGNED && t % 3 != 0)
        return _mm512_sub_ps(_mm512_castsi512_ps(vq_add(middle, sum)), _mm512_castsi512_ps(middle));
    return _mm512_cvtepi32_ps(sum);
}

/* The sums of group i join the outputs. */
ALWAYS_INLINE void add_group(vqf *y, const struct block_run *run, int64_t i, int set, enum groups_kind kind)
{
    const float *x_scales = run->x_scales + i * run->x_step;
    const int32_t *x_sums = run->x_sums + i * TILE_ROWS;
    const vqf w_scales = vqf_load(run->scales->w[i]);
    const vq minus_offsets = kind == UNSIGNED ? vq_load(run->scales->minus_offsets[i]) : vq_zero();
    vq middle = vq_set(0x4b400000); /* 1.5 * 2^23 */

    HOLD(middle);
    UNROLL_ROWS
    for (int t = 0; t < TILE_ROWS; t++) {
        const vqf scale = _mm512_mul_ps(w_scales, _mm512_set1_ps(x_scales[t]));
        const vq sum = group_sum(run->sums[set], minus_offsets, x_sums, t, kind);
        y[t] = _mm512_fmadd_ps(group_float(sum, middle, t, kind), scale, y[t]);
    }
}

/* Group i, which the tiles of a set hold, leaves them while the next one is multiplied in the other set;
 * vectors add the one before it, which has arrived in memory by now. */
ALWAYS_INLINE void pass_group(vqf *y, const struct block_run *run, int64_t i, int set, enum groups_kind kind)
{
    if (i + 1 < run->groups)
        multiply_group(run, i + 1, 1 - set, kind);
    store_sums(run, set, kind);
    if (i > 0)
        add_group(y, run, i - 1, 1 - set, kind);
}

/* Outputs of a block; two parts of a row of x are added up. */
ALWAYS_INLINE void store_outputs(const struct tile_pass *pass, int64_t block, int64_t panel, const vqf *y)
{
    const int64_t rows = block_rows(pass, block), n = pass->w->rows - panel * GRAM_PANEL;
    const bool is_split = pass->acts->parts == 2;
    float *to = tile_outputs(pass, block, panel);

    UNROLL_ROWS
    for (int t = 0; t < TILE_ROWS; t++) {
        if (t >= rows || (is_split && t % 2 != 0))
            continue;
        vqf_store_n(to, is_split ? vqf_add(y[t], y[(t + 1) % TILE_ROWS]) : y[t], n);
        to += pass->y_stride;
    }
}

ALWAYS_INLINE void run_block(const struct tile_pass *pass, const struct piece *piece, int64_t block,
                             tile_floats *out, enum groups_kind kind)
{
    _Alignas(64) tile_sums sums[2][2];
    const struct block_run run = run_of(pass, piece, block, sums);
    int64_t i = 0;
    vqf y[TILE_ROWS];

    UNROLL_ROWS
    for (int t = 0; t < TILE_ROWS; t++)
        y[t] = piece->first == 0 ? vqf_zero() : vqf_load((*out)[t]);
    multiply_group(&run, 0, 0, kind);
    for (; i + 1 < run.groups; i += 2) {
        pass_group(y, &run, i, 0, kind);
        pass_group(y, &run, i + 1, 1, kind);
    }
    if (i < run.groups) {
        pass_group(y, &run, i, 0, kind);
        add_group(y, &run, i, 0, kind);
    } else {
        add_group(y, &run, i - 1, 1, kind);
    }
    if (piece->last == pass->w->groups) {
        store_outputs(pass, block, piece->panel, y);
        return;
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

/* Bring the lines that outputs go to nearer: each is far away, in a page of its own. */
static inline void fetch_outputs(const struct tile_pass *pass, int64_t block, int64_t panel)
{
    const int64_t rows = block_rows(pass, block), parts = pass->acts->parts;
    const float *at = tile_outputs(pass, block, panel);

    for (int64_t r = 0; r < rows; r += parts, at += pass->y_stride)
        __builtin_prefetch(at, 1);
}

static inline void run_piece(const struct tile_pass *pass, const struct piece *piece)
{
    const struct gram_int_panels *w = pass->w;
    const uint8_t *panel = w->codes + piece->panel * w->panel_bytes;
    const int64_t begin = gram_group_offset(w, piece->first);
    const int64_t end = piece->last == w->groups ? w->panel_bytes : gram_group_offset(w, piece->last);

    unpack_piece(pass, piece);
    for (int64_t block = pass->begin; block < pass->end; block++) {
        tiles_fetch(panel + end, end - begin, block - pass->begin, pass->end - pass->begin);
        if (piece->last == w->groups)
            fetch_outputs(pass, block, piece->panel);
        run_block_of[piece->kind](pass, piece, block, &pass->scratch->out.floats[block - pass->begin]);
    }
}

static inline void run_groups(const struct tile_pass *pass)
{
    const struct gram_int_panels *w = pass->w;
    const int64_t width = step_width(w), bytes = gram_ceil_div(w->group, width) * width * GRAM_PANEL;
    struct piece piece = {.width = width, .bytes = bytes, .kind = kind_of(pass)};
    const int64_t most =
        gram_min_i64(TILE_CODES / (bytes * (has_table(piece.kind) ? 2 : 1)), TILE_GROUPS);

    for (piece.panel = pass->first; piece.panel < pass->last; piece.panel++) {
        for (piece.first = 0; piece.first < w->groups; piece.first = piece.last) {
            piece.last = gram_min_i64(piece.first + most, w->groups);
            run_piece(pass, &piece);
        }
    }
}

#endif
