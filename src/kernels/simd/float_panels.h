/*
 * Linears over float panels: blocks of simd/float_block.h over all tokens and panels of a call.
 *
 * Few tokens (generation) run along the whole of k and stream the panels from memory; one token
 * takes FLOAT_LONE panels at a time, so that enough chains are in flight. Many tokens (a prompt)
 * take a tile of FLOAT_WIDE panels and TILE_K inputs: the first six tokens convert it and leave it
 * behind in f32, which stays in the first cache for the others. Between the tiles of one output the
 * sums wait in y, which changes no bit.
 */
#ifndef GRAM_KERNELS_SIMD_FLOAT_PANELS_H
#define GRAM_KERNELS_SIMD_FLOAT_PANELS_H

#include <string.h>

#include "base/checked.h"
#include "kernels/simd/float_block.h"

enum {
    TILE_K = 128, /* a tile of AVX-512 takes 32 KiB */
    TOKENS = 132, /* whose inputs stay in the second cache */
    GROUP = 16,   /* panels whose sums stay in the second cache, with TILE_K inputs of all tokens */
};

/* Panels of a block of few tokens. */
#define FEW_PANELS(few) (FLOAT_LONE / (few) > FLOAT_WIDE ? FLOAT_LONE / (few) : FLOAT_WIDE)

/* A block whose last panel is not whole: only n outputs exist. T <= HEIGHT. */
static inline void float_edge(float_block_fn *block, const struct float_block *b, float *y,
                              const float *x, const char *w, int64_t T, int64_t n)
{
    float sums[HEIGHT][MOST_VECTORS * VF];
    struct float_block edge = *b;

    edge.y_stride = MOST_VECTORS * VF;
    for (int64_t t = 0; b->resume && t < T; t++)
        memcpy(sums[t], y + t * b->y_stride, (size_t)n * sizeof *y);
    block(&edge, sums[0], x, w);
    for (int64_t t = 0; t < T; t++)
        memcpy(y + t * b->y_stride, sums[t], (size_t)n * sizeof *y);
}

