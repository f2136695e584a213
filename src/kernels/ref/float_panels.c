/* Linears over float panels. */
#include "base/checked.h"
#include "base/half.h"
#include "kernels/variants.h"

static float element(const struct gram_float_panels *w, int64_t i)
{
    switch (w->dtype) {
    case GRAM_F16:
        return gram_f32_from_f16(((const uint16_t *)w->data)[i]);
    case GRAM_BF16:
        return gram_f32_from_bf16(((const uint16_t *)w->data)[i]);
    default:
        return ((const float *)w->data)[i];
    }
}

/* sum + x . w[n] */
static float output(float sum, const float *x, const struct gram_float_panels *w, int64_t n)
{
    const int64_t panel = n / GRAM_PANEL * w->cols * GRAM_PANEL, lane = n % GRAM_PANEL;

    for (int64_t k = 0; k < w->cols; k++)
        sum += x[k] * element(w, panel + k * GRAM_PANEL + lane);
    return sum;
}

void gram_float_linear_add__ref(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                int64_t T, const struct gram_float_panels *w, int64_t begin,
                                int64_t end, void *scratch)
{
    const int64_t stop = gram_min_i64(end * GRAM_PANEL, w->rows);
    (void)scratch;

    for (int64_t n = begin * GRAM_PANEL; n < stop; n++)
        for (int64_t t = 0; t < T; t++)
            y[t * y_stride + n] = output(y[t * y_stride + n], x + t * x_stride, w, n);
}

void gram_float_linear__ref(float *y, int64_t y_stride, const float *x, int64_t x_stride, int64_t T,
                            const struct gram_float_panels *w, int64_t begin, int64_t end,
                            void *scratch)
{
    const int64_t stop = gram_min_i64(end * GRAM_PANEL, w->rows);
    (void)scratch;

    for (int64_t n = begin * GRAM_PANEL; n < stop; n++)
        for (int64_t t = 0; t < T; t++)
            y[t * y_stride + n] = output(0.0f, x + t * x_stride, w, n);
}
