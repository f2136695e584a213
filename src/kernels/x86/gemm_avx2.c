/* Products of f32 matrices and rows: AVX2 with FMA. */
#include "kernels/simd/vec_avx2.h"
#include "kernels/simd/gemm.h"
#include "kernels/variants.h"

void gram_gemm_f32__avx2(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                         const float *w, int64_t w_stride, int64_t T, int64_t N, int64_t K)
{
    const struct gemm g = {y_stride, x_stride, w_stride, K};
    gemm_body(y, x, w, &g, T, N);
}

float gram_dot_f32__avx2(const float *a, const float *b, int64_t n)
{
    return dot_body(a, b, n);
}

void gram_axpy__avx2(float *y, float s, const float *x, int64_t n)
{
    axpy_body(y, s, x, n);
}
