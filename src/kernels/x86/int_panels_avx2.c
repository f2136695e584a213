/* Integer linears and their activations: AVX2. */
#include "kernels/simd/quad_avx2.h"

#include "kernels/simd/int_acts.h"
#include "kernels/simd/int_many.h"
#include "kernels/variants.h"

void gram_int_linear__avx2(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                           const struct gram_int_panels *w, int64_t begin, int64_t end,
                           void *scratch)
{
    int_linear(y, y_stride, acts, w, begin, end, scratch);
}

static int32_t sum_of(const int8_t *x, int64_t n)
{
    const __m256i ones = _mm256_set1_epi8(1);
    __m256i sums = _mm256_setzero_si256();
    _Alignas(32) int32_t lanes[8];
    int64_t i = 0;
    int32_t sum = 0;

    for (; i + 32 <= n; i += 32) {
        const __m256i pairs = _mm256_maddubs_epi16(ones, _mm256_loadu_si256((const void *)(x + i)));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    _mm256_store_si256((void *)lanes, sums);
    for (int lane = 0; lane < 8; lane++)
        sum += lanes[lane];
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

void gram_quantize_acts__avx2(const struct gram_int_acts *acts, int64_t t, const float *x,
                                   void *scratch)
{
    quantize_acts(acts, t, x, scratch, gram_quantize_i8__avx2, sum_of);
}
