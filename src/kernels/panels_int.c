/*
 * Codes of any storage, repacked into integer panels. int_layout.h has the picture.
 * Works on pieces of 256 inputs of one panel at a time: codes of its rows to bytes, bytes turned so
 * that quads lie together, quads to planes.
 */
#include <math.h>
#include <string.h>

#include "kernels/int_layout.h"
#include "kernels/transpose.h"
#include "tensor/dtype.h"

enum { PIECE = 256, PIECE_QUADS = PIECE / 4, MOST_COLS = 65536 };

/* Quads of a piece, one 32-bit word for each output. */
struct piece {
    uint32_t quads[PIECE_QUADS][GRAM_PANEL];
    int64_t n;
};

static int64_t group_of(const struct gram_weight *w)
{
    return gram_min_i64(w->group, w->cols);
}

/* Are 2^(bits-1) + zero point all bytes? */
static bool offsets_fit(const struct gram_weight *w)
{
    const int64_t n = (w->scale_stride ? w->rows : 1) * gram_weight_groups(w);
    const int middle = 1 << (w->bits - 1);
    int least = 0;

    for (int64_t i = 0; w->zeros && i < n; i++)
        least = w->zeros[i] < least ? w->zeros[i] : least;
    return middle + least >= 0;
}

static bool table_fits(const struct gram_weight *w)
{
    bool is_inside = w->bits == 4;
    for (int i = 0; is_inside && i < 16; i++)
        is_inside = fabsf(w->table[i]) <= 1.0f;
    return is_inside && !w->zeros && group_of(w) <= GRAM_TABLE_GROUP;
}

bool gram_int_panels_fit(const struct gram_weight *w)
{
    return w->bits > 0 && (!w->table || table_fits(w)) && w->cols > 0 && w->cols <= MOST_COLS &&
           (w->group % 4 == 0 || w->group >= w->cols) &&
           (w->scale_stride == 0 || w->scale_stride >= gram_weight_groups(w)) && offsets_fit(w);
}

static void set_values(struct gram_int_panels *to, const float *table)
{
    to->is_table = true;
    to->scale_dtype = GRAM_F32;
    for (int i = 0; i < 16; i++) {
        const long value = lrintf(table[i] * (float)GRAM_TABLE_ONE) + (1 << 15);
        to->values[0][i] = (uint8_t)(value >> 8);
        to->values[1][i] = (uint8_t)value;
    }
}

/* All of *to but its arrays. */
static void set_numbers(struct gram_int_panels *to, const struct gram_weight *w)
{
    *to = (struct gram_int_panels){.rows = w->rows,
                                   .cols = w->cols,
                                   .bits = w->bits,
                                   .group = group_of(w),
                                   .groups = gram_weight_groups(w),
                                   .scale_dtype = w->scale_dtype};
    if (w->table)
        set_values(to, w->table);
    const int64_t last = to->groups - 1;
    to->panel_bytes =
        gram_group_offset(to, last) + gram_quads_bytes(to->bits, gram_group_quads(to, last));
}

void gram_int_panels_size(const struct gram_weight *w, size_t *codes, size_t *scales,
                          size_t *offsets)
{
    struct gram_int_panels to;
    set_numbers(&to, w);
    const size_t panels = (size_t)gram_panel_count(w->rows);
    const size_t n = panels * (size_t)to.groups * GRAM_PANEL;

    *codes = panels * (size_t)to.panel_bytes;
    *scales = n * ((size_t)gram_dtype_info(to.scale_dtype)->bits / 8);
    *offsets = w->zeros ? n : 0;
}

void gram_int_panels_init(struct gram_int_panels *to, const struct gram_weight *w, void *codes,
                          void *scales, void *offsets)
{
    set_numbers(to, w);
    to->codes = codes;
    to->scales = scales;
    to->offsets = w->zeros ? offsets : NULL;
}

/* Columns [k, k + n) of the rows of a panel, with zeros for rows and columns that are not there. */
static void read_piece(struct piece *piece, const struct gram_weight *w, int64_t panel, int64_t k,
                       int64_t n)
{
    enum { STEP = 16 };
    const int64_t rows = gram_min_i64(GRAM_PANEL, w->rows - panel * GRAM_PANEL);
    const int64_t padded = gram_ceil_div(n, STEP) * STEP;
    uint8_t codes[GRAM_PANEL][PIECE];

    piece->n = gram_ceil_div(n, 4);
    for (int64_t r = 0; r < rows; r++) {
        gram_weight_codes(codes[r], w, panel * GRAM_PANEL + r, k, n);
        memset(codes[r] + n, 0, (size_t)(padded - n));
    }
    for (int64_t r = rows; r < GRAM_PANEL; r++)
        memset(codes[r], 0, (size_t)padded);
    for (int64_t i = 0; i < padded; i += STEP)
        gram_transpose_32(piece->quads[i / 4], &codes[0][i], PIECE);
}

