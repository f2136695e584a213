/* Integer linears and their activations: AVX-512 VNNI. */
#include "kernels/simd/quad_avx512vnni.h"

#include "kernels/simd/int_acts.h"
#include "kernels/simd/int_many.h"
#include "kernels/variants.h"

void gram_int_linear__avx512vnni(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                                 const struct gram_int_panels *w, int64_t begin, int64_t end,
                                 void *scratch)
{
    int_linear(y, y_stride, acts, w, begin, end, scratch);
}

static int32_t sum_of(const int8_t *x, int64_t n)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();

    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 mask = n - i < 64 ? (1ull << (n - i)) - 1 : ~0ull;
        sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi8(mask, x + i));
    }
    return _mm512_reduce_add_epi32(sum);
}

void gram_quantize_acts__avx512vnni(const struct gram_int_acts *acts, int64_t t, const float *x,
                                   void *scratch)
{
    quantize_acts(acts, t, x, scratch, gram_quantize_i8__avx512, sum_of);
}
