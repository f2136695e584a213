/* The table of element types, and reading any floating one as f32. */
#ifndef GRAM_TENSOR_DTYPE_H
#define GRAM_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <gram/tensor.h>

struct gram_dtype_info {
    const char *name;        /* gram's: "bf16" */
    const char *safetensors; /* "BF16" */
    int bits;
    bool is_float;           /* gram_read_f32 can read it */
};

/* NULL for a value out of range. */
const struct gram_dtype_info *gram_dtype_info(enum gram_dtype dtype);
/* By the safetensors name (case matters), or by gram's; false if unknown. */
bool gram_dtype_from_safetensors(enum gram_dtype *out, const char *name);
bool gram_dtype_from_name(enum gram_dtype *out, const char *name);

/* dst[0..n-1] = elements first.. of the array at src (any alignment). dtype is f64, f32, f16 or bf16. */
void gram_read_f32(float *dst, const void *src, enum gram_dtype dtype, int64_t first, int64_t n);
/* The reverse, rounding to nearest even; dtype is f32, f16 or bf16; dst may be unaligned. */
void gram_write_f32(void *dst, enum gram_dtype dtype, int64_t first, const float *src, int64_t n);

#endif
