/* For the inner blocks of kernels, whose sizes must be constants after inlining. */
#ifndef GRAM_KERNELS_SIMD_INLINE_H
#define GRAM_KERNELS_SIMD_INLINE_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#endif
