/*
 * Integer linear for up to four rows of activations, which are one block, over the quads of a level (vq).
 * Weights come from memory once; vectors fall apart into quads in registers and meet every row
 * there. Memory is the limit. It gives more to several readers than to one (int_few_reader.h).
 */
#ifndef GRAM_KERNELS_SIMD_INT_FEW_H
#define GRAM_KERNELS_SIMD_INT_FEW_H

#include "kernels/simd/int_few_reader.h"
#include "kernels/simd/int_few_table.h"

/* The first n quads of a step of one panel; n is a constant, or less than INT_STEP. */
ALWAYS_INLINE void few_step(vq (*sums)[INT_MOST_CHAINS], const uint8_t *in, const int8_t *x,
                            int64_t n, int bits, int chains, int T)
{
    UNROLL
    for (int j = 0; j < INT_STEP; j++) {
        if (j >= n)
            continue;
        const vq codes = step_codes(in, n, bits, j);
        UNROLL
        for (int t = 0; t < T; t++) {
            vq *sum = &sums[t][j % chains];
            *sum = vq_dot(*sum, codes, vx_load(x + 4 * (j * T + t)), bits);
        }
    }
}

/* Adds the products of n quads of P panels with a block of T rows. */
ALWAYS_INLINE void few_quads(struct few_sums *sums, struct few_reader r, const int8_t *x, int64_t n,
                             int bits, int P, int T)
{
    const int64_t step_bytes = gram_quads_bytes(bits, INT_STEP);

    for (; n >= INT_STEP; n -= INT_STEP, r.in += step_bytes, x += 4 * INT_STEP * T) {
        UNROLL
        for (int p = 0; p < P; p++) {
            ask_ahead(r.in + p * r.apart, step_bytes);
            few_step(sums->chain[p], r.in + p * r.apart, x, INT_STEP, bits, few_chains(P, T), T);
        }
    }
    if (n == 0)
        return;
    UNROLL
    for (int p = 0; p < P; p++)
        few_step(sums->chain[p], r.in + p * r.apart, x, n, bits, few_chains(P, T), T);
}

/* Sums of a panel begin with what its offsets subtract. */
ALWAYS_INLINE void few_start(vq (*sums)[INT_MOST_CHAINS], vq minus_offsets, const int32_t *x_sums,
                             bool is_narrow, int chains, int T)
{
    UNROLL
    for (int t = 0; t < T; t++) {
        sums[t][0] = vq_start(minus_offsets, x_sums[t], is_narrow);
        UNROLL
        for (int c = 1; c < chains; c++)
            sums[t][c] = vq_zero();
    }
}

ALWAYS_INLINE vq few_total(const vq *chain, int chains)
{
    vq sum = chain[0];
    UNROLL
    for (int c = 1; c < chains; c++)
        sum = vq_add(sum, chain[c]);
    return sum;
}

/* Group g of P panels joins the outputs. */
ALWAYS_INLINE void few_group(vqf (*out)[INT_FEW_TOKENS], const struct gram_int_acts *acts,
                             const struct gram_int_panels *w, struct few_panels panels, int64_t g,
                             int bits, int P, int T)
{
    const bool is_narrow = w->group <= GRAM_NARROW_GROUP;
    const struct few_scales at = few_scales_at(w, panels, g);
    const float *x_scales = gram_block_scale(acts, 0, gram_acts_span(acts, g));
    struct few_sums sums;

    ask_scales(w, at, P);
    UNROLL
    for (int p = 0; p < P; p++)
        few_start(sums.chain[p], vq_minus_offsets(w, at.at + p * at.apart),
                  gram_block_sum(acts, 0, g), is_narrow, few_chains(P, T), T);
    few_quads(&sums, few_reader_at(w, panels, g), gram_block_quad(acts, 0, g * (w->group / 4)),
              gram_group_quads(w, g), bits, P, T);
    UNROLL
    for (int p = 0; p < P; p++) {
        const vqf scales = vqf_scales(w, at.at + p * at.apart);
        UNROLL
        for (int t = 0; t < T; t++)
            out[p][t] = vqf_add_group(out[p][t], few_total(sums.chain[p][t], few_chains(P, T)),
                                      scales, x_scales[t]);
    }
}

/* T rows of codes, which are all of acts, and P panels; two parts of a row of x are added up. */
ALWAYS_INLINE void run_few(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                           const struct gram_int_panels *w, struct few_panels panels, int bits, int P,
                           int T)
{
    vqf out[INT_FEW_PANELS][INT_FEW_TOKENS];

    UNROLL
    for (int p = 0; p < P; p++)
        UNROLL
    for (int t = 0; t < T; t++)
        out[p][t] = vqf_zero();
    for (int64_t g = 0; g < w->groups; g++) {
        if (bits <= INT_TABLE_SPLIT)
            table_group(out, acts, w, panels, g, bits, P, T);
        else
            few_group(out, acts, w, panels, g, bits, P, T);
    }
    UNROLL
    for (int p = 0; p < P; p++)
        UNROLL
    for (int t = 0; t < T; t++) {
        if (acts->parts == 2 && t % 2 == 0)
            continue;
        const vqf sum = acts->parts == 2 ? vqf_add(out[p][t - (t > 0)], out[p][t]) : out[p][t];
        const int64_t first = (panels.first + p * panels.apart) * GRAM_PANEL;
        vqf_store_n(y + t / acts->parts * y_stride + first, sum, w->rows - first);
    }
}

/* P runs, and what is left behind them. */
ALWAYS_INLINE void multiply_few(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                              const struct gram_int_panels *w, int64_t begin, int64_t end, int bits,
                              int P, int T)
{
    const int64_t length = (end - begin) / P;

    for (int64_t i = 0; i < length; i++)
        run_few(y, y_stride, acts, w, (struct few_panels){begin + i, length}, bits, P, T);
    for (begin += P * length; begin < end; begin++)
        run_few(y, y_stride, acts, w, (struct few_panels){begin, 0}, bits, 1, T);
}

typedef void few_fn(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                    const struct gram_int_panels *w, int64_t begin, int64_t end);

#define DEFINE_FEW(bits, T)                                                                        \
    static void few_##bits##_##T(float *y, int64_t y_stride, const struct gram_int_acts *acts,     \
                                 const struct gram_int_panels *w, int64_t begin, int64_t end)      \
    {                                                                                              \
        multiply_few(y, y_stride, acts, w, begin, end, bits, few_runs(T), T);                      \
    }
#define DEFINE_FEWS(bits)                                                                          \
    DEFINE_FEW(bits, 1) DEFINE_FEW(bits, 2) DEFINE_FEW(bits, 3) DEFINE_FEW(bits, 4)
#define FEWS(bits)                                                                                 \
    {                                                                                              \
        NULL, few_##bits##_1, few_##bits##_2, few_##bits##_3, few_##bits##_4                       \
    }

DEFINE_FEWS(0)
DEFINE_FEWS(1)
DEFINE_FEWS(2)
DEFINE_FEWS(3)
DEFINE_FEWS(4)
DEFINE_FEWS(5)
DEFINE_FEWS(6)
DEFINE_FEWS(8)

/* By bits and tokens. */
static few_fn *const int_linear_few[9][INT_FEW_TOKENS + 1] = {
    [INT_TABLE] = FEWS(0), [INT_TABLE_SPLIT] = FEWS(1),
    [2] = FEWS(2), [3] = FEWS(3), [4] = FEWS(4), [5] = FEWS(5), [6] = FEWS(6), [8] = FEWS(8),
};

#endif
