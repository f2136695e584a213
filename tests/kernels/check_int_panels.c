/*
 * Linears over integer panels and their activations: every output bit for bit what the contract
 * makes of the weight itself, so that the repacking, the specification and each level are held to
 * the same numbers.
 */
#include "kcheck.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "kernels/panels.h"

struct shape {
    int bits;
    bool is_signed, is_symmetric, has_spans; /* spans: activations have a scale for each group */
    enum gram_dtype scale_dtype;
    int64_t group, T, rows, cols;
    bool is_extreme; /* largest codes, largest activations */
    bool is_split;   /* activations in two parts */
    bool is_table;   /* codes choose values */
    bool high_first;
    bool has_far_zeros; /* zero points that no code reaches */
    bool has_tiles; /* activations lie as tiles want them, whatever the level wants */
};

/* Operands, those that kernels read against unreadable pages. */
struct linear {
    struct gram_weight w;
    struct gram_int_panels panels;
    struct gram_int_acts acts;
    float *w_scales; /* [rows][groups], as the weight stores them */
};

static void *filled(size_t bytes)
{
    void *at = calloc(1, bytes + 1);
    if (!at)
        abort();
    return at;
}

/* Values from -1 to 1, both of them there. */
static const float table[16] = {-1.0f, 1.0f,  0.0f,   1 / 192.0f, 2 / 3.0f, -1 / 3.0f, 0.5f,  -0.25f,
                                0.1f,  -0.7f, 0.999f, -1e-3f,     1e-5f,    0.3f,      -0.9f, 1 / 6.0f};

static uint8_t random_byte(struct kcheck *c)
{
    return (uint8_t)(gram_rng_u64(&c->rng) >> 56);
}

static void place_codes(struct kcheck *c, struct gram_weight *w, bool is_extreme)
{
    uint8_t *data = place(c, FIFTH, w->rows * w->row_bytes);

    for (int64_t i = 0; i < w->rows * w->row_bytes; i++)
        data[i] = is_extreme ? (w->is_signed ? 0x80 : 0xff) : random_byte(c);
    w->data = data;
}

static float make_scale(void *scales, enum gram_dtype dtype, int64_t i, float value)
{
    const uint16_t half = dtype == GRAM_F16 ? gram_f16_from_f32(value) : gram_bf16_from_f32(value);
    if (dtype == GRAM_F32) {
        ((float *)scales)[i] = value;
        return value;
    }
    ((uint16_t *)scales)[i] = half;
    return dtype == GRAM_F16 ? gram_f32_from_f16(half) : gram_f32_from_bf16(half);
}

static void make_weight(struct kcheck *c, struct linear *l, const struct shape *s)
{
    struct gram_weight *w = &l->w;
    const int64_t groups = (s->cols + s->group - 1) / s->group, n = s->rows * groups;
    void *scales = filled((size_t)n * 4);
    int8_t *zeros = s->is_symmetric ? NULL : filled((size_t)n);
    const int middle = 1 << (s->bits - 1);

    *w = (struct gram_weight){.rows = s->rows,
                              .cols = s->cols,
                              .bits = s->bits,
                              .is_signed = s->is_signed,
                              .group = s->group,
                              .scales = scales,
                              .scale_dtype = s->scale_dtype,
                              .scale_stride = groups,
                              .zeros = zeros,
                              .high_first = s->high_first,
                              .table = s->is_table ? table : NULL};
    w->row_bytes = s->is_signed ? s->cols : gram_code_row_bytes(s->cols, s->bits);
    place_codes(c, w, s->is_extreme);
    l->w_scales = filled((size_t)n * sizeof *l->w_scales);
    for (int64_t i = 0; i < n; i++) {
        l->w_scales[i] = make_scale(scales, s->scale_dtype, i, random_float(c, UNIT));
        if (s->is_table)
            l->w_scales[i] /= (float)GRAM_TABLE_ONE;
        if (zeros)
            zeros[i] = (int8_t)(random_byte(c) % (s->has_far_zeros ? 128 + middle : 2 * middle) - middle);
    }
}

