/*
 * Floats as bytes in blocks: a code of 256 values in [-1, 1] for each, an f32 for each block (8-bit
 * optimizers, Dettmers et al. 2022; the scales of double quantization). As bitsandbytes does it,
 * bit for bit.
 */
#ifndef GRAM_TENSOR_BLOCKWISE_H
#define GRAM_TENSOR_BLOCKWISE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The dynamic map (create_dynamic_map), ascending: a tree of decades in which the larger numbers have
 * finer steps. Signed: -0.993 .. 1. Unsigned: 0 .. 1.
 */
void gram_dynamic_map(float map[256], bool is_signed);

/*
 * codes[n], absmax[ceil(n / block)] of x[n], finite: the largest magnitude of each block, and the index
 * of the value in map (ascending) that is nearest to x / absmax.
 */
void gram_blockwise_encode(uint8_t *codes, float *absmax, const float *x, int64_t n, int64_t block,
                           const float map[256]);
/* x[n] = map[code] * absmax of its block. */
void gram_blockwise_decode(float *x, const uint8_t *codes, const float *absmax, int64_t n,
                           int64_t block, const float map[256]);

#endif
