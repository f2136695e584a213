/* Rows of activations, over the vectors of the vec_*.h that was included before. */
#ifndef GRAM_KERNELS_SIMD_ROWS_H
#define GRAM_KERNELS_SIMD_ROWS_H

#include <math.h>
#include <stdint.h>

#include "kernels/simd/exp.h"

static inline double sum_of_squares(const float *x, int64_t n)
{
    vd sum = vd_zero();
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        sum = vd_add_square(sum, vf_load(x + i));
    if (i < n)
        sum = vd_add_square(sum, vf_load_n(x + i, n - i));
    return vd_sum(sum);
}

static inline void rmsnorm_body(float *y, const float *x, const float *weight, int64_t n, float eps)
{
    const vf inverse = vf_set((float)(1.0 / sqrt(sum_of_squares(x, n) / (double)n + eps)));
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        vf_store(y + i, vf_mul(vf_mul(vf_load(x + i), inverse), vf_load(weight + i)));
    if (i < n) {
        const vf scaled = vf_mul(vf_load_n(x + i, n - i), inverse);
        vf_store_n(y + i, vf_mul(scaled, vf_load_n(weight + i, n - i)), n - i);
    }
}

/* The maximum, or -Inf; a NaN is none. */
static inline float row_top(const float *x, int64_t n)
{
    vf top = vf_set(-INFINITY);
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        top = vf_max(vf_load(x + i), top);
    float best = vf_top(top);
    for (; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

static inline void row_scale(float *x, float factor, int64_t n)
{
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        vf_store(x + i, vf_mul(vf_load(x + i), vf_set(factor)));
    if (i < n)
        vf_store_n(x + i, vf_mul(vf_load_n(x + i, n - i), vf_set(factor)), n - i);
}

static inline void softmax_body(float *x, int64_t n)
{
    const float top = row_top(x, n);
    const vf shift = vf_set(top > -INFINITY ? top : 0.0f); /* -Inf - -Inf would be NaN */
    vf sums = vf_set(0.0f);
    int64_t i = 0;

    for (; i + VF <= n; i += VF) {
        const vf e = vf_exp(vf_sub(vf_load(x + i), shift));
        sums = vf_add(sums, e);
        vf_store(x + i, e);
    }
    float sum = vf_sum(sums);
    if (i < n) {
        vf_store_n(x + i, vf_exp(vf_sub(vf_load_n(x + i, n - i), shift)), n - i);
        for (; i < n; i++)
            sum += x[i];
    }
    row_scale(x, sum > 0.0f ? 1.0f / sum : 0.0f, n);
}

/* With e = exp(-|z|): silu(z) is z / (1 + e) for z >= 0 and z e / (1 + e) below. Nothing overflows.
 */
static inline vf vf_silu(vf z)
{
    const vf one = vf_set(1.0f);
    const vf e = vf_exp(vf_sub(vf_set(0.0f), vf_abs(z)));
    return vf_div(vf_mul(z, vf_if_below(z, 0.0f, e, one)), vf_add(one, e));
}

static inline void swiglu_body(float *y, const float *gate, const float *up, int64_t n)
{
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        vf_store(y + i, vf_mul(vf_silu(vf_load(gate + i)), vf_load(up + i)));
    if (i < n) {
        const vf silu = vf_silu(vf_load_n(gate + i, n - i));
        vf_store_n(y + i, vf_mul(silu, vf_load_n(up + i, n - i)), n - i);
    }
}

/* 1 / (1 + exp(-z)), as above. */
static inline vf vf_sigmoid(vf z)
{
    const vf one = vf_set(1.0f);
    const vf e = vf_exp(vf_sub(vf_set(0.0f), vf_abs(z)));
    return vf_div(vf_if_below(z, 0.0f, e, one), vf_add(one, e));
}

struct swiglu_slopes {
    vf gate, up;
};

static inline struct swiglu_slopes swiglu_slopes_of(vf gate, vf up, vf dy)
{
    const vf one = vf_set(1.0f), s = vf_sigmoid(gate), pull = vf_mul(dy, s);
    const vf slope = vf_fma(gate, vf_sub(one, s), one);
    return (struct swiglu_slopes){vf_mul(vf_mul(pull, up), slope), vf_mul(pull, gate)};
}

static inline void swiglu_vjp_body(float *d_gate, float *d_up, const float *gate, const float *up,
                                   const float *dy, int64_t n)
{
    int64_t i = 0;

    for (; i + VF <= n; i += VF) {
        const struct swiglu_slopes s =
            swiglu_slopes_of(vf_load(gate + i), vf_load(up + i), vf_load(dy + i));
        vf_store(d_gate + i, s.gate);
        vf_store(d_up + i, s.up);
    }
    if (i < n) {
        const struct swiglu_slopes s = swiglu_slopes_of(
            vf_load_n(gate + i, n - i), vf_load_n(up + i, n - i), vf_load_n(dy + i, n - i));
        vf_store_n(d_gate + i, s.gate, n - i);
        vf_store_n(d_up + i, s.up, n - i);
    }
}

static inline void add_body(float *y, const float *a, const float *b, int64_t n)
{
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        vf_store(y + i, vf_add(vf_load(a + i), vf_load(b + i)));
    if (i < n)
        vf_store_n(y + i, vf_add(vf_load_n(a + i, n - i), vf_load_n(b + i, n - i)), n - i);
}

static inline void rope_body(float *y, const float *x, const float *cs, const float *sn,
                             int64_t half)
{
    int64_t i = 0;

    for (; i + VF <= half; i += VF) {
        const vf a = vf_load(x + i), b = vf_load(x + i + half);
        const vf c = vf_load(cs + i), s = vf_load(sn + i);
        vf_store(y + i, vf_fnma(b, s, vf_mul(a, c)));
        vf_store(y + i + half, vf_fma(a, s, vf_mul(b, c)));
    }
    for (; i < half; i++) {
        const float a = x[i], b = x[i + half];
        y[i] = a * cs[i] - b * sn[i];
        y[i + half] = b * cs[i] + a * sn[i];
    }
}

#endif
