/*
 * Integer linear: AVX-512 VNNI. vpdpbusd multiplies four unsigned codes by four signed activations
 * and adds the products to an int32, for 16 outputs at once.
 *
 * For many tokens a tile, four panels by at most 256 inputs, is unpacked once into the L1 cache and
 * meets all of them, six at a time:
 *
 *              panel 0    panel 1    panel 2    panel 3
 *     token 0  acc 16     acc 16     acc 16     acc 16       24 registers of sums,
 *     ...                                                    4 of weights (one quad of the tile),
 *     token 5  acc 16     acc 16     acc 16     acc 16       1 of activations (a quad, broadcast)
 *
 * so that 24 multiplications wait for ten loads. At the end of a group the sums become floats and
 * are added to the outputs so far, which lie in scratch: in y they would fall on the same few lines
 * of the cache, y_stride being a power of two most of the time. A group longer than 256 inputs
 * keeps its sums in scratch from tile to tile.
 */
#include "kernels/simd/int_acts.h"
#include "kernels/x86/int_panels_avx512vnni.h"

enum {
    PANELS = 4,
    WIDTH = PANELS * GRAM_PANEL, /* outputs of a tile */
    TOKENS = 6,
    TILE_QUADS = 64,
    STEP = 8, /* quads; whole units of every width */
    MOST_TOKENS = 168,
    MOST_NARROW = 255 /* inputs of a group whose sum fits 16 bits */
};

struct scratch {
    uint8_t codes[TILE_QUADS][PANELS][GRAM_QUAD_BYTES];
    float scales[PANELS][GRAM_PANEL];
    int32_t minus_offsets[PANELS][GRAM_PANEL];
    float out[MOST_TOKENS][PANELS][GRAM_PANEL];
};
_Static_assert(sizeof(struct scratch) <= GRAM_PANEL_SCRATCH, "scratch");

/* Tokens [begin, end) and a tile of their outputs. */
struct pass {
    const struct gram_int_acts *acts;
    const struct gram_int_panels *w;
    float *y;
    int64_t y_stride, begin, end;
    int64_t panel, panels;
    struct scratch *scratch;
    int32_t (*sums)[PANELS][GRAM_PANEL]; /* of a group that has not ended */
};

/* A tile: quads [quad, quad + n) of group g. */
struct tile {
    int64_t g, quad, n;
    bool is_first, is_last; /* of its group */
};

/* Tokens of a pass. Groups of several tiles need room for sums, and for outputs unless there is but
 * one group. */
static int64_t pass_tokens(const struct gram_int_panels *w)
{
    return w->groups > 1 && w->group > 4 * TILE_QUADS ? MOST_TOKENS / 2 : MOST_TOKENS;
}

ALWAYS_INLINE void unpack_step(uint8_t (*to)[PANELS][GRAM_QUAD_BYTES], int64_t p, const uint8_t *in,
                               int64_t n, int bits)
{
    const int unit = gram_unit_quads(bits);

    UNROLL
    for (int j = 0; j < STEP; j++) {
        if (j >= n)
            break;
        const int first = j - j % unit;
        const uint8_t *low = in + gram_quads_bytes(bits, first);
        const uint8_t *high = low + gram_low_bytes(bits, gram_min_i64(unit, n - first));
        _mm512_store_si512(to[j][p], quad_codes(low, high, bits, j % unit));
    }
}

ALWAYS_INLINE void unpack_panel(uint8_t (*to)[PANELS][GRAM_QUAD_BYTES], int64_t p,
                                const uint8_t *in, int64_t n, int bits)
{
    for (; n >= STEP; n -= STEP, in += gram_quads_bytes(bits, STEP), to += STEP)
        unpack_step(to, p, in, STEP, bits);
    if (n > 0)
        unpack_step(to, p, in, n, bits);
}

typedef void unpack_fn(uint8_t (*to)[PANELS][GRAM_QUAD_BYTES], int64_t p, const uint8_t *in,
                       int64_t n);
#define DEFINE_UNPACK(bits)                                                                        \
    static void unpack_##bits(uint8_t(*to)[PANELS][GRAM_QUAD_BYTES], int64_t p, const uint8_t *in, \
                              int64_t n)                                                           \
    {                                                                                              \
        unpack_panel(to, p, in, n, bits);                                                          \
    }

