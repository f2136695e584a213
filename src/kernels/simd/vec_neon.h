/* A vector of floats, 4 lanes of NEON: what simd/gemm.h and simd/rows.h are written in. */
#ifndef GRAM_KERNELS_SIMD_VEC_NEON_H
#define GRAM_KERNELS_SIMD_VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

typedef float32x4_t vf;  /* VF floats */
typedef float32x4_t vf4; /* four sums */
typedef struct {
    float64x2_t low, high;
} vd; /* VF doubles */

enum { VF = 4 };
#define GEMM_ROWS 4 /* rows of x in a block: 16 sums and 5 operands of 32 registers */
#define FLOAT_WIDE 1 /* panels in a block of 6 tokens: 24 sums, 4 weights and one input */
#define FLOAT_LONE 2 /* panels for one token */

static inline vf vf_set(float value)
{
    return vdupq_n_f32(value);
}

static inline vf vf_load(const float *p)
{
    return vld1q_f32(p);
}

/* Lanes from f16, bf16 and int8. */
static inline vf vf_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline vf vf_load_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

static inline vf vf_load_i8(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    const int8x8_t bytes = vreinterpret_s8_s32(vdup_n_s32(four));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))));
}

/* Lanes to f16, rounded to nearest even. */
static inline void vf_store_f16(uint16_t *p, vf v)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}

/* The first n < VF lanes; zero in the others. */
static inline vf vf_load_n(const float *p, int64_t n)
{
    float lanes[4] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return vld1q_f32(lanes);
}

static inline void vf_store(float *p, vf v)
{
    vst1q_f32(p, v);
}

static inline void vf_store_n(float *p, vf v, int64_t n)
{
    float lanes[4];
    vst1q_f32(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

static inline vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}

/* a * b + c, and c - a * b, rounded once. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}

static inline vf vf_fnma(vf a, vf b, vf c)
{
    return vfmsq_f32(c, a, b);
}

/* The larger; the number where one is NaN. */
static inline vf vf_max(vf a, vf b)
{
    return vmaxnmq_f32(a, b);
}

static inline vf vf_abs(vf v)
{
    return vabsq_f32(v);
}

static inline vf vf_round(vf v)
{
    return vrndnq_f32(v);
}

/* 2^n for integral n in [-126, 127]. */
static inline vf vf_pow2(vf n)
{
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
}

/* v 2^n for integral n in [-126, 127]. */
static inline vf vf_times_pow2(vf v, vf n)
{
    return vf_mul(v, vf_pow2(n));
}

/* Lane by lane: x < limit ? a : b. */
static inline vf vf_if_below(vf x, float limit, vf a, vf b)
{
    return vbslq_f32(vcltq_f32(x, vf_set(limit)), a, b);
}

static inline float vf_sum(vf v)
{
    return vaddvq_f32(v);
}

static inline float vf_top(vf v)
{
    return vmaxnmvq_f32(v);
}

/* The sums of a, b, c and d. */
static inline vf4 vf_sums(vf a, vf b, vf c, vf d)
{
    return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
}

/* y[i] += sums[i] for i < n <= 4 */
static inline void vf4_add_to(float *y, vf4 sums, int64_t n)
{
    if (n == 4)
        vst1q_f32(y, vaddq_f32(vld1q_f32(y), sums));
    else
        vf_store_n(y, vaddq_f32(vf_load_n(y, n), sums), n);
}

static inline vd vd_zero(void)
{
    return (vd){vdupq_n_f64(0.0), vdupq_n_f64(0.0)};
}

/* sum + v * v in double */
static inline vd vd_add_square(vd sum, vf v)
{
    const float64x2_t low = vcvt_f64_f32(vget_low_f32(v));
    const float64x2_t high = vcvt_high_f64_f32(v);
    return (vd){vfmaq_f64(sum.low, low, low), vfmaq_f64(sum.high, high, high)};
}

static inline double vd_sum(vd v)
{
    return vaddvq_f64(vaddq_f64(v.low, v.high));
}

#endif