static void make_panels(struct kcheck *c, struct linear *l)
{
    size_t codes, scales, offsets;
    const int64_t count = gram_panel_count(l->w.rows), split = count / 2;

    if (!gram_int_panels_fit(&l->w))
        fail(c, "a weight of %d bits in groups of %lld does not fit", l->w.bits,
             (long long)l->w.group);
    gram_int_panels_size(&l->w, &codes, &scales, &offsets);
    void *to[] = {memset(place(c, THIRD, (int64_t)codes), 0, codes),
                  memset(place(c, RIGHT, (int64_t)scales), 0, scales),
                  memset(place(c, FOURTH, (int64_t)offsets), 0, offsets)};
    gram_int_panels_init(&l->panels, &l->w, to[0], to[1], to[2]);
    gram_int_panels_fill(&l->panels, &l->w, split, count);
    gram_int_panels_fill(&l->panels, &l->w, 0, split);
    check_canaries(c, "gram_int_panels_fill");
}

static struct gram_int_acts tiled(struct gram_int_acts acts)
{
    acts.height = GRAM_ACTS_TALLEST;
    acts.run = GRAM_ACTS_TILE;
    return acts;
}

static void make_acts(struct kcheck *c, struct linear *l, const struct shape *s)
{
    struct gram_int_acts *acts = &l->acts;
    const int64_t group = l->panels.group, groups = l->panels.groups;

    *acts = (struct gram_int_acts){.rows = s->T,
                                   .cols = s->cols,
                                   .span = s->has_spans ? group : s->cols,
                                   .spans = s->has_spans ? groups : 1,
                                   .group = group,
                                   .groups = groups,
                                   .parts = s->is_split ? 2 : 1,
                                   .stride = (s->cols + 63) / 64 * 64};
    if (s->has_tiles)
        *acts = tiled(*acts);
    else
        c->kernels->acts_layout(acts);
    const int64_t room = gram_acts_room(acts);
    acts->codes = place(c, LEFT, room * acts->stride);
    acts->scales = filled((size_t)(room * acts->spans) * sizeof *acts->scales);
    acts->sums = filled((size_t)(room * groups) * sizeof *acts->sums);
}

static void free_linear(struct linear *l)
{
    free((void *)(uintptr_t)l->w.scales);
    free((void *)(uintptr_t)l->w.zeros);
    free(l->w_scales);
    free(l->acts.scales);
    free(l->acts.sums);
}

/* Activation k of row i of codes, where the contract puts it. */
static int8_t *act(const struct gram_int_acts *acts, int64_t i, int64_t k)
{
    const int64_t block = i / acts->height, row = i % acts->height, run = acts->run;
    return acts->codes + block * acts->height * acts->stride +
           (k / run * acts->height + row) * run + k % run;
}

/* Of span or group j of n that rows have. */
static int64_t row_at(const struct gram_int_acts *acts, int64_t i, int64_t n, int64_t j)
{
    return (i / acts->height * n + j) * acts->height + i % acts->height;
}

static void expect_sums(struct kcheck *c, const struct gram_int_acts *acts, int64_t i,
                        const int8_t *codes)
{
    for (int64_t g = 0; g < acts->groups; g++) {
        const int32_t got = acts->sums[row_at(acts, i, acts->groups, g)];
        int32_t sum = 0;
        for (int64_t k = g * acts->group; k < (g + 1) * acts->group && k < acts->cols; k++)
            sum += codes[k];
        if (sum != got)
            fail(c, "cols %lld group %lld: sum %lld is %d, not %d", (long long)acts->cols,
                 (long long)acts->group, (long long)g, got, sum);
    }
}