DEFINE_UNPACK(2)
DEFINE_UNPACK(3)
DEFINE_UNPACK(4)
DEFINE_UNPACK(5)
DEFINE_UNPACK(6)
DEFINE_UNPACK(8)

static unpack_fn *const unpack_of[9] = {
    [2] = unpack_2, [3] = unpack_3, [4] = unpack_4, [5] = unpack_5, [6] = unpack_6, [8] = unpack_8,
};

static void load_tile(const struct pass *pass, const struct tile *tile)
{
    const struct gram_int_panels *w = pass->w;
    struct scratch *scratch = pass->scratch;

    for (int64_t p = 0; p < pass->panels; p++) {
        const int64_t panel = pass->panel + p;
        const uint8_t *in = w->codes + panel * w->panel_bytes + gram_group_offset(w, tile->g);
        unpack_of[w->bits](scratch->codes, p, in + gram_quads_bytes(w->bits, tile->quad), tile->n);
        if (!tile->is_last)
            continue;
        const int64_t at = (panel * w->groups + tile->g) * GRAM_PANEL;
        const __m512i offsets = load_offsets(w, at);
        _mm512_store_ps(scratch->scales[p], load_scales(w, at));
        _mm512_store_si512(scratch->minus_offsets[p],
                           _mm512_sub_epi32(_mm512_setzero_si512(), offsets));
    }
}

/* What T tokens from x on add to the sums. */
ALWAYS_INLINE void multiply(__m512i (*acc)[PANELS], uint8_t (*codes)[PANELS][GRAM_QUAD_BYTES],
                            const int8_t *x, int64_t x_stride, int64_t n, int T)
{
    for (int64_t q = 0; q < n; q++, x += 4) {
        __m512i c[PANELS];
        UNROLL
        for (int p = 0; p < PANELS; p++)
            c[p] = _mm512_load_si512(codes[q][p]);
        UNROLL
        for (int t = 0; t < T; t++) {
            const __m512i quad = broadcast_quad(x + t * x_stride);
            UNROLL
            for (int p = 0; p < PANELS; p++)
                acc[t][p] = _mm512_dpbusd_epi32(acc[t][p], c[p], quad);
        }
    }
}

/* dot - offsets * x_sum: of a narrow group in one instruction. */
ALWAYS_INLINE __m512i subtract_offsets(__m512i dot, const int32_t *minus_offsets, int32_t x_sum,
                                       bool is_narrow)
{
    const __m512i offsets = _mm512_load_si512(minus_offsets);
    if (is_narrow)
        return _mm512_dpwssd_epi32(dot, offsets, _mm512_set1_epi32(x_sum & 0xffff));
    return _mm512_add_epi32(dot, _mm512_mullo_epi32(offsets, _mm512_set1_epi32(x_sum)));
}

/* The sums of token t, which are complete, join its outputs. */
ALWAYS_INLINE void finish(const struct pass *pass, const struct tile *tile, int64_t t,
                          const __m512i *acc, bool is_narrow)
{
    const struct gram_int_acts *acts = pass->acts;
    struct scratch *scratch = pass->scratch;
    const bool ends = tile->g + 1 == pass->w->groups;
    const int32_t x_sum = acts->sums[t * acts->groups + tile->g];
    const float x_scale = acts->scales[t * acts->spans + gram_acts_span(acts, tile->g)];
    float(*out)[GRAM_PANEL] = scratch->out[t - pass->begin];

    UNROLL
    for (int p = 0; p < PANELS; p++) {
        const __m512 before = tile->g > 0 ? _mm512_load_ps(out[p]) : _mm512_setzero_ps();
        const __m512i dot = subtract_offsets(acc[p], scratch->minus_offsets[p], x_sum, is_narrow);
        const __m512 after = add_group(before, dot, _mm512_load_ps(scratch->scales[p]), x_scale);
        if (!ends)
            _mm512_store_ps(out[p], after);
        else if (p < pass->panels)
            _mm512_mask_storeu_ps(pass->y + t * pass->y_stride + (pass->panel + p) * GRAM_PANEL,
                                  panel_mask(pass->w, pass->panel + p), after);
    }
}

