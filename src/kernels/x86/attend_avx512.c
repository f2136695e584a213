/* Attention over a cache: AVX-512. */
#include "kernels/simd/vec_avx512.h"
#include "kernels/simd/attend_tiles.h"
#include "kernels/variants.h"

ATTEND_KERNELS(f32, avx512)
ATTEND_KERNELS(f16, avx512)
ATTEND_KERNELS(i8, avx512)
