/* Element types and read-only views of tensors in a file. */
#ifndef GRAM_TENSOR_H
#define GRAM_TENSOR_H

#include <stdint.h>
#include <gram/api.h>

GRAM_BEGIN_DECLS

enum gram_dtype {
    GRAM_F64,
    GRAM_F32,
    GRAM_F16,
    GRAM_BF16,
    GRAM_F8_E4M3,
    GRAM_F8_E5M2,
    GRAM_F8_E8M0,
    GRAM_F4,
    GRAM_I64,
    GRAM_I32,
    GRAM_I16,
    GRAM_I8,
    GRAM_U64,
    GRAM_U32,
    GRAM_U16,
    GRAM_U8,
    GRAM_BOOL,
    GRAM_N_DTYPE
};

#define GRAM_MAX_RANK 8

/* "f32", "bf16", ...; static storage; NULL for a value out of range. */
GRAM_API const char *gram_dtype_name(enum gram_dtype dtype);
/* Bits of one element; 0 for a value out of range. */
GRAM_API int gram_dtype_bits(enum gram_dtype dtype);

/* A tensor in a mapped file: row-major, little-endian, possibly unaligned. Borrowed from whatever
 * returned it. */
struct gram_tensor {
    const char *name;
    enum gram_dtype dtype;
    int rank;                     /* 0..GRAM_MAX_RANK */
    int64_t shape[GRAM_MAX_RANK]; /* outermost first */
    int64_t count;                /* product of shape; 1 for rank 0 */
    uint64_t bytes;
    const void *data;
    int file;                     /* which file of the model holds it, from 0 */
};

GRAM_END_DECLS
#endif
