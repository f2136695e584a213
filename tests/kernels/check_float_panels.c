/*
 * Linears over float panels: the panels themselves bit for bit, then every product against its sum
 * in double with the bound of check_gemm.c (C n FLT_EPSILON sum |x w|), and the same bits for one
 * token or many and for any range of panels.
 */
#include "kcheck.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "kernels/panels.h"

struct shape {
    enum gram_dtype dtype;
    int64_t T, rows, cols;
    int64_t y_stride, x_stride;
};

static int64_t element_bytes(enum gram_dtype dtype)
{
    return dtype == GRAM_F32 ? 4 : 2;
}

static void element_set(void *data, enum gram_dtype dtype, int64_t i, float value)
{
    if (dtype == GRAM_F32)
        ((float *)data)[i] = value;
    else
        ((uint16_t *)data)[i] =
            dtype == GRAM_F16 ? gram_f16_from_f32(value) : gram_bf16_from_f32(value);
}

static double element(const void *data, enum gram_dtype dtype, int64_t i)
{
    if (dtype == GRAM_F32)
        return (double)((const float *)data)[i];
    const uint16_t half = ((const uint16_t *)data)[i];
    return (double)(dtype == GRAM_F16 ? gram_f32_from_f16(half) : gram_f32_from_bf16(half));
}

/* A weight whose rows have a gap behind them, against the unreadable page. */
static struct gram_weight place_weight(struct kcheck *c, const struct shape *s, enum kind kind)
{
    const int64_t stride = s->cols + s->rows % 3, elements = (s->rows - 1) * stride + s->cols;
    void *data = place(c, RIGHT, elements * element_bytes(s->dtype));

    for (int64_t i = 0; i < elements; i++)
        element_set(data, s->dtype, i, random_float(c, kind));
    return (struct gram_weight){.rows = s->rows,
                                .cols = s->cols,
                                .data = data,
                                .row_bytes = stride * element_bytes(s->dtype),
                                .dtype = s->dtype};
}

/* Bits unchanged, padding zero. */
static void check_repacked(struct kcheck *c, const struct gram_weight *w, const char *panels)
{
    const char zero[4] = {0};
    const int64_t size = element_bytes(w->dtype);

    for (int64_t n = 0; n < gram_panel_count(w->rows) * GRAM_PANEL; n++) {
        for (int64_t k = 0; k < w->cols; k++) {
            const int64_t at = (n / GRAM_PANEL * w->cols + k) * GRAM_PANEL + n % GRAM_PANEL;
            const char *want =
                n < w->rows ? (const char *)w->data + n * w->row_bytes + k * size : zero;
            if (memcmp(panels + at * size, want, (size_t)size) != 0)
                fail(c, "panel of [%lld, %lld]: element %lld, %lld is not that of the weight",
                     (long long)w->rows, (long long)w->cols, (long long)n, (long long)k);
        }
    }
}

/* Panels [0, split) and [split, end) filled apart, against the unreadable page. */
static struct gram_float_panels place_panels(struct kcheck *c, const struct gram_weight *w)
{
    const int64_t count = gram_panel_count(w->rows), split = count / 2;
    void *data = place(c, THIRD, (int64_t)gram_float_panels_bytes(w));

    gram_float_panels_fill(data, w, 0, split);
    gram_float_panels_fill(data, w, split, count);
    check_canaries(c, "gram_float_panels_fill");
    check_repacked(c, w, data);
    return (struct gram_float_panels){w->rows, w->cols, w->dtype, data};
}

static void check_value(struct kcheck *c, const struct shape *s, const struct gram_weight *w,
                        const float *x, int64_t t, int64_t n, float got)
{
    double sum = 0.0, magnitude = 0.0;

    for (int64_t k = 0; k < s->cols; k++) {
        const double weight = element((const char *)w->data + n * w->row_bytes, w->dtype, k);
        sum += (double)x[k] * weight;
        magnitude += fabs((double)x[k] * weight);
    }
    if (!near(got, sum, (double)(s->cols + 1) * (FLT_EPSILON * magnitude + 0x1p-149)))
        fail(c, "dtype %d T %lld [%lld, %lld]: y[%lld][%lld] is %.9g, not %.9g", s->dtype,
             (long long)s->T, (long long)s->rows, (long long)s->cols, (long long)t, (long long)n,
             (double)got, sum);
}

/* The same call token by token and panel by panel must give the bits of the whole. */
static void check_pieces(struct kcheck *c, const struct shape *s, const struct gram_float_panels *w,
                         const float *x, const float *whole, void *scratch)
{
    static float alone[1 << 10];

    for (int64_t t = 0; t < s->T; t++) {
        for (int64_t p = 0; p < gram_panel_count(s->rows); p++) {
            const int64_t n0 = p * GRAM_PANEL;
            const int64_t left = s->rows - n0 < GRAM_PANEL ? s->rows - n0 : GRAM_PANEL;
            c->kernels->float_linear(alone, s->rows, x + t * s->x_stride, s->x_stride, 1, w, p,
                                     p + 1, scratch);
            if (memcmp(alone + n0, whole + t * s->y_stride + n0, (size_t)left * sizeof *whole) != 0)
                fail(c, "dtype %d T %lld [%lld, %lld]: token %lld, panel %lld differs alone",
                     s->dtype, (long long)s->T, (long long)s->rows, (long long)s->cols,
                     (long long)t, (long long)p);
        }
    }
}

