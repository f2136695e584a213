/*
 * Panels: the layout that fast linears stream. A weight [rows, cols] is repacked once, when a model
 * is opened, into panels of GRAM_PANEL outputs whose codes or elements for neighbouring inputs lie
 * side by side, so that one vector register holds the same inputs of all outputs of a panel and no
 * sum has to be folded across lanes. Rows are padded to whole panels with zeros.
 *
 * Integer panels multiply int8 activations exactly: u8 codes times s8 activations, four at a time
 * (vpdpbusd, or udot/sdot after a shift), summed in int32 over one group, and only then scaled.
 * Float panels hold f32, f16 or bf16 and multiply f32 activations.
 */
#ifndef GRAM_KERNELS_PANELS_H
#define GRAM_KERNELS_PANELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tensor/weight.h"

enum {
    GRAM_PANELS_VERSION = 2,   /* of the layouts below: grows when they change, for files that keep them */
    GRAM_PANEL = 16,           /* outputs of a panel */
    GRAM_TABLE_ONE = 32640,    /* what 1.0 of a table becomes; see below */
    GRAM_TABLE_GROUP = 256,    /* inputs that may share a scale there */
    GRAM_PANEL_ALIGN = 64,     /* of codes and elements; every panel starts so */
    GRAM_PANEL_SCRATCH = 1 << 17 /* bytes of scratch that the linears below may use per call, 64-aligned */
};

static inline int64_t gram_panel_count(int64_t rows)
{
    return (rows + GRAM_PANEL - 1) / GRAM_PANEL;
}

/*
 * Codes of 2, 3, 4, 5, 6 or 8 bits, repacked. Arrays are owned by whoever repacked.
 *
 * Codes of 4 bits may choose from a table (nf4, fp4, e2m1), whose values become integers of 16 bits:
 * value * GRAM_TABLE_ONE, rounded. 32640 = 2 * 192 * 85 is a multiple of 192, of whose parts fp4 and e2m1
 * are made, so that those stay what they are; nf4 is off by 2^-16 at most. Scales are divided by it.
 */
struct gram_int_panels {
    int64_t rows, cols;
    int bits;
    int64_t group;       /* inputs that share a scale: a multiple of 4, or cols */
    int64_t groups;      /* per row */
    const uint8_t *codes; /* panel p at codes + p * panel_bytes */
    int64_t panel_bytes;  /* a multiple of GRAM_PANEL_ALIGN; each group is padded to whole vectors */
    const void *scales;   /* [panels][groups][GRAM_PANEL], of scale_dtype */
    enum gram_dtype scale_dtype; /* f32, f16 or bf16 */
    const uint8_t *offsets; /* [panels][groups][GRAM_PANEL]: subtracted from a code (2^(bits-1) + zero point);
                               NULL: 2^(bits-1) everywhere */
    bool is_table;          /* codes choose a value instead; no offsets */
    uint8_t values[2][16];  /* high and low byte of value + 2^15 */
};

/* Can this weight be repacked (codes; group a multiple of 4 or the whole row; with a table 4 bits, at most
 * GRAM_TABLE_GROUP)? */
bool gram_int_panels_fit(const struct gram_weight *w);
/* Bytes that codes, scales and offsets of the panels of w take. */
void gram_int_panels_size(const struct gram_weight *w, size_t *codes, size_t *scales,
                          size_t *offsets);
/* Fill panels [begin, end) of *to, whose arrays (of the sizes above, zeroed) and numbers were set up with
 * gram_int_panels_init(); any number of threads may work on ranges that do not meet. */
void gram_int_panels_init(struct gram_int_panels *to, const struct gram_weight *w, void *codes,
                          void *scales, void *offsets);
void gram_int_panels_fill(const struct gram_int_panels *to, const struct gram_weight *w,
                          int64_t begin, int64_t end);

/*
 * Activations as int8, quantized as gram_quantize_i8 does (scale = max|x| / 127.5, round half to
 * even, clamp to -128..127), over `span` inputs at a time: cols (one scale a token) or the weight's
 * group. A row of x becomes `parts` rows of codes: with two, the second quantizes what the first
 * leaves, x - code * scale rounded once, which makes 16 bits of both. Rows of codes lie in blocks
 * of `height`, `run` codes of each in turn, so that a block is one stream for the rows that are
 * multiplied together: row i is row i % height of block i / height. Where vectors are multiplied, a
 * run is a quad; where tiles are, 16 rows of 64 codes are one.
 */
