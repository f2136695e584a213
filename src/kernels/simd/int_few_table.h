/* Few rows by the values of a table, of 16 bits: sums of their high bytes and of their low ones. */
#ifndef GRAM_KERNELS_SIMD_INT_FEW_TABLE_H
#define GRAM_KERNELS_SIMD_INT_FEW_TABLE_H

#include "kernels/simd/int_few_reader.h"

/* In the place of the low bytes of a table there is 128 for the second part of a row of x. */
ALWAYS_INLINE bool has_low(int form, int t)
{
    return form == INT_TABLE || t % 2 == 0;
}

/* The first n quads of a step of one panel, as above; values are chosen by high and by low byte. */
ALWAYS_INLINE void table_step(vq (*sums)[INT_MOST_CHAINS], const uint8_t *in, const int8_t *x,
                              int64_t n, vt high, vt low, int form, int T)
{
    UNROLL
    for (int j = 0; j < INT_STEP; j++) {
        if (j >= n)
            continue;
        const vq codes = step_codes(in, n, 4, j);
        const vq highs = vq_choose(high, codes), lows = vq_choose(low, codes);
        UNROLL
        for (int t = 0; t < T; t++) {
            const vx quad = vx_load(x + 4 * (j * T + t));
            sums[t][0] = vq_dot(sums[t][0], highs, quad, 8);
            if (has_low(form, t))
                sums[t][1] = vq_dot(sums[t][1], lows, quad, 8);
        }
    }
}

ALWAYS_INLINE void table_quads(struct few_sums *sums, const struct gram_int_panels *w,
                               struct few_reader r, const int8_t *x, int64_t n, int form, int P,
                               int T)
{
    const vt high = vt_load(w->values[0]), low = vt_load(w->values[1]);
    const int64_t step_bytes = gram_quads_bytes(4, INT_STEP);

    for (; n >= INT_STEP; n -= INT_STEP, r.in += step_bytes, x += 4 * INT_STEP * T) {
        UNROLL
        for (int p = 0; p < P; p++) {
            ask_ahead(r.in + p * r.apart, step_bytes);
            table_step(sums->chain[p], r.in + p * r.apart, x, INT_STEP, high, low, form, T);
        }
    }
    if (n == 0)
        return;
    UNROLL
    for (int p = 0; p < P; p++)
        table_step(sums->chain[p], r.in + p * r.apart, x, n, high, low, form, T);
}

/* few_group() of a table: sums of the high bytes and of the low ones. */
ALWAYS_INLINE void table_group(vqf (*out)[INT_FEW_TOKENS], const struct gram_int_acts *acts,
                               const struct gram_int_panels *w, struct few_panels panels, int64_t g,
                               int form, int P, int T)
{
    const struct few_scales at = few_scales_at(w, panels, g);
    const float *x_scales = gram_block_scale(acts, 0, gram_acts_span(acts, g));
    const int32_t *x_sums = gram_block_sum(acts, 0, g);
    struct few_sums sums;

    ask_scales(w, at, P);
    UNROLL
    for (int p = 0; p < P; p++)
        UNROLL
    for (int t = 0; t < T; t++) {
        sums.chain[p][t][0] = vq_set(INT_TABLE_HIGH * x_sums[t]);
        sums.chain[p][t][1] = vq_set((has_low(form, t) ? INT_TABLE_LOW : 128) * x_sums[t]);
    }
    table_quads(&sums, w, few_reader_at(w, panels, g), gram_block_quad(acts, 0, g * (w->group / 4)),
                gram_group_quads(w, g), form, P, T);
    UNROLL
    for (int p = 0; p < P; p++) {
        const vqf scales = vqf_scales(w, at.at + p * at.apart);
        UNROLL
        for (int t = 0; t < T; t++) {
            const vq *chain = sums.chain[p][t];
            out[p][t] = vqf_add_group(out[p][t], vq_add(vq_times_256(chain[0]), chain[1]), scales,
                                      x_scales[t]);
        }
    }
}

#endif