/* T tokens, a constant, from t on. */
ALWAYS_INLINE void run_block(const struct pass *pass, const struct tile *tile, int64_t t, int T)
{
    const struct gram_int_acts *acts = pass->acts;
    const int8_t *x = acts->codes + t * acts->stride + tile->g * acts->group + 4 * tile->quad;
    int32_t(*sums)[PANELS][GRAM_PANEL] = pass->sums + (t - pass->begin);
    const bool is_narrow = pass->w->group <= MOST_NARROW;
    __m512i acc[TOKENS][PANELS];

    UNROLL
    for (int i = 0; i < T; i++)
        UNROLL
    for (int p = 0; p < PANELS; p++)
        acc[i][p] = tile->is_first ? _mm512_setzero_si512() : _mm512_load_si512(sums[i][p]);
    multiply(acc, pass->scratch->codes, x, acts->stride, tile->n, T);
    UNROLL
    for (int i = 0; i < T; i++) {
        if (tile->is_last) {
            finish(pass, tile, t + i, acc[i], is_narrow);
            continue;
        }
        UNROLL
        for (int p = 0; p < PANELS; p++)
            _mm512_store_si512(sums[i][p], acc[i][p]);
    }
}

#define DEFINE_BLOCK(T)                                                                            \
    static void run_block_##T(const struct pass *pass, const struct tile *tile, int64_t t)         \
    {                                                                                              \
        run_block(pass, tile, t, T);                                                               \
    }

DEFINE_BLOCK(1)
DEFINE_BLOCK(2)
DEFINE_BLOCK(3)
DEFINE_BLOCK(4)
DEFINE_BLOCK(5)
DEFINE_BLOCK(6)

typedef void block_fn(const struct pass *pass, const struct tile *tile, int64_t t);
static block_fn *const blocks[TOKENS + 1] = {
    NULL, run_block_1, run_block_2, run_block_3, run_block_4, run_block_5, run_block_6,
};

static void run_pass(const struct pass *pass)
{
    for (int64_t g = 0; g < pass->w->groups; g++) {
        const int64_t quads = gram_group_quads(pass->w, g);
        for (int64_t q = 0; q < quads; q += TILE_QUADS) {
            const struct tile tile = {.g = g,
                                      .quad = q,
                                      .n = gram_min_i64(TILE_QUADS, quads - q),
                                      .is_first = q == 0,
                                      .is_last = q + TILE_QUADS >= quads};
            load_tile(pass, &tile);
            for (int64_t t = pass->begin; t < pass->end; t += TOKENS)
                blocks[gram_min_i64(TOKENS, pass->end - t)](pass, &tile, t);
        }
    }
}

static void run_many(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                     const struct gram_int_panels *w, int64_t begin, int64_t end,
                     struct scratch *scratch)
{
    const int64_t tokens = pass_tokens(w);
    struct pass pass = {.acts = acts, .w = w, .y = y, .y_stride = y_stride, .scratch = scratch};

    pass.sums = (int32_t(*)[PANELS][GRAM_PANEL])(void *)(scratch->out + MOST_TOKENS - tokens);
    for (pass.begin = 0; pass.begin < acts->rows; pass.begin = pass.end) {
        pass.end = gram_min_i64(pass.begin + tokens, acts->rows);
        for (pass.panel = begin; pass.panel < end; pass.panel += PANELS) {
            pass.panels = gram_min_i64(PANELS, end - pass.panel);
            run_pass(&pass);
        }
    }
}

void gram_int_linear__avx512vnni(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                                 const struct gram_int_panels *w, int64_t begin, int64_t end,
                                 void *scratch)
{
    if (acts->rows <= INT_FEW_TOKENS)
        gram_int_linear_few__avx512vnni(y, y_stride, acts, 0, acts->rows, w, begin, end);
    else
        run_many(y, y_stride, acts, w, begin, end, scratch);
}

static int32_t sum_of(const int8_t *x, int64_t n)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();

    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 mask = n - i < 64 ? (1ull << (n - i)) - 1 : ~0ull;
        sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi8(mask, x + i));
    }
    return _mm512_reduce_add_epi32(sum);
}

void gram_quantize_acts__avx512vnni(const struct gram_int_acts *acts, int64_t t, const float *x)
{
    quantize_acts(acts, t, x, gram_quantize_i8__avx512, sum_of);
}
