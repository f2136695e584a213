/*
 * How few rows meet the panels: a few runs of neighbouring panels are read side by side, each asked for
 * ahead of its use.
 *
 *     | 0  1  2 .. | 8  9 10 .. | 16 17 18 .. | 24 25 26 .. |      0, 8, 16 and 24, then 1, 9, 17 and 25
 *
 * So each reader goes straight on from the first byte of its run to the last.
 */
#ifndef GRAM_KERNELS_SIMD_INT_FEW_READER_H
#define GRAM_KERNELS_SIMD_INT_FEW_READER_H

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

/* Runs side by side, for which there must be registers. */
ALWAYS_INLINE int few_runs(int T)
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

/* The panels that are read side by side, one of each run. */
struct few_panels {
    int64_t first;
    int64_t apart; /* from one to the next */
};

/* Where they are being read. */
struct few_reader {
    const uint8_t *in; /* in the first */
    int64_t apart;     /* bytes */
};

ALWAYS_INLINE struct few_reader few_reader_at(const struct gram_int_panels *w,
                                              struct few_panels panels, int64_t g)
{
    return (struct few_reader){w->codes + panels.first * w->panel_bytes + gram_group_offset(w, g),
                               panels.apart * w->panel_bytes};
}

/* Where the scales of group g of the first panel are, and how far those of the next. */
struct few_scales {
    int64_t at, apart;
};

ALWAYS_INLINE struct few_scales few_scales_at(const struct gram_int_panels *w,
                                              struct few_panels panels, int64_t g)
{
    return (struct few_scales){(panels.first * w->groups + g) * GRAM_PANEL,
                               panels.apart * w->groups * GRAM_PANEL};
}

/* Asks for what a run needs soon. */
ALWAYS_INLINE void ask_ahead(const uint8_t *in, int64_t bytes)
{
    UNROLL
    for (int64_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(in + INT_AHEAD + i);
}

/* The same for scales: they are far fewer, so those of the next panel of each run. */
ALWAYS_INLINE void ask_scales(const struct gram_int_panels *w, struct few_scales scales, int P)
{
    const int64_t next = w->groups * GRAM_PANEL, size = w->scale_dtype == GRAM_F32 ? 4 : 2;

    UNROLL
    for (int p = 0; p < P; p++)
        __builtin_prefetch((const char *)w->scales + (scales.at + p * scales.apart + next) * size,
                           0, 2);
}

#endif
