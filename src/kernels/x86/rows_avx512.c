/* Rows of activations: AVX-512. */
#include "kernels/simd/vec_avx512.h"
#include "kernels/simd/rows.h"
#include "kernels/variants.h"

void gram_rmsnorm__avx512(float *y, const float *x, const float *weight, int64_t n, float eps)
{
    rmsnorm_body(y, x, weight, n, eps);
}

void gram_softmax__avx512(float *x, int64_t n)
{
    softmax_body(x, n);
}

void gram_swiglu__avx512(float *y, const float *gate, const float *up, int64_t n)
{
    swiglu_body(y, gate, up, n);
}

void gram_swiglu_vjp__avx512(float *d_gate, float *d_up, const float *gate, const float *up,
                             const float *dy, int64_t n)
{
    swiglu_vjp_body(d_gate, d_up, gate, up, dy, n);
}

void gram_add__avx512(float *y, const float *a, const float *b, int64_t n)
{
    add_body(y, a, b, n);
}

void gram_rope__avx512(float *y, const float *x, const float *cs, const float *sn, int64_t half)
{
    rope_body(y, x, cs, sn, half);
}
