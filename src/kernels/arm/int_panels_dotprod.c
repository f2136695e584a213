/* Integer linears: NEON with the dot product of bytes. */
#include "kernels/simd/quad_neon.h"

#include "kernels/simd/int_many.h"
#include "kernels/variants.h"

void gram_int_linear__dotprod(float *y, int64_t y_stride, const struct gram_int_acts *acts,
                              const struct gram_int_panels *w, int64_t begin, int64_t end,
                              void *scratch)
{
    int_linear(y, y_stride, acts, w, begin, end, scratch);
}
