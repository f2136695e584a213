/* Attention over a cache in f16: NEON. */
#include "kernels/simd/vec_neon.h"
#include "kernels/simd/attend_tiles.h"
#include "kernels/variants.h"

void gram_attend__neon(const struct gram_attend *a, float *scratch)
{
    attend_body(a, scratch);
}

void gram_attend_store__neon(uint16_t *keys, uint16_t *values, int64_t dim, int64_t position,
                             const float *key, const float *value)
{
    attend_store_body(keys, values, dim, position, key, value);
}