/* Codes, scales and sums of row i as the contract says; x becomes what they leave of it. */
static void expect_row(struct kcheck *c, const struct gram_int_acts *acts, int64_t i, float *x)
{
    int8_t *want = filled((size_t)acts->stride);

    for (int64_t s = 0; s < acts->spans; s++) {
        const int64_t k = s * acts->span;
        const int64_t n = acts->cols - k < acts->span ? acts->cols - k : acts->span;
        const float scale = c->ref->quantize_i8(want + k, x + k, n);
        const float got = acts->scales[row_at(acts, i, acts->spans, s)];
        if (memcmp(&scale, &got, sizeof scale) != 0)
            fail(c, "cols %lld span %lld: scale %lld is %a, not %a", (long long)acts->cols,
                 (long long)acts->span, (long long)s, (double)got, (double)scale);
        for (int64_t j = k; j < k + n; j++)
            x[j] = fmaf(-(float)want[j], scale, x[j]);
    }
    for (int64_t k = 0; k < acts->stride; k++)
        if (*act(acts, i, k) != want[k])
            fail(c, "cols %lld span %lld: code %lld is %d, not %d", (long long)acts->cols,
                 (long long)acts->span, (long long)k, *act(acts, i, k), want[k]);
    expect_sums(c, acts, i, want);
    free(want);
}

static void quantize(const struct gram_kernels *kernels, const struct gram_int_acts *acts,
                     int64_t t, const float *x)
{
    void *scratch = aligned_alloc(GRAM_PANEL_ALIGN, (size_t)acts->stride * 5);
    if (!scratch)
        abort();
    kernels->quantize_acts(acts, t, x, scratch);
    free(scratch);
}

void check_quantize_acts(struct kcheck *c)
{
    static const int64_t groups[] = {4, 16, 32, 100, 128, 1 << 20};

    for (int i = 1; i < n_sizes; i++) {
        for (int g = 0; g < 6; g++) {
            struct linear l = {.panels = {.group = groups[g] < sizes[i] ? groups[g] : sizes[i]}};
            l.panels.groups = (sizes[i] + l.panels.group - 1) / l.panels.group;
            const struct shape s = {
                .T = 7, .cols = sizes[i], .has_spans = i % 2 == 0, .is_split = i / 2 % 2,
                .has_tiles = i % 3 == 0};
            make_acts(c, &l, &s);
            for (int64_t t = 6; t >= 0; t -= 3) {
                float *x = place_floats(c, RIGHT, sizes[i], (enum kind)((i + g) % N_KINDS));
                quantize(c->kernels, &l.acts, t, x);
                check_canaries(c, "quantize_acts");
                for (int part = 0; part < l.acts.parts; part++)
                    expect_row(c, &l.acts, t * l.acts.parts + part, x);
            }
            free_linear(&l);
        }
    }
}

/* What the second part of activations multiplies of a value: its high byte, and 128 for the low one. */
static int coarse(int value)
{
    return (value + (1 << 15)) / 256 * 256 + 128 - (1 << 15);
}

/* Code minus offset, or value: what the weight means by element k of row n, before the scale. */
static int element(const struct gram_weight *w, int64_t n, int64_t k)
{
    uint8_t code;

    if (w->table) {
        gram_weight_codes(&code, w, n, k, 1);
        return (int)lrintf(w->table[code] * (float)GRAM_TABLE_ONE);
    }
    const uint8_t *row = (const uint8_t *)w->data + n * w->row_bytes;
    const int zero = w->zeros ? w->zeros[n * w->scale_stride + k / w->group] : 0;
    if (w->is_signed)
        return (int8_t)row[k] - zero;
    return (int)gram_code_get(row, k, w->bits) - (1 << (w->bits - 1)) - zero;
}

