/* Attention over a cache: NEON. */
#include "kernels/simd/vec_neon.h"
#include "kernels/simd/attend_tiles.h"
#include "kernels/variants.h"

ATTEND_KERNELS(f32, neon)
ATTEND_KERNELS(f16, neon)
ATTEND_KERNELS(i8, neon)
