/*
 * Integer linear for up to four rows of activations, which are one block, over the quads of a level (vq).
 * Weights come from memory once; vectors fall apart into quads in registers and meet every row
 * there. Memory is the limit. It gives more to several readers than to one, so a few panels are
 * read side by side, and each is asked for ahead of its use.
 */
#ifndef GRAM_KERNELS_SIMD_INT_FEW_H
#define GRAM_KERNELS_SIMD_INT_FEW_H

#include "kernels/int_layout.h"
#include "kernels/simd/inline.h"

enum {
    INT_STEP = 8, /* quads; whole units of every width */
    INT_FEW_TOKENS = 4,
    INT_FEW_PANELS = 4,
    INT_MOST_CHAINS = 4,
    INT_TABLE = 0,       /* in the place of bits: 4 that choose from a table, */
    INT_TABLE_SPLIT = 1, /* ... where rows are two parts of a row of x in turn */
    INT_AHEAD = 1024 /* bytes that are asked for before they are needed */
};

/* Panels side by side, for which there must be registers. */
ALWAYS_INLINE int few_panels(int T)
{
    return T <= 2 ? INT_FEW_PANELS : INT_FEW_PANELS / 2;
}

/* Sums that an output has for one group: an addition takes longer than the next quad takes to come.
 */
ALWAYS_INLINE int few_chains(int P, int T)
{
    const int n = INT_CHAINS / (P * T);
    return n > INT_MOST_CHAINS ? INT_MOST_CHAINS : n > 0 ? n : 1;
}

struct few_sums {
    vq chain[INT_FEW_PANELS][INT_FEW_TOKENS][INT_MOST_CHAINS];
};

/* Quad j of a step that has n. */
ALWAYS_INLINE vq step_codes(const uint8_t *in, int64_t n, int bits, int j)
{
    const int unit = gram_unit_quads(bits), first = j - j % unit;
    const uint8_t *low = in + gram_quads_bytes(bits, first);
    const uint8_t *high = low + gram_low_bytes(bits, gram_min_i64(unit, n - first));
    return vq_codes(low, high, bits, j % unit);
}

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

/* P panels side by side, being read. */
struct few_reader {
    const uint8_t *in;  /* in the first */
    const uint8_t *end; /* of the first */
    int64_t panel_bytes;
};

ALWAYS_INLINE struct few_reader few_reader_at(const struct gram_int_panels *w, int64_t panel,
                                              int64_t g)
{
    const uint8_t *first = w->codes + panel * w->panel_bytes;
    return (struct few_reader){first + gram_group_offset(w, g), first + w->panel_bytes,
                               w->panel_bytes};
}

/* Asks for what each of P panels needs soon. Behind the end of a panel lies one that is being read already:
 * what comes next is P panels on. */
ALWAYS_INLINE void ask_ahead(const struct few_reader *r, int64_t bytes, int P)
{
    const int64_t skip = r->end - r->in > INT_AHEAD ? 0 : (P - 1) * r->panel_bytes;

    UNROLL
    for (int p = 0; p < P; p++)
        UNROLL
    for (int64_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(r->in + p * r->panel_bytes + skip + INT_AHEAD + i);
}

/* The same for the scales of group g: they are far fewer, so those of the next P panels. */
ALWAYS_INLINE void ask_scales(const struct gram_int_panels *w, int64_t at, int P)
{
    const int64_t next = w->groups * GRAM_PANEL, size = w->scale_dtype == GRAM_F32 ? 4 : 2;

    UNROLL
    for (int p = 0; p < P; p++)
        __builtin_prefetch((const char *)w->scales + (at + (P + p) * next) * size, 0, 2);
}

/* Adds the products of n quads of P panels with a block of T rows. */
ALWAYS_INLINE void few_quads(struct few_sums *sums, struct few_reader r, const int8_t *x, int64_t n,
                             int bits, int P, int T)
{
    const int64_t step_bytes = gram_quads_bytes(bits, INT_STEP);

    for (; n >= INT_STEP; n -= INT_STEP, r.in += step_bytes, x += 4 * INT_STEP * T) {
        ask_ahead(&r, step_bytes, P);
        UNROLL
        for (int p = 0; p < P; p++)
            few_step(sums->chain[p], r.in + p * r.panel_bytes, x, INT_STEP, bits,
                     few_chains(P, T), T);
    }
    if (n == 0)
        return;
    UNROLL
    for (int p = 0; p < P; p++)
        few_step(sums->chain[p], r.in + p * r.panel_bytes, x, n, bits, few_chains(P, T), T);
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
                             const struct gram_int_panels *w, int64_t panel, int64_t g, int bits,
                             int P, int T)
{
    const bool is_narrow = w->group <= GRAM_NARROW_GROUP;
    const int64_t at = (panel * w->groups + g) * GRAM_PANEL, next = w->groups * GRAM_PANEL;
    const float *x_scales = gram_block_scale(acts, 0, gram_acts_span(acts, g));
    struct few_sums sums;

    ask_scales(w, at, P);
    UNROLL
    for (int p = 0; p < P; p++)
        few_start(sums.chain[p], vq_minus_offsets(w, at + p * next),
                  gram_block_sum(acts, 0, g), is_narrow, few_chains(P, T), T);
    few_quads(&sums, few_reader_at(w, panel, g), gram_block_quad(acts, 0, g * (w->group / 4)),
              gram_group_quads(w, g), bits, P, T);
    UNROLL
    for (int p = 0; p < P; p++) {
        const vqf scales = vqf_scales(w, at + p * next);
        UNROLL
        for (int t = 0; t < T; t++)
            out[p][t] = vqf_add_group(out[p][t], few_total(sums.chain[p][t], few_chains(P, T)),
                                      scales, x_scales[t]);
    }
}

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
        ask_ahead(&r, step_bytes, P);
        UNROLL
        for (int p = 0; p < P; p++)
            table_step(sums->chain[p], r.in + p * r.panel_bytes, x, INT_STEP, high, low, form, T);
    }
    if (n == 0)
        return;
    UNROLL
    for (int p = 0; p < P; p++)
        table_step(sums->chain[p], r.in + p * r.panel_bytes, x, n, high, low, form, T);
}

