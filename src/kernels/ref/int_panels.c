/* Integer panels: what every level must give, bit for bit. */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kernels/int_layout.h"
#include "kernels/variants.h"

void gram_acts_layout__ref(struct gram_int_acts *acts)
{
    acts->height = gram_acts_height(acts->rows, acts->parts);
    acts->run = GRAM_ACTS_QUAD;
}

/* Row i of codes; in the order of x at `codes` too. */
static void quantize_row(const struct gram_int_acts *acts, int64_t i, const float *x, int8_t *codes)
{
    for (int64_t s = 0; s < acts->spans; s++) {
        const int64_t k = s * acts->span, n = gram_min_i64(acts->span, acts->cols - k);
        *gram_acts_scale(acts, i, s) = gram_quantize_i8__ref(codes + k, x + k, n);
    }
    memset(codes + acts->cols, 0, (size_t)(acts->stride - acts->cols));
    for (int64_t q = 0; q < acts->stride / 4; q++)
        memcpy(gram_acts_quad(acts, i, q), codes + 4 * q, 4);
    for (int64_t g = 0; g < acts->groups; g++) {
        const int64_t end = gram_min_i64((g + 1) * acts->group, acts->cols);
        int32_t sum = 0;
        for (int64_t k = g * acts->group; k < end; k++)
            sum += codes[k];
        *gram_acts_sum(acts, i, g) = sum;
    }
}

void gram_quantize_acts__ref(const struct gram_int_acts *acts, int64_t t, const float *x,
                             void *scratch)
{
    float *rest = scratch;
    int8_t *codes = (int8_t *)(rest + acts->stride);

    quantize_row(acts, t * acts->parts, x, codes);
    if (acts->parts == 1)
        return;
    for (int64_t k = 0; k < acts->cols; k++)
        rest[k] = fmaf(-(float)codes[k], *gram_acts_scale(acts, 2 * t, k / acts->span), x[k]);
    quantize_row(acts, 2 * t + 1, rest, codes);
}

/* Of output r of a panel and input i of one of its groups, which has n quads and starts at `in`. */
static int code_of(const uint8_t *in, int bits, int64_t n, int64_t r, int64_t i)
{
    const int low = gram_low_bits(bits), high = gram_high_bits(bits);
    const int64_t unit = i / 4 / gram_unit_quads(bits) * gram_unit_quads(bits); /* first quad */
    const int64_t quad = i / 4 - unit;
    const int64_t unit_n = gram_min_i64(gram_unit_quads(bits), n - unit);
    const uint8_t *lows = in + gram_quads_bytes(bits, unit) + 4 * r + i % 4;
    const uint8_t *highs = lows + gram_low_bytes(bits, unit_n);
    const int code = lows[quad * low / 8 * GRAM_QUAD_BYTES] >> quad * low % 8 & ((1 << low) - 1);

    return high ? code | (*highs >> quad * high & ((1 << high) - 1)) << low : code;
}

/* What a code multiplies in row i of codes. */
static int value_of(const struct gram_int_panels *w, int64_t at, int code,
                    const struct gram_int_acts *acts, int64_t i)
{
    const int offset = w->offsets ? w->offsets[at] : 1 << (w->bits - 1);
    if (!w->is_table)
        return code - offset;
    return w->values[0][code] * 256 + (i % acts->parts == 0 ? w->values[1][code] : 128) - (1 << 15);
}

static float scale_of(const struct gram_int_panels *w, int64_t at)
{
    if (w->scale_dtype == GRAM_F32)
        return ((const float *)w->scales)[at];
    const uint16_t half = ((const uint16_t *)w->scales)[at];
    return w->scale_dtype == GRAM_F16 ? gram_f32_from_f16(half) : gram_f32_from_bf16(half);
}

/* y with what group g of output n adds for row i of codes. */
static float add_group(float y, const struct gram_int_acts *acts, int64_t i,
                       const struct gram_int_panels *w, int64_t n, int64_t g)
{
    const int64_t panel = n / GRAM_PANEL,
                  at = (panel * w->groups + g) * GRAM_PANEL + n % GRAM_PANEL;
    const uint8_t *in = w->codes + panel * w->panel_bytes + gram_group_offset(w, g);
    const float x_scale = *gram_acts_scale(acts, i, gram_acts_span(acts, g));
    int32_t sum = 0;

    for (int64_t k = 0; k < gram_group_inputs(w, g); k++) {
        const int8_t *x = gram_acts_quad(acts, i, (g * w->group + k) / 4) + k % 4;
        const int code = code_of(in, w->bits, gram_group_quads(w, g), n % GRAM_PANEL, k);
        sum += value_of(w, at, code, acts, i) * *x;
    }
    return fmaf((float)sum, scale_of(w, at) * x_scale, y);
}

static float output(const struct gram_int_acts *acts, int64_t i, const struct gram_int_panels *w,
                    int64_t n)
{
    float y = 0.0f;
    for (int64_t g = 0; g < w->groups; g++)
        y = add_group(y, acts, i, w, n, g);
    return y;
}

void gram_int_linear__ref(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                          const struct gram_int_panels *w, int64_t begin, int64_t end,
                          void *scratch)
{
    const int64_t last = gram_min_i64(end * GRAM_PANEL, w->rows), parts = acts->parts;
    (void)scratch;

    for (int64_t t = 0; t < acts->rows; t++)
        for (int64_t n = begin * GRAM_PANEL; n < last; n++) {
            const float first = output(acts, t * parts, w, n);
            y[t * y_stride + n] =
                parts == 1 ? first : first + output(acts, t * parts + 1, w, n);
        }
}
