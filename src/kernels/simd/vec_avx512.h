/* A vector of floats, 16 lanes of AVX-512: what simd/gemm.h and simd/rows.h are written in. */
#ifndef GRAM_KERNELS_SIMD_VEC_AVX512_H
#define GRAM_KERNELS_SIMD_VEC_AVX512_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512 vf;  /* VF floats */
typedef __m128 vf4; /* four sums */
typedef struct {
    __m512d low, high;
} vd; /* VF doubles */

enum { VF = 16 };
#define GEMM_ROWS                                                                                  \
    6 /* rows of x in a block: 24 sums, 4 rows of w and one of x fill 29 of 32 registers */
#define FLOAT_WIDE 4 /* panels in a block of 6 tokens: 24 sums, 4 weights and one input */
#define FLOAT_LONE 8 /* panels for one token: what two units with 4 cycles of latency keep in flight */

static inline __mmask16 vf_mask(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vf vf_set(float value)
{
    return _mm512_set1_ps(value);
}

static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

/* Lanes from f16, bf16 and int8. */
static inline vf vf_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline vf vf_load_bf16(const uint16_t *p)
{
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

static inline vf vf_load_i8(const int8_t *p)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

/* Lanes to f16, rounded to nearest even. */
static inline void vf_store_f16(uint16_t *p, vf v)
{
    _mm256_storeu_si256((__m256i *)(void *)p,
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* The first n < VF lanes; zero in the others. */
static inline vf vf_load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(vf_mask(n), p);
}

static inline void vf_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}

static inline void vf_store_n(float *p, vf v, int64_t n)
{
    _mm512_mask_storeu_ps(p, vf_mask(n), v);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

/* a * b + c, and c - a * b, rounded once. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

/* The larger; b where either is NaN. */
static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf vf_abs(vf v)
{
    return _mm512_abs_ps(v);
}

static inline vf vf_round(vf v)
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^n for integral n in [-126, 127]. */
static inline vf vf_pow2(vf n)
{
    const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
}

/* v 2^n for integral n in [-126, 127]. */
static inline vf vf_times_pow2(vf v, vf n)
{
    return _mm512_scalef_ps(v, n);
}

/* Lane by lane: x < limit ? a : b. */
static inline vf vf_if_below(vf x, float limit, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, vf_set(limit), _CMP_LT_OQ), b, a);
}

static inline float vf_sum(vf v)
{
    return _mm512_reduce_add_ps(v);
}

static inline float vf_top(vf v)
{
    return _mm512_reduce_max_ps(v);
}

/* The sums of a, b, c and d. */
static inline vf4 vf_sums(vf a, vf b, vf c, vf d)
{
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512 all = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

/* y[i] += sums[i] for i < n <= 4 */
static inline void vf4_add_to(float *y, vf4 sums, int64_t n)
{
    const __mmask8 mask = (__mmask8)((1u << n) - 1);
    _mm_mask_storeu_ps(y, mask, _mm_add_ps(_mm_maskz_loadu_ps(mask, y), sums));
}

static inline vd vd_zero(void)
{
    return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

/* sum + v * v in double */
static inline vd vd_add_square(vd sum, vf v)
{
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    return (vd){_mm512_fmadd_pd(low, low, sum.low), _mm512_fmadd_pd(high, high, sum.high)};
}

static inline double vd_sum(vd v)
{
    return _mm512_reduce_add_pd(_mm512_add_pd(v.low, v.high));
}

#endif