/* Blocks of T tokens: the first of many, and, for few, all. */
#define FIRST_BLOCKS(dtype, bytes, T)                                                              \
    FLOAT_BLOCK(first_##dtype##_##T, T, FLOAT_WIDE, load_##dtype, true, 0)                         \
    FLOAT_BLOCK(first_lone_##dtype##_##T, T, 1, load_##dtype, true, 0)
#define FEW_BLOCKS(dtype, bytes, T)                                                                \
    FLOAT_BLOCK(few_##dtype##_##T, T, FEW_PANELS(T), load_##dtype, false, AHEAD)                   \
    FLOAT_BLOCK(few_lone_##dtype##_##T, T, 1, load_##dtype, false, AHEAD)
#define TILE_BLOCKS(T)                                                                             \
    FLOAT_BLOCK(tile_##T, T, FLOAT_WIDE, load_f32, false, 0)                                       \
    FLOAT_BLOCK(tile_lone_##T, T, 1, load_f32, false, 0)

#define BLOCKS_OF(dtype, bytes)                                                                    \
    FIRST_BLOCKS(dtype, bytes, 4)                                                                  \
    FIRST_BLOCKS(dtype, bytes, 5)                                                                  \
    FIRST_BLOCKS(dtype, bytes, 6)                                                                  \
    FEW_BLOCKS(dtype, bytes, 1)                                                                    \
    FEW_BLOCKS(dtype, bytes, 2)                                                                    \
    FEW_BLOCKS(dtype, bytes, 3)                                                                    \
    FEW_BLOCKS(dtype, bytes, 4)                                                                    \
    FEW_BLOCKS(dtype, bytes, 5)                                                                    \
    FEW_BLOCKS(dtype, bytes, 6)

BLOCKS_OF(f32, 4)
BLOCKS_OF(f16, 2)
BLOCKS_OF(bf16, 2)
TILE_BLOCKS(3)
TILE_BLOCKS(4)
TILE_BLOCKS(5)
TILE_BLOCKS(6)

/* Blocks by tokens, of one panel and of several. Many tokens are cut into heights of 3 to 6, the
 * greatest first. */
struct float_blocks {
    float_block_fn *lone[HEIGHT + 1], *wide[HEIGHT + 1];
};

#define ROW_4_TO_6(name)                                                                           \
    {                                                                                              \
        [4] = name##_4, name##_5, name##_6                                                         \
    }
#define ROW_3_TO_6(name)                                                                           \
    {                                                                                              \
        [3] = name##_3, name##_4, name##_5, name##_6                                               \
    }
#define ROW_1_TO_6(name)                                                                           \
    {                                                                                              \
        [1] = name##_1, name##_2, name##_3, name##_4, name##_5, name##_6                           \
    }

static const struct float_blocks tile_blocks = {ROW_3_TO_6(tile_lone), ROW_3_TO_6(tile)};

#define FORM(dtype, bytes)                                                                         \
    {                                                                                              \
        bytes, {ROW_1_TO_6(few_lone_##dtype), ROW_1_TO_6(few_##dtype)},                            \
        {                                                                                          \
            ROW_4_TO_6(first_lone_##dtype), ROW_4_TO_6(first_##dtype)                              \
        }                                                                                          \
    }

static const struct float_form {
    int64_t bytes; /* of an element */
    struct float_blocks few, first;
} float_forms[] = {
    [GRAM_F32] = FORM(f32, 4),
    [GRAM_F16] = FORM(f16, 2),
    [GRAM_BF16] = FORM(bf16, 2),
};

/* A call: T rows of x against w. */
struct float_linear {
    float *y;
    const float *x;
    int64_t T;
    const struct gram_float_panels *w;
    const struct float_form *form;
    struct float_block block;
    bool add;
};

static inline const char *weights_at(const struct float_linear *l, int64_t panel, int64_t k)
{
    const int64_t at = (panel * l->w->cols + k) * GRAM_PANEL;
    return (const char *)l->w->data + at * l->form->bytes;
}

/* `rows` <= HEIGHT tokens from t against `panels` panels from p, whose weights of block.K inputs
 * from k lie at w. */
static inline void linear_block(const struct float_linear *l, const struct float_blocks *blocks,
                                int64_t t, int64_t rows, int64_t p, int64_t panels, int64_t k,
                                const void *w)
{
    float_block_fn *block = panels == 1 ? blocks->lone[rows] : blocks->wide[rows];
    const int64_t left = l->w->rows - p * GRAM_PANEL;
    float *y = l->y + t * l->block.y_stride + p * GRAM_PANEL;
    const float *x = l->x + t * l->block.x_stride + k;

    if (left >= panels * GRAM_PANEL)
        block(&l->block, y, x, w);
    else
        float_edge(block, &l->block, y, x, w, rows, left);
}

static inline void linear_few(const struct float_linear *l, int64_t begin, int64_t end)
{
    static const int wide[HEIGHT] = {FEW_PANELS(1), FEW_PANELS(2), FEW_PANELS(3),
                                     FEW_PANELS(4), FEW_PANELS(5), FEW_PANELS(6)};

    for (int64_t p = begin, panels; p < end; p += panels) {
        panels = p + wide[l->T - 1] <= end ? wide[l->T - 1] : 1;
        linear_block(l, &l->form->few, 0, l->T, p, panels, 0, weights_at(l, p, 0));
    }
}

/* Bring the inputs from k on of `panels` panels nearer, part `part` of `parts`. */
static inline void fetch_tile(const struct float_linear *l, int64_t p, int64_t panels, int64_t k,
                              int64_t part, int64_t parts)
{
    const int64_t bytes = gram_min_i64(TILE_K, l->w->cols - k) * GRAM_PANEL * l->form->bytes;
    const int64_t lines = bytes / 64;
    const int64_t begin = lines * part / parts, end = lines * (part + 1) / parts;

    for (int64_t i = 0; i < panels; i++)
        for (int64_t line = begin; line < end; line++)
            __builtin_prefetch(weights_at(l, p + i, k) + 64 * line, 0, 2);
}

/* All tokens against block.K inputs from k of `panels` panels from p, in blocks of heights as equal
 * as can be; meanwhile the tile that comes next, at next_p and next_k, is on its way. */
static inline void linear_tile(struct float_linear *l, int64_t p, int64_t panels, int64_t k,
                               int64_t next_p, int64_t next_k)
{
    const int64_t blocks = gram_ceil_div(l->T, HEIGHT);
    const int64_t first = gram_ceil_div(l->T, blocks), rest = l->T - first;

    l->block.step = GRAM_PANEL * l->form->bytes;
    l->block.panel_bytes = l->w->cols * l->block.step;
    linear_block(l, &l->form->first, 0, first, p, panels, k, weights_at(l, p, k));
    l->block.panel_bytes = GRAM_PANEL * (int64_t)sizeof *l->block.tile;
    l->block.step = panels * l->block.panel_bytes;
    for (int64_t i = 0; i < blocks - 1; i++) {
        const int64_t t = first + rest * i / (blocks - 1);
        const int64_t end = first + rest * (i + 1) / (blocks - 1);
        fetch_tile(l, next_p, panels, next_k, i, blocks - 1);
        linear_block(l, &tile_blocks, t, end - t, p, panels, k, l->block.tile);
    }
}

/* Panels [begin, end), at most GROUP: tile by tile along the panels, then along k. */
static inline void linear_many(struct float_linear *l, int64_t begin, int64_t end)
{
    for (int64_t k = 0; k == 0 || k < l->w->cols; k += TILE_K) {
        l->block.K = gram_min_i64(TILE_K, l->w->cols - k);
        l->block.resume = l->add || k > 0;
        for (int64_t p = begin, panels; p < end; p += panels) {
            panels = p + FLOAT_WIDE <= end ? FLOAT_WIDE : 1;
            const bool wraps = p + 2 * panels > end;
            const int64_t next_k = wraps && k + TILE_K < l->w->cols ? k + TILE_K : k;
            linear_tile(l, p, panels, k, wraps ? begin : p + panels, next_k);
        }
    }
}

/* As many tokens at a time as keep their inputs in the second cache. */
static inline void linear_tokens(struct float_linear *l, int64_t begin, int64_t end)
{
    const int64_t T = l->T, blocks = gram_ceil_div(T, TOKENS);
    const struct float_linear all = *l;

    for (int64_t i = 0; i < blocks; i++) {
        const int64_t t = T * i / blocks;
        l->T = T * (i + 1) / blocks - t;
        l->x = all.x + t * l->block.x_stride;
        l->y = all.y + t * l->block.y_stride;
        for (int64_t p = begin; p < end; p += GROUP)
            linear_many(l, p, gram_min_i64(p + GROUP, end));
    }
}

static inline void float_linear_body(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                     int64_t T, const struct gram_float_panels *w, int64_t begin,
                                     int64_t end, void *scratch, bool add)
{
    const struct float_form *form = &float_forms[w->dtype];
    struct float_linear l = {
        .y = y,
        .x = x,
        .T = T,
        .w = w,
        .form = form,
        .block = {.y_stride = y_stride,
                  .x_stride = x_stride,
                  .K = w->cols,
                  .step = GRAM_PANEL * form->bytes,
                  .panel_bytes = GRAM_PANEL * w->cols * form->bytes,
                  .resume = add,
                  .tile = scratch},
        .add = add,
    };

    if (T > 0 && T <= HEIGHT)
        linear_few(&l, begin, end);
    else if (T > HEIGHT)
        linear_tokens(&l, begin, end);
}

#endif