static void check_shape(struct kcheck *c, const struct shape *s, enum kind kind)
{
    static _Alignas(GRAM_PANEL_ALIGN) char scratch[GRAM_PANEL_SCRATCH];
    const struct gram_weight w = place_weight(c, s, kind);
    const struct gram_float_panels panels = place_panels(c, &w);
    const float *x = place_floats(c, LEFT, (s->T - 1) * s->x_stride + s->cols, kind);
    const int64_t count = (s->T - 1) * s->y_stride + s->rows;
    float *y = place_floats(c, OUT, count, UNIT);
    float *gaps = malloc((size_t)count * sizeof *gaps);

    memcpy(gaps, y, (size_t)count * sizeof *y);
    c->kernels->float_linear(y, s->y_stride, x, s->x_stride, s->T, &panels, 0,
                             gram_panel_count(s->rows), scratch);
    check_canaries(c, "float_linear");
    for (int64_t i = 0; i < count; i++) {
        const int64_t t = i / s->y_stride, n = i % s->y_stride;
        if (n < s->rows)
            check_value(c, s, &w, x + t * s->x_stride, t, n, y[i]);
        else if (memcmp(&y[i], &gaps[i], sizeof *y) != 0)
            fail(c, "T %lld rows %lld: the gap after token %lld was written", (long long)s->T,
                 (long long)s->rows, (long long)t);
    }
    check_pieces(c, s, &panels, x, y, scratch);
    free(gaps);
}

void check_float_linear(struct kcheck *c)
{
    static const int64_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 13, 64};
    static const int64_t rows[] = {1, 15, 16, 17, 64, 83, 130, 150};
    static const int64_t cols[] = {1, 2, 7, 33, 256, 257};
    static const enum gram_dtype dtypes[] = {GRAM_F32, GRAM_F16, GRAM_BF16};
    int64_t turn = 0;

    for (int i = 0; i < 9; i++)
        for (int j = 0; j < 8; j++)
            for (int k = 0; k < 6; k++)
                for (int d = 0; d < 3; d++, turn++) {
                    const struct shape s = {dtypes[d], tokens[i],          rows[j],
                                            cols[k],   rows[j] + turn % 3, cols[k] + turn % 5};
                    check_shape(c, &s, (enum kind)(turn % N_KINDS));
                }
    check_shape(c, &(struct shape){GRAM_F16, 7, 300, 530, 300, 530}, UNIT);
    check_shape(c, &(struct shape){GRAM_F32, 9, 290, 1030, 290, 1031}, WIDE);
}

/* A product cut along k, the second part added to the first, must give the bits of the whole. */
static void check_cut(struct kcheck *c, const struct shape *s, int64_t cut)
{
    static _Alignas(GRAM_PANEL_ALIGN) char scratch[GRAM_PANEL_SCRATCH];
    const struct gram_weight w = place_weight(c, s, UNIT);
    const struct gram_float_panels whole = place_panels(c, &w);
    const int64_t size = element_bytes(s->dtype), panels = gram_panel_count(s->rows);
    const float *x = place_floats(c, LEFT, (s->T - 1) * s->x_stride + s->cols, UNIT);
    const int64_t count = (s->T - 1) * s->y_stride + s->rows;
    float *y = place_floats(c, OUT, count, UNIT), *want = calloc((size_t)count, sizeof *want);
    char *part = malloc((size_t)(panels * GRAM_PANEL * s->cols * size) + 1);

    memcpy(want, y, (size_t)count * sizeof *y);
    c->kernels->float_linear(want, s->y_stride, x, s->x_stride, s->T, &whole, 0, panels, scratch);
    for (int64_t k = 0, n; k < s->cols; k += n) {
        n = k == 0 ? cut : s->cols - cut;
        const struct gram_weight columns = {.rows = s->rows,
                                            .cols = n,
                                            .data = (const char *)w.data + k * size,
                                            .dtype = s->dtype,
                                            .row_bytes = w.row_bytes};
        gram_float_panels_fill(part, &columns, 0, panels);
        (k == 0 ? c->kernels->float_linear : c->kernels->float_linear_add)(
            y, s->y_stride, x + k, s->x_stride, s->T,
            &(struct gram_float_panels){s->rows, n, s->dtype, part}, 0, panels, scratch);
    }
    check_canaries(c, "float_linear_add");
    if (memcmp(y, want, (size_t)count * sizeof *y) != 0)
        fail(c, "dtype %d T %lld [%lld, %lld]: cut at input %lld, the sums differ", s->dtype,
             (long long)s->T, (long long)s->rows, (long long)s->cols, (long long)cut);
    free(part);
    free(want);
}

void check_float_linear_add(struct kcheck *c)
{
    static const int64_t tokens[] = {1, 5, 7, 64}, rows[] = {1, 16, 83, 150};

    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (int d = GRAM_F32; d <= GRAM_BF16; d++) {
                const struct shape s = {(enum gram_dtype)d, tokens[i], rows[j], 300, rows[j] + 1, 301};
                check_cut(c, &s, 130);
                check_cut(c, &s, 1);
            }
}
