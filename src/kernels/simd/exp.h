/*
 * exp(x) for x <= 0, over the vectors of the vec_*.h that was included before.
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2, exp(x) = 2^n exp(r); ln 2 in two parts (Cody, Waite 1980),
 * exp(r) by the degree 7 minimax polynomial of Cephes' expf. Within 1.5 ulp of exp where that is a
 * normal number (kcheck measures it); 0 below, and for -Inf. NaN stays NaN.
 */
#ifndef GRAM_KERNELS_SIMD_EXP_H
#define GRAM_KERNELS_SIMD_EXP_H

#include "kernels/simd/inline.h"

static const float exp_coefficients[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                         4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
enum { EXP_TERMS = sizeof exp_coefficients / sizeof exp_coefficients[0] };

static inline vf vf_exp(vf x)
{
    const float smallest = -87.33654f; /* ln FLT_MIN, rounded up */
    const vf n = vf_round(vf_mul(vf_max(vf_set(smallest), x), vf_set(1.44269504f)));
    vf r = vf_fnma(n, vf_set(0.693359375f), x);
    r = vf_fnma(n, vf_set(-2.12194440e-4f), r);

    vf sum = vf_set(exp_coefficients[0]);
    UNROLL
    for (int i = 1; i < EXP_TERMS; i++)
        sum = vf_fma(sum, r, vf_set(exp_coefficients[i]));
    const vf series = vf_add(vf_fma(sum, vf_mul(r, r), r), vf_set(1.0f));
    return vf_if_below(x, smallest, vf_set(0.0f), vf_mul(series, vf_pow2(n)));
}

/*
 * 2^x for x <= 0: x = n + r with |r| <= 1/2, which loses nothing, and 2^r by a minimax polynomial of
 * degree 6 and relative error 1.6e-8 (Lawson's iteration). 0 below 2^-126, and for -Inf; NaN stays.
 */
static const float exp2_coefficients[] = {1.535336050e-4f, 1.339887502e-3f, 9.618436918e-3f,
                                          5.550332367e-2f, 2.402264774e-1f, 6.931471825e-1f, 1.0f};
enum { EXP2_TERMS = sizeof exp2_coefficients / sizeof exp2_coefficients[0] };

static inline vf vf_exp2(vf x)
{
    const float smallest = -126.0f;
    const vf n = vf_round(vf_max(vf_set(smallest), x)), r = vf_sub(x, n);

    vf sum = vf_set(exp2_coefficients[0]);
    UNROLL
    for (int i = 1; i < EXP2_TERMS; i++)
        sum = vf_fma(sum, r, vf_set(exp2_coefficients[i]));
    return vf_if_below(x, smallest, vf_set(0.0f), vf_times_pow2(sum, n));
}

#endif
