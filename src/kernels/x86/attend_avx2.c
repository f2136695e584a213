/* Attention over a cache: AVX2. */
#include "kernels/simd/vec_avx2.h"
#include "kernels/simd/attend_tiles.h"
#include "kernels/variants.h"

ATTEND_KERNELS(f32, avx2)
ATTEND_KERNELS(f16, avx2)
ATTEND_KERNELS(i8, avx2)
