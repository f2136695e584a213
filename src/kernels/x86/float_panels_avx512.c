/* Linears over float panels: AVX-512. */
#include "kernels/simd/vec_avx512.h"
#include "kernels/simd/float_panels.h"
#include "kernels/variants.h"

void gram_float_linear__avx512(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                               int64_t T, const struct gram_float_panels *w, int64_t begin,
                               int64_t end, void *scratch)
{
    float_linear_body(y, y_stride, x, x_stride, T, w, begin, end, scratch, false);
}

void gram_float_linear_add__avx512(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                   int64_t T, const struct gram_float_panels *w, int64_t begin,
                                   int64_t end, void *scratch)
{
    float_linear_body(y, y_stride, x, x_stride, T, w, begin, end, scratch, true);
}
