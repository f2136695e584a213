/* Products of matrices and rows. */
#include "kernels/variants.h"

float gram_dot_f32__ref(const float *a, const float *b, int64_t n)
{
    float sum = 0.0f;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void gram_axpy__ref(float *y, float s, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += s * x[i];
}

void gram_gemm_f32__ref(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                        const float *w, int64_t w_stride, int64_t T, int64_t N, int64_t K)
{
    for (int64_t t = 0; t < T; t++)
        for (int64_t n = 0; n < N; n++)
            y[t * y_stride + n] += gram_dot_f32__ref(x + t * x_stride, w + n * w_stride, K);
}
