/* Integer panels: what every level must give, bit for bit. */
#include <string.h>

#include "base/half.h"
#include "kernels/int_layout.h"
#include "kernels/variants.h"

void gram_quantize_acts__ref(const struct gram_int_acts *acts, int64_t t, const float *x)
{
    int8_t *codes = acts->codes + t * acts->stride;

    for (int64_t s = 0; s < acts->spans; s++) {
        const int64_t k = s * acts->span, n = gram_min_i64(acts->span, acts->cols - k);
        acts->scales[t * acts->spans + s] = gram_quantize_i8__ref(codes + k, x + k, n);
    }
    memset(codes + acts->cols, 0, (size_t)(acts->stride - acts->cols));
    for (int64_t g = 0; g < acts->groups; g++) {
        const int64_t end = gram_min_i64((g + 1) * acts->group, acts->cols);
        int32_t sum = 0;
        for (int64_t k = g * acts->group; k < end; k++)
            sum += codes[k];
        acts->sums[t * acts->groups + g] = sum;
    }
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

static float scale_of(const struct gram_int_panels *w, int64_t at)
{
    if (w->scale_dtype == GRAM_F32)
        return ((const float *)w->scales)[at];
    const uint16_t half = ((const uint16_t *)w->scales)[at];
    return w->scale_dtype == GRAM_F16 ? gram_f32_from_f16(half) : gram_f32_from_bf16(half);
}

static float group_part(const struct gram_int_acts *acts, int64_t t,
                        const struct gram_int_panels *w, int64_t n, int64_t g)
{
    const int64_t panel = n / GRAM_PANEL,
                  at = (panel * w->groups + g) * GRAM_PANEL + n % GRAM_PANEL;
    const uint8_t *in = w->codes + panel * w->panel_bytes + gram_group_offset(w, g);
    const int8_t *x = acts->codes + t * acts->stride + g * w->group;
    const int offset = w->offsets ? w->offsets[at] : 1 << (w->bits - 1);
    const float x_scale = acts->scales[t * acts->spans + gram_acts_span(acts, g)];
    int32_t sum = 0;

    for (int64_t i = 0; i < gram_group_inputs(w, g); i++)
        sum += (code_of(in, w->bits, gram_group_quads(w, g), n % GRAM_PANEL, i) - offset) * x[i];
    return (float)sum * (scale_of(w, at) * x_scale);
}

void gram_int_linear__ref(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                          const struct gram_int_panels *w, int64_t begin, int64_t end,
                          void *scratch)
{
    const int64_t last = gram_min_i64(end * GRAM_PANEL, w->rows);
    (void)scratch;

    for (int64_t t = 0; t < acts->rows; t++) {
        for (int64_t n = begin * GRAM_PANEL; n < last; n++) {
            float sum = 0.0f;
            for (int64_t g = 0; g < w->groups; g++)
                sum += group_part(acts, t, w, n, g);
            y[t * y_stride + n] = sum;
        }
    }
}
