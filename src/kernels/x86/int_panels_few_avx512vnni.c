/*
 * Integer linear for up to four tokens: AVX-512 VNNI.
 * Weights come from memory once and in order; vectors fall apart into quads in registers and meet
 * every token there. Memory is the limit, so the work behind a vector must stay below the time that
 * the vector takes to come.
 */
#include "kernels/x86/int_panels_avx512vnni.h"

enum {
    STEP = 8, /* quads; whole units of every width */
    MOST_CHAINS = 4,
    AHEAD = 2048 /* bytes that memory is asked for before they are needed */
};

/* Sums a token has for one group: an addition takes longer than the next quad takes to come. */
ALWAYS_INLINE int chains_for(int T)
{
    return T == 1 ? 4 : 2;
}

struct sums {
    __m512i chain[INT_FEW_TOKENS][MOST_CHAINS];
};

/* The first n quads of a step; n is a constant, or less than STEP. */
ALWAYS_INLINE void add_step(struct sums *sums, const uint8_t *in, const int8_t *x, int64_t x_stride,
                            int64_t n, int bits, int T)
{
    const int unit = gram_unit_quads(bits);

    UNROLL
    for (int j = 0; j < STEP; j++) {
        if (j >= n)
            break;
        const int first = j - j % unit;
        const uint8_t *low = in + gram_quads_bytes(bits, first);
        const uint8_t *high = low + gram_low_bytes(bits, gram_min_i64(unit, n - first));
        const __m512i codes = quad_codes(low, high, bits, j % unit);
        UNROLL
        for (int t = 0; t < T; t++) {
            __m512i *sum = &sums->chain[t][j % chains_for(T)];
            *sum = _mm512_dpbusd_epi32(*sum, codes, broadcast_quad(x + t * x_stride + 4 * j));
        }
    }
}

ALWAYS_INLINE void prefetch(const uint8_t *in, int64_t bytes)
{
    UNROLL
    for (int64_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)in + AHEAD + i, _MM_HINT_T0);
}

/* sums = the products of n quads with T rows of x, added to the starts of chain 0. */
ALWAYS_INLINE const uint8_t *add_quads(struct sums *sums, const uint8_t *in, const int8_t *x,
                                       int64_t x_stride, int64_t n, int bits, int T)
{
    const int64_t step_bytes = gram_quads_bytes(bits, STEP);

    for (; n >= STEP; n -= STEP, in += step_bytes, x += 4 * STEP) {
        prefetch(in, step_bytes);
        add_step(sums, in, x, x_stride, STEP, bits, T);
    }
    if (n > 0)
        add_step(sums, in, x, x_stride, n, bits, T);
    return in + gram_quads_bytes(bits, n);
}

/* What offsets subtract, where sums begin. */
ALWAYS_INLINE void start(struct sums *sums, const struct gram_int_panels *w, int64_t at,
                         const int32_t *x_sums, int64_t x_groups, int bits, int T)
{
    const __m512i offsets = load_offsets(w, at);

    UNROLL
    for (int t = 0; t < T; t++) {
        const __m512i x_sum = _mm512_set1_epi32(-x_sums[t * x_groups]);
        sums->chain[t][0] = w->offsets ? _mm512_mullo_epi32(offsets, x_sum)
                                       : _mm512_slli_epi32(x_sum, (unsigned)bits - 1);
        UNROLL
        for (int c = 1; c < chains_for(T); c++)
            sums->chain[t][c] = _mm512_setzero_si512();
    }
}

ALWAYS_INLINE __m512i total(const __m512i *chain, int T)
{
    __m512i sum = chain[0];
    UNROLL
    for (int c = 1; c < chains_for(T); c++)
        sum = _mm512_add_epi32(sum, chain[c]);
    return sum;
}

/* One panel: rows t .. t + T - 1 of acts. */
ALWAYS_INLINE void run_panel(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                             int64_t t0, const struct gram_int_panels *w, int64_t panel, int bits,
                             int T)
{
    const uint8_t *in = w->codes + panel * w->panel_bytes;
    const float *x_scales = acts->scales + t0 * acts->spans;
    const __mmask16 mask = panel_mask(w, panel);
    __m512 out[INT_FEW_TOKENS];

    UNROLL
    for (int t = 0; t < T; t++)
        out[t] = _mm512_setzero_ps();
    for (int64_t g = 0; g < w->groups; g++) {
        const int64_t at = (panel * w->groups + g) * GRAM_PANEL;
        const __m512 scales = load_scales(w, at);
        struct sums sums;
        start(&sums, w, at, acts->sums + t0 * acts->groups + g, acts->groups, bits, T);
        in = add_quads(&sums, in, acts->codes + t0 * acts->stride + g * w->group, acts->stride,
                       gram_group_quads(w, g), bits, T);
        UNROLL
        for (int t = 0; t < T; t++)
            out[t] = add_group(out[t], total(sums.chain[t], T), scales,
                               x_scales[t * acts->spans + gram_acts_span(acts, g)]);
    }
    UNROLL
    for (int t = 0; t < T; t++)
        _mm512_mask_storeu_ps(y + (t0 + t) * y_stride + panel * GRAM_PANEL, mask, out[t]);
}

typedef void run_fn(float *y, int64_t y_stride, const struct gram_int_acts *acts, int64_t t,
                    const struct gram_int_panels *w, int64_t begin, int64_t end);

#define DEFINE_RUN(bits, T)                                                                        \
    static void run_##bits##_##T(float *y, int64_t y_stride, const struct gram_int_acts *acts,     \
                                 int64_t t, const struct gram_int_panels *w, int64_t begin,        \
                                 int64_t end)                                                      \
    {                                                                                              \
        for (int64_t panel = begin; panel < end; panel++)                                          \
            run_panel(y, y_stride, acts, t, w, panel, bits, T);                                    \
    }
#define DEFINE_RUNS(bits)                                                                          \
    DEFINE_RUN(bits, 1) DEFINE_RUN(bits, 2) DEFINE_RUN(bits, 3) DEFINE_RUN(bits, 4)
#define RUNS(bits)                                                                                 \
    {                                                                                              \
        NULL, run_##bits##_1, run_##bits##_2, run_##bits##_3, run_##bits##_4                       \
    }

DEFINE_RUNS(2)
DEFINE_RUNS(3)
DEFINE_RUNS(4)
DEFINE_RUNS(5)
DEFINE_RUNS(6)
DEFINE_RUNS(8)

static run_fn *const runs[9][INT_FEW_TOKENS + 1] = {
    [2] = RUNS(2), [3] = RUNS(3), [4] = RUNS(4), [5] = RUNS(5), [6] = RUNS(6), [8] = RUNS(8),
};

void gram_int_linear_few__avx512vnni(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                                     int64_t t, int64_t T, const struct gram_int_panels *w,
                                     int64_t begin, int64_t end)
{
    runs[w->bits][T](y, y_stride, acts, t, w, begin, end);
}
