/* Activations as int8 and their products with int8 weights: AVX2. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels/simd/inline.h"
#include "kernels/simd/vec_avx2.h"
#include "kernels/variants.h"

static inline float row_absmax(const float *x, int64_t n)
{
    vf top = vf_set(0.0f);
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        top = vf_max(vf_abs(vf_load(x + i)), top);
    if (i < n)
        top = vf_max(vf_abs(vf_load_n(x + i, n - i)), top);
    return vf_top(top);
}

/* The quotient, clamped while still a float (NaN to -128), rounded half to even. */
static inline __m256i codes_of(vf x, vf scale)
{
    const vf code = vf_max(vf_div(x, scale), vf_set(-128.0f));
    return _mm256_cvtps_epi32(_mm256_min_ps(code, vf_set(127.0f)));
}

/* 8 codes as bytes in the low half. */
static inline __m128i pack_8(__m256i codes)
{
    const __m128i low = _mm256_castsi256_si128(codes), high = _mm256_extracti128_si256(codes, 1);
    const __m128i words = _mm_packs_epi32(low, high);
    return _mm_packs_epi16(words, words);
}

float gram_quantize_i8__avx2(int8_t *q, const float *x, int64_t n)
{
    const float scale = row_absmax(x, n) / 127.5f;
    const vf divisor = vf_set(scale > 0.0f ? scale : INFINITY); /* all codes 0 */
    int64_t i = 0;

    for (; i + VF <= n; i += VF)
        _mm_storel_epi64((__m128i *)(q + i), pack_8(codes_of(vf_load(x + i), divisor)));
    if (i < n) {
        int8_t last[16];
        _mm_storeu_si128((__m128i *)last, pack_8(codes_of(vf_load_n(x + i, n - i), divisor)));
        memcpy(q + i, last, (size_t)(n - i));
    }
    return scale;
}

static inline int32_t sum_i32(__m256i v)
{
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* 16 signed bytes as words: products of words cannot saturate, those of bytes (maddubs) could. */
static inline __m256i load_words(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

/* out[n] = x . w[n] for n < N, a constant */
ALWAYS_INLINE void dot_block(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride,
                             int N, int64_t K)
{
    __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                      _mm256_setzero_si256()};
    int64_t k = 0;

    for (; k + 16 <= K; k += 16) {
        const __m256i a = load_words(x + k);
        UNROLL
        for (int n = 0; n < N; n++) {
            const __m256i b = load_words(w + n * w_stride + k);
            sum[n] = _mm256_add_epi32(sum[n], _mm256_madd_epi16(a, b));
        }
    }
    UNROLL
    for (int n = 0; n < N; n++) {
        out[n] = sum_i32(sum[n]);
        for (int64_t tail = k; tail < K; tail++)
            out[n] += x[tail] * w[n * w_stride + tail];
    }
}

void gram_dot_i8__avx2(int32_t *out, const int8_t *x, const int8_t *w, int64_t w_stride, int64_t N,
                       int64_t K)
{
    int64_t n = 0;

    for (; n + 4 <= N; n += 4)
        dot_block(out + n, x, w + n * w_stride, w_stride, 4, K);
    for (; n < N; n++)
        dot_block(out + n, x, w + n * w_stride, w_stride, 1, K);
}
