/* What happens to rows of activations between the linears. */
#include <math.h>

#include "kernels/variants.h"

void gram_rmsnorm__ref(float *y, const float *x, const float *weight, int64_t n, float eps)
{
    double squares = 0.0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    const float inverse = (float)(1.0 / sqrt(squares / (double)n + eps));

    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * inverse * weight[i];
}

void gram_softmax__ref(float *x, int64_t n)
{
    float top = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    const float shift = top > -INFINITY ? top : 0.0f; /* -Inf - -Inf would be NaN */

    float sum = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - shift);
        sum += x[i];
    }
    const float inverse = sum > 0.0f ? 1.0f / sum : 0.0f;
    for (int64_t i = 0; i < n; i++)
        x[i] *= inverse;
}

void gram_swiglu__ref(float *y, const float *gate, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

void gram_swiglu_vjp__ref(float *d_gate, float *d_up, const float *gate, const float *up,
                          const float *dy, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float s = 1.0f / (1.0f + expf(-gate[i]));
        d_gate[i] = dy[i] * up[i] * s * (1.0f + gate[i] * (1.0f - s));
        d_up[i] = dy[i] * gate[i] * s;
    }
}

void gram_add__ref(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void gram_rope__ref(float *y, const float *x, const float *cs, const float *sn, int64_t half)
{
    for (int64_t i = 0; i < half; i++) {
        const float a = x[i], b = x[i + half];
        y[i] = a * cs[i] - b * sn[i];
        y[i + half] = b * cs[i] + a * sn[i];
    }
}
