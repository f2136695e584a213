/* For the inner blocks of kernels, whose sizes must be constants after inlining. */
#ifndef GRAM_KERNELS_SIMD_INLINE_H
#define GRAM_KERNELS_SIMD_INLINE_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Before a loop of a few constant turns: its arrays of vectors become registers. clang takes gcc's
 * pragma too, but obeys it too late for that. UNROLL_TWICE is for loops of unknown length. */
#ifdef __clang__
#define UNROLL       _Pragma("clang loop unroll(full)")
#define UNROLL_TWICE _Pragma("clang loop unroll_count(2)")
#else
#define UNROLL       _Pragma("GCC unroll 8")
#define UNROLL_TWICE _Pragma("GCC unroll 2")
#endif

#endif
