/* Linears over float panels: NEON. */
#include "kernels/simd/vec_neon.h"
#include "kernels/simd/float_panels.h"
#include "kernels/variants.h"

void gram_float_linear__neon(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                             int64_t T, const struct gram_float_panels *w, int64_t begin,
                             int64_t end, void *scratch)
{
    float_linear_body(y, y_stride, x, x_stride, T, w, begin, end, scratch, false);
}

void gram_float_linear_add__neon(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                 int64_t T, const struct gram_float_panels *w, int64_t begin,
                                 int64_t end, void *scratch)
{
    float_linear_body(y, y_stride, x, x_stride, T, w, begin, end, scratch, true);
}
