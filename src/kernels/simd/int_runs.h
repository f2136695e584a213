/* A block of rows against a group, or a part of one, of a tile: sums in registers. */
#ifndef GRAM_KERNELS_SIMD_INT_RUNS_H
#define GRAM_KERNELS_SIMD_INT_RUNS_H

#include "kernels/simd/int_tile.h"

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

/* What n > 0 quads from byte `at` on add to the sums of each `every`th row. */
ALWAYS_INLINE void multiply(vq (*sums)[INT_PANELS], const struct run *run, int64_t at, int bits,
                            int T, int every)
{
    const int8_t *x = run->x, *end = x + run->n * run->step;
    const int64_t step = run->step;
    const uint8_t *panels[INT_PANELS];

    UNROLL
    for (int p = 0; p < INT_PANELS; p++)
        panels[p] = run->codes[p];
    do {
        vq codes[INT_PANELS];
        UNROLL
        for (int p = 0; p < INT_PANELS; p++)
            codes[p] = vq_load(panels[p] + at);
        UNROLL
        for (int t = 0; t < T; t += every) {
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
    /* copies: a store might change *run, for all that the compiler knows */
    const float *x_scales = run->x_scales;
    tile_floats *outs = run->out;
    vqf w_scales[INT_PANELS];

    UNROLL
    for (int p = 0; p < INT_PANELS; p++)
        w_scales[p] = vqf_load((*run->w_scales)[p]);
    UNROLL
    for (int t = 0; t < T; t++) {
        const float x_scale = x_scales[t];
        UNROLL
        for (int p = 0; p < INT_PANELS; p++) {
            float *out = outs[t][p];
            vqf_store(out, vqf_add_group(vqf_load(out), sums[t][p], w_scales[p], x_scale));
        }
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
    multiply(sums, run, run->at, bits, T, 1);
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
    multiply(sums, run, run->at, bits, T, 1);
    finish(run, sums, T);
}

/* A group of values: high bytes, then low ones. */
ALWAYS_INLINE void run_table(const struct run *run, int form, int T)
{
    vq sums[INT_TOKENS][INT_PANELS];

    UNROLL
    for (int t = 0; t < T; t++) {
        const vq sum = vq_set(INT_TABLE_HIGH * run->x_sums[t]);
        UNROLL
        for (int p = 0; p < INT_PANELS; p++)
            sums[t][p] = sum;
    }
    multiply(sums, run, run->at, 8, T, 1);
    UNROLL
    for (int t = 0; t < T; t++) {
        const vq more = vq_set((has_low(form, t) ? INT_TABLE_LOW : 128) * run->x_sums[t]);
        UNROLL
        for (int p = 0; p < INT_PANELS; p++)
            sums[t][p] = vq_add(vq_times_256(sums[t][p]), more);
    }
    multiply(sums, run, run->at + run->n * GRAM_QUAD_BYTES, 8, T, form == INT_TABLE ? 1 : 2);
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
    multiply(sums, run, run->at, bits, T, 1);
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
#define DEFINE_TABLE(n)                                                                            \
    __attribute__((noinline)) static void table_##n(const struct run *run)                         \
    {                                                                                              \
        run_table(run, INT_TABLE, n < INT_TOKENS ? n : INT_TOKENS);                                \
    }                                                                                              \
    __attribute__((noinline)) static void table_split_##n(const struct run *run)                   \
    {                                                                                              \
        run_table(run, INT_TABLE_SPLIT, n < INT_TOKENS ? n : INT_TOKENS);                          \
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

DEFINE_TABLE(1)
DEFINE_TABLE(2)
DEFINE_TABLE(3)
DEFINE_TABLE(4)
DEFINE_TABLE(5)
DEFINE_TABLE(6)

enum { PART, PLAIN, OFFSET, TABLE };
static run_fn *const runs_of[][2][7] = {
    [PART] = {RUNS(part_narrow), RUNS(part_bytes)},
    [PLAIN] = {RUNS(plain_narrow), RUNS(plain_bytes)},
    [OFFSET] = {RUNS(offset_narrow), RUNS(offset_bytes)},
    [TABLE] = {RUNS(table), RUNS(table_split)}, /* by whether rows are split */
};

#endif