static float expected_part(const struct linear *l, const int *row, int64_t i, int64_t n)
{
    const struct gram_int_acts *acts = &l->acts;
    float y = 0.0f;

    for (int64_t g = 0; g < acts->groups; g++) {
        const float x_scale = acts->scales[row_at(acts, i, acts->spans, acts->spans > 1 ? g : 0)];
        int64_t sum = 0;
        for (int64_t k = g * acts->group; k < (g + 1) * acts->group && k < acts->cols; k++)
            sum += (l->w.table && i % acts->parts ? coarse(row[k]) : row[k]) * *act(acts, i, k);
        y = fmaf((float)(int32_t)sum, l->w_scales[n * acts->groups + g] * x_scale, y);
    }
    return y;
}

static float expected(const struct linear *l, const int *row, int64_t t, int64_t n)
{
    if (l->acts.parts == 1)
        return expected_part(l, row, t, n);
    return expected_part(l, row, 2 * t, n) + expected_part(l, row, 2 * t + 1, n);
}

/* Outputs [first, last) were asked for; the others, and the gap behind a token, hold `untouched`.
 */
static void expect_outputs(struct kcheck *c, const struct linear *l, const struct shape *s,
                           const float *y, int64_t y_stride, int64_t first, int64_t last)
{
    static const float untouched = 1234.5f;
    int *row = filled((size_t)s->cols * sizeof *row);

    for (int64_t n = 0; n < y_stride; n++) {
        const bool is_asked = n >= first && n < last && n < s->rows;
        for (int64_t k = 0; is_asked && k < s->cols; k++)
            row[k] = element(&l->w, n, k);
        for (int64_t t = 0; t < s->T && t * y_stride + n < (s->T - 1) * y_stride + s->rows; t++) {
            const float want = is_asked ? expected(l, row, t, n) : untouched;
            const float got = y[t * y_stride + n];
            if (memcmp(&got, &want, sizeof got) != 0)
                fail(c, "%d bits%s%s%s%s g %lld T %lld [%lld, %lld]: y[%lld][%lld] is %a, not %a",
                     s->bits, s->is_signed ? " signed" : "", s->is_symmetric ? "" : " zero points",
                     s->is_split ? " two parts" : "", s->is_table ? " of a table" : "",
                     (long long)s->group, (long long)s->T, (long long)s->rows, (long long)s->cols,
                     (long long)t, (long long)n, (double)got, (double)want);
        }
    }
    free(row);
}

static void check_range(struct kcheck *c, const struct linear *l, const struct shape *s,
                        int64_t begin, int64_t end)
{
    static _Alignas(GRAM_PANEL_ALIGN) char scratch[GRAM_PANEL_SCRATCH];
    const int64_t y_stride = s->rows + s->T % 3, n = (s->T - 1) * y_stride + s->rows;
    float *y = place(c, OUT, n * (int64_t)sizeof *y);

    for (int64_t i = 0; i < n; i++)
        y[i] = 1234.5f;
    c->kernels->int_linear(y, y_stride, &l->acts, &l->panels, begin, end, scratch);
    check_canaries(c, "int_linear");
    expect_outputs(c, l, s, y, y_stride, begin * GRAM_PANEL, end * GRAM_PANEL);
}

static void check_shape(struct kcheck *c, const struct shape *s)
{
    struct linear l = {0};

    make_weight(c, &l, s);
    make_panels(c, &l);
    make_acts(c, &l, s);
    for (int64_t t = 0; t < s->T; t++) {
        float *x = filled((size_t)s->cols * sizeof *x);
        for (int64_t k = 0; k < s->cols; k++)
            x[k] = s->is_extreme ? -1.0f : random_float(c, UNIT);
        quantize(c->ref, &l.acts, t, x);
        free(x);
    }
    const int64_t count = gram_panel_count(s->rows);
    check_range(c, &l, s, 0, count);
    if (count > 1)
        check_range(c, &l, s, count / 3, count - 1);
    free_linear(&l);
}

