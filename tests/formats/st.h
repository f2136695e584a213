/* Small safetensors files for tests, written by hand or by the library's own writer. */
#ifndef GRAM_TESTS_FORMATS_ST_H
#define GRAM_TESTS_FORMATS_ST_H

#include "base/buf.h"
#include "formats/safetensors.h"

/* Length, this header as it stands, and n_data bytes 0, 1, 2, ... */
static inline void st_raw(struct gram_buf *out, const char *header, size_t header_size,
                          size_t n_data)
{
    for (int i = 0; i < 8; i++)
        gram_buf_add(out, &(const char){(char)(header_size >> 8 * i)}, 1);
    gram_buf_add(out, header, header_size);
    for (size_t i = 0; i < n_data; i++)
        gram_buf_add(out, &(const char){(char)i}, 1);
}

static inline struct gram_tensor st_tensor(const char *name, enum gram_dtype dtype, int rank,
                                           const int64_t *shape)
{
    struct gram_tensor t = {.name = name, .dtype = dtype, .rank = rank, .count = 1};
    for (int i = 0; i < rank; i++)
        t.count *= t.shape[i] = shape[i];
    t.bytes = (uint64_t)t.count * (uint64_t)gram_dtype_bits(dtype) / 8;
    return t;
}

/* A file of f32 matrices [2, 3] with these names; NULL ends the list. */
static inline void st_write(const char *path, const char *const *names)
{
    struct gram_tensor tensors[16] = {0};
    struct gram_buf out = {0};
    size_t n = 0;

    for (; names[n]; n++)
        tensors[n] = st_tensor(names[n], GRAM_F32, 2, (const int64_t[]){2, 3});
    assert_true(gram_safetensors_header(&out, tensors, n));
    for (size_t i = 0; i < n * 6; i++)
        gram_buf_add(&out, &(const float){(float)i}, sizeof(float));
    write_file(path, out.at, out.len);
    gram_buf_reset(&out);
}

#endif
