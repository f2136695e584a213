/* Attention over a cache in f16: AVX2. */
#include "kernels/simd/vec_avx2.h"
#include "kernels/simd/attend_tiles.h"
#include "kernels/variants.h"

void gram_attend__avx2(const struct gram_attend *a, float *scratch)
{
    attend_body(a, scratch);
}

void gram_attend_store__avx2(uint16_t *keys, uint16_t *values, int64_t dim, int64_t position,
                             const float *key, const float *value)
{
    attend_store_body(keys, values, dim, position, key, value);
}