/* One vector: `bits` bits, from bit `from` of the codes, of the n quads at quads. */
static void write_plane(uint8_t *to, uint32_t (*quads)[GRAM_PANEL], int64_t n, int from, int bits)
{
    const uint32_t mask = 0x01010101u * ((1u << bits) - 1);
    uint32_t words[GRAM_PANEL] = {0};

    for (int64_t j = 0; j < n; j++)
        for (int r = 0; r < GRAM_PANEL; r++)
            words[r] |= (quads[j][r] >> from & mask) << j * bits;
    memcpy(to, words, sizeof words);
}

static uint8_t *write_unit(uint8_t *to, uint32_t (*quads)[GRAM_PANEL], int64_t n, int bits)
{
    const int low = gram_low_bits(bits), high = gram_high_bits(bits), step = 8 / low;

    if (bits == 8) {
        memcpy(to, quads, (size_t)n * GRAM_QUAD_BYTES);
        return to + n * GRAM_QUAD_BYTES;
    }
    for (int64_t q = 0; q < n; q += step, to += GRAM_QUAD_BYTES)
        write_plane(to, quads + q, gram_min_i64(step, n - q), 0, low);
    if (high == 0)
        return to;
    write_plane(to, quads, n, low, high);
    return to + GRAM_QUAD_BYTES;
}

static void fill_group(uint8_t *to, const struct gram_int_panels *panels,
                       const struct gram_weight *w, int64_t panel, int64_t g)
{
    const int unit = w->bits == 8 ? PIECE_QUADS : gram_unit_quads(w->bits);
    const int64_t n = gram_group_inputs(panels, g);
    struct piece piece;

    for (int64_t k = 0; k < n; k += PIECE) {
        read_piece(&piece, w, panel, g * panels->group + k, gram_min_i64(PIECE, n - k));
        for (int64_t q = 0; q < piece.n; q += unit)
            to = write_unit(to, piece.quads + q, gram_min_i64(unit, piece.n - q), w->bits);
    }
}

/* Scale i of the weight becomes scale `at` of the panels. */
static void put_scale(const struct gram_int_panels *to, int64_t at, const struct gram_weight *w,
                      int64_t i)
{
    const size_t bytes = gram_dtype_info(w->scale_dtype)->bits / 8;
    char *scales = (char *)(uintptr_t)to->scales;
    float scale;

    if (!to->is_table) {
        memcpy(scales + (size_t)at * bytes, (const char *)w->scales + (size_t)i * bytes, bytes);
        return;
    }
    gram_read_f32(&scale, w->scales, w->scale_dtype, i, 1);
    scale /= (float)GRAM_TABLE_ONE;
    memcpy(scales + (size_t)at * sizeof scale, &scale, sizeof scale);
}

/* Scales and offsets of a panel; outputs behind the last row keep their zeros. */
static void fill_scales(const struct gram_int_panels *to, const struct gram_weight *w,
                        int64_t panel)
{
    const int64_t rows = gram_min_i64(GRAM_PANEL, w->rows - panel * GRAM_PANEL);
    const int64_t first = panel * to->groups * GRAM_PANEL;
    uint8_t *offsets = (uint8_t *)(uintptr_t)to->offsets;

    for (int64_t r = 0; r < rows; r++)
        for (int64_t g = 0; g < to->groups; g++) {
            const int64_t i = (panel * GRAM_PANEL + r) * w->scale_stride + g;
            const int64_t at = first + g * GRAM_PANEL + r;
            put_scale(to, at, w, i);
            if (offsets)
                offsets[at] = (uint8_t)((1 << (w->bits - 1)) + w->zeros[i]);
        }
}

void gram_int_panels_fill(const struct gram_int_panels *to, const struct gram_weight *w,
                          int64_t begin, int64_t end)
{
    for (int64_t panel = begin; panel < end; panel++) {
        uint8_t *codes = (uint8_t *)(uintptr_t)to->codes + panel * to->panel_bytes;
        for (int64_t g = 0; g < to->groups; g++)
            fill_group(codes + gram_group_offset(to, g), to, w, panel, g);
        fill_scales(to, w, panel);
    }
}

void gram_int_acts_put(const struct gram_int_acts *acts, int64_t i, int8_t *codes, float scale)
{
    memset(codes + acts->cols, 0, (size_t)(acts->stride - acts->cols));
    for (int64_t q = 0; q < acts->stride / 4; q++)
        memcpy(gram_acts_quad(acts, i, q), codes + 4 * q, 4);
    *gram_acts_scale(acts, i, 0) = scale;
    for (int64_t g = 0; g < acts->groups; g++) {
        const int64_t end = gram_min_i64((g + 1) * acts->group, acts->cols);
        int32_t sum = 0;
        for (int64_t k = g * acts->group; k < end; k++)
            sum += codes[k];
        *gram_acts_sum(acts, i, g) = sum;
    }
}