enum { GRAM_ACTS_HEIGHT = 6, GRAM_ACTS_TALLEST = 16, GRAM_ACTS_QUAD = 4, GRAM_ACTS_TILE = 64 };

struct gram_int_acts {
    int64_t rows, cols;
    int parts;              /* 1 or 2 */
    int64_t height, run;    /* of the level: gram_acts_layout_fn */
    int64_t span, spans;    /* inputs per scale; scales per row */
    int64_t group, groups;  /* of the weight they are made for */
    int8_t *codes;          /* [blocks][stride / run][height][run]; zero behind cols */
    int64_t stride;         /* gram_acts_stride(cols) */
    float *scales;          /* [blocks][spans][height] */
    int32_t *sums;          /* [blocks][groups][height]: sum of the codes of each group */
};

static inline int64_t gram_acts_stride(int64_t cols)
{
    return (cols + 63) / 64 * 64;
}

/* Rows of codes of a block, for `rows` rows of x: blocks as equal as can be, of whole rows of x. */
static inline int64_t gram_acts_height(int64_t rows, int parts)
{
    const int64_t most = GRAM_ACTS_HEIGHT / parts, blocks = (rows + most - 1) / most;
    return blocks > 0 ? (rows + blocks - 1) / blocks * parts : parts;
}

/* Rows of codes that there is room for: whole blocks. */
static inline int64_t gram_acts_room(const struct gram_int_acts *acts)
{
    return (acts->rows * acts->parts + acts->height - 1) / acts->height * acts->height;
}

/* Set height and run to those that int_linear of the same level is made for; all other numbers are set. */
typedef void gram_acts_layout_fn(struct gram_int_acts *acts);

/* Quantize row t of x [cols] into acts. scratch: 5 bytes for each of acts->stride, 64-aligned. */
typedef void gram_quantize_acts_fn(const struct gram_int_acts *acts, int64_t t, const float *x,
                                   void *scratch);

/* Row i of codes[acts->stride] that somebody else quantized, with one scale; what is behind cols
 * becomes 0. */
void gram_int_acts_put(const struct gram_int_acts *acts, int64_t i, int8_t *codes, float scale);

/*
 * y[t][n] for all rows t of acts and the outputs n of panels [begin, end) that exist (n < w->rows).
 * Each of the parts of t gives
 *   y = 0; for g in order:
 *       y = fma((float)(sum_k (code - offset) x), w_scale[n][g] * x_scale[t][span of g], y)
 * with one rounding after each operation and the sum exact in int32 (cols <= 65536), and those of
 * two parts are added, so that every level gives the same bits. With a table, value stands for
 * code - offset, and in the second of two parts its high byte with 128 for the low one: that leaves out
 * no more than rounding x does, 2^-16 of the largest product, and saves one multiplication of four.
 * y_stride in floats. scratch: GRAM_PANEL_SCRATCH bytes of the calling thread.
 */
typedef void gram_int_linear_fn(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                                const struct gram_int_panels *w, int64_t begin, int64_t end,
                                void *scratch);

/* Elements [panels][cols][GRAM_PANEL] of f32, f16 or bf16. */
struct gram_float_panels {
    int64_t rows, cols;
    enum gram_dtype dtype;
    const void *data;
};

size_t gram_float_panels_bytes(const struct gram_weight *w);
void gram_float_panels_fill(void *data, const struct gram_weight *w, int64_t begin, int64_t end);

/*
 * y[t][n] = sum_k x[t][k] w[n][k] in f32 (fused multiply-add where the level has it; k in order, so
 * that the bits depend only on the row of x, the row of w and K, not on T or the range of panels),
 * for T rows of x and the outputs of panels [begin, end) that exist. Strides in floats. scratch as
 * above. The one that adds begins each sum with what y holds, so that a product may be cut along k.
 */
typedef void gram_float_linear_fn(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                  int64_t T, const struct gram_float_panels *w, int64_t begin,
                                  int64_t end, void *scratch);

#endif