/* few_group() of a table: sums of the high bytes and of the low ones. */
ALWAYS_INLINE void table_group(vqf (*out)[INT_FEW_TOKENS], const struct gram_int_acts *acts,
                               const struct gram_int_panels *w, int64_t panel, int64_t g, int form,
                               int P, int T)
{
    const int64_t at = (panel * w->groups + g) * GRAM_PANEL, next = w->groups * GRAM_PANEL;
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
    table_quads(&sums, w, few_reader_at(w, panel, g), gram_block_quad(acts, 0, g * (w->group / 4)),
                gram_group_quads(w, g), form, P, T);
    UNROLL
    for (int p = 0; p < P; p++) {
        const vqf scales = vqf_scales(w, at + p * next);
        UNROLL
        for (int t = 0; t < T; t++) {
            const vq *chain = sums.chain[p][t];
            out[p][t] = vqf_add_group(out[p][t], vq_add(vq_times_256(chain[0]), chain[1]), scales,
                                      x_scales[t]);
        }
    }
}

/* T rows of codes, which are all of acts, and P panels; two parts of a row of x are added up. */
ALWAYS_INLINE void run_few(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                           const struct gram_int_panels *w, int64_t panel, int bits, int P, int T)
{
    vqf out[INT_FEW_PANELS][INT_FEW_TOKENS];

    UNROLL
    for (int p = 0; p < P; p++)
        UNROLL
    for (int t = 0; t < T; t++)
        out[p][t] = vqf_zero();
    for (int64_t g = 0; g < w->groups; g++) {
        if (bits <= INT_TABLE_SPLIT)
            table_group(out, acts, w, panel, g, bits, P, T);
        else
            few_group(out, acts, w, panel, g, bits, P, T);
    }
    UNROLL
    for (int p = 0; p < P; p++)
        UNROLL
    for (int t = 0; t < T; t++) {
        if (acts->parts == 2 && t % 2 == 0)
            continue;
        const vqf sum = acts->parts == 2 ? vqf_add(out[p][t - (t > 0)], out[p][t]) : out[p][t];
        vqf_store_n(y + t / acts->parts * y_stride + (panel + p) * GRAM_PANEL, sum,
                    w->rows - (panel + p) * GRAM_PANEL);
    }
}

typedef void few_fn(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                    const struct gram_int_panels *w, int64_t begin, int64_t end);

#define DEFINE_FEW(bits, T)                                                                        \
    static void few_##bits##_##T(float *y, int64_t y_stride, const struct gram_int_acts *acts,     \
                                 const struct gram_int_panels *w, int64_t begin, int64_t end)      \
    {                                                                                              \
        for (; begin + few_panels(T) <= end; begin += few_panels(T))                               \
            run_few(y, y_stride, acts, w, begin, bits, few_panels(T), T);                          \
        for (; begin < end; begin++)                                                               \
            run_few(y, y_stride, acts, w, begin, bits, 1, T);                                      \
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