/* Every sum at its largest: what saturates or overflows shows. */
static void check_extremes(struct kcheck *c, int bits)
{
    for (int64_t T = 1; T <= 10; T += 3) {
        struct shape s = {.bits = bits,
                          .is_symmetric = true,
                          .group = 1 << 16,
                          .T = T,
                          .rows = 17,
                          .cols = 1 << 16,
                          .scale_dtype = GRAM_F32,
                          .is_extreme = true};
        check_shape(c, &s);
        s.group = s.cols = 1 << 7;
        check_shape(c, &s);
        for (s.cols = 1 << 10; s.group <= s.cols / 2; s.group *= 2)
            check_shape(c, &s);
    }
}

/* More rows than one pass takes, more inputs than one tile. */
static void check_passes(struct kcheck *c, int bits)
{
    static const int64_t groups[] = {32, 260, 576, 1156};

    for (int i = 0; i < 4; i++) {
        const struct shape s = {.bits = bits,
                                .is_symmetric = (bits + i) % 2,
                                .has_spans = i % 2,
                                .scale_dtype = GRAM_F16,
                                .group = groups[i],
                                .T = 170 + 151 * (i % 2),
                                .rows = 20,
                                .cols = 1156,
                                .is_split = i == 2};
        check_shape(c, &s);
    }
}

/* Codes that choose from a table: every form of scales, activations and rows, and sums at their largest. */
static void check_tables(struct kcheck *c)
{
    static const int64_t groups[] = {16, 32, 64, 128, 256, 20};
    static const int64_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 13, 64};
    static const int64_t rows[] = {1, 16, 17, 64, 83, 37}, cols[] = {64, 70, 129, 128, 300, 257, 576};
    static const enum gram_dtype dtypes[] = {GRAM_F32, GRAM_F16, GRAM_BF16};

    for (int i = 0; i < 6 * 9 * 4; i++) {
        const struct shape s = {.bits = 4,
                                .is_table = true,
                                .is_symmetric = true,
                                .high_first = i % 3 == 0,
                                .has_spans = i / 2 % 2,
                                .is_split = i % 2,
                                .is_extreme = i % 11 == 0,
                                .scale_dtype = dtypes[i % 3],
                                .group = groups[i / 4 % 6],
                                .T = tokens[i / 24],
                                .rows = rows[i % 6],
                                .cols = cols[i % 7]};
        check_shape(c, &s);
    }
    for (int is_split = 0; is_split < 2; is_split++) {
        const struct shape s = {.bits = 4, .is_table = true, .is_symmetric = true,
                                .scale_dtype = GRAM_F32, .group = 64,
                                .T = 321, .rows = 20, .cols = 1156, .is_split = is_split};
        check_shape(c, &s);
    }
}

void check_int_linear(struct kcheck *c)
{
    static const int64_t groups[] = {16, 32, 64, 128, 20, 512, 1 << 17};
    static const int64_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 13, 64};
    static const int64_t rows[] = {1, 16, 17, 64, 83, 37}, cols[] = {64, 70, 129, 128, 300, 257, 1};
    static const enum gram_dtype dtypes[] = {GRAM_F32, GRAM_F16, GRAM_BF16};
    static const int bits[] = {2, 3, 4, 5, 6, 8, 8};
    int turn = 0;

    for (int b = 0; b < 7; b++) {
        for (int i = 0; i < 7 * 9 * 4; i++, turn++) {
            const struct shape s = {.bits = bits[b],
                                    .is_signed = b == 6,
                                    .is_symmetric = i % 2,
                                    .has_spans = i / 2 % 2,
                                    .scale_dtype = dtypes[turn % 3],
                                    .is_split = turn % 5 == 0,
                                    .has_far_zeros = turn % 11 == 0,
                                    .group = groups[i / 4 % 7],
                                    .T = tokens[i / 28],
                                    .rows = rows[turn % 6],
                                    .cols = cols[turn % 7]};
            check_shape(c, &s);
        }
        check_extremes(c, bits[b]);
        check_passes(c, bits[b]);
    }
    check_tables(c);
}
