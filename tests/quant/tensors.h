/* Writing safetensors files in tests. */
#ifndef GRAM_TESTS_TENSORS_H
#define GRAM_TESTS_TENSORS_H

#include "support.h"

#include "base/buf.h"
#include "formats/safetensors.h"
#include "tensor/dtype.h"

/* Row-major; shape of rank 0..2, ended by -1 entries that are not there. */
static inline struct gram_tensor tensor_of(const char *name, enum gram_dtype dtype,
                                           const void *data, int rank, int64_t rows, int64_t cols)
{
    struct gram_tensor t = {.name = name, .dtype = dtype, .rank = rank, .data = data, .count = 1};
    const int64_t shape[2] = {rows, cols};
    for (int i = 0; i < rank; i++) {
        t.shape[i] = shape[i];
        t.count *= shape[i];
    }
    t.bytes = (uint64_t)(t.count * gram_dtype_bits(dtype) / 8);
    return t;
}

static inline void write_tensors(const char *path, const struct gram_tensor *tensors, size_t n)
{
    struct gram_buf file = {0};

    assert_true(gram_safetensors_header(&file, tensors, n));
    for (size_t i = 0; i < n; i++)
        gram_buf_add(&file, tensors[i].data, (size_t)tensors[i].bytes);
    assert_false(file.failed);
    write_file(path, file.at, file.len);
    gram_buf_reset(&file);
}

#endif
