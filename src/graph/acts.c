/* Loops over one token: what they cost is small beside the product. */
#include "graph/acts.h"

#include <math.h>

#include "base/checked.h"
#include "base/half.h"
#include "kernels/int_layout.h"
#include "tensor/dtype.h"

static const float round_magic = 12582912.0f; /* 1.5 * 2^23 */

static inline int8_t to_code(float value, float low)
{
    value = value < low ? low : value;
    value = value > 127.0f ? 127.0f : value;
    return (int8_t)(gram_f32_bits(value + round_magic) & 0xff);
}

void gram_acts_static(int8_t *codes, const float *x, int64_t n, float scale)
{
    for (int64_t i = 0; i < n; i++)
        codes[i] = to_code(x[i] / scale, -128.0f);
}

float gram_acts_llm_int8(int8_t *codes, const float *x, int64_t n, float outlier)
{
    float most = 0.0f;

    for (int64_t i = 0; i < n; i++) {
        const float magnitude = fabsf(x[i]);
        most = magnitude < outlier && magnitude > most ? magnitude : most;
    }
    const float steps = most > 0.0f ? 1.0f / most * 127.0f : 0.0f;
    for (int64_t i = 0; i < n; i++)
        codes[i] = fabsf(x[i]) < outlier ? to_code(x[i] * steps, -127.0f) : 0;
    return most / 127.0f;
}

/* Input k of all outputs of the panel. */
static void add_column(float sums[GRAM_PANEL], float x, const struct gram_int_panels *w,
                       int64_t panel, int64_t k)
{
    const uint8_t *quads = w->codes + panel * w->panel_bytes + k / 4 * GRAM_QUAD_BYTES + k % 4;

    for (int r = 0; r < GRAM_PANEL; r++)
        sums[r] += x * (float)(quads[4 * r] - 128);
}

void gram_acts_add_outliers(float *y, const float *x, float outlier, const struct gram_int_panels *w,
                            int64_t panel)
{
    const int64_t n = gram_min_i64(GRAM_PANEL, w->rows - panel * GRAM_PANEL);
    float sums[GRAM_PANEL] = {0}, scales[GRAM_PANEL];
    int64_t found = 0;

    for (int64_t k = 0; k < w->cols; k++) {
        if (fabsf(x[k]) < outlier)
            continue;
        add_column(sums, x[k], w, panel, k);
        found++;
    }
    if (found == 0)
        return;
    gram_read_f32(scales, w->scales, w->scale_dtype, panel * GRAM_PANEL, GRAM_PANEL);
    for (int64_t r = 0; r < n; r++)
        y[r] += sums[r] * scales[r];
}
