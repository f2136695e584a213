/* Any bytes as a safetensors file; what loads must hold together, and is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum gram_status read_bytes(const void *bytes, size_t size, struct gram_arena *arena,
                                   struct gram_tensor **tensors, size_t *n)
{
    struct gram_error err;
    struct gram_file *file;
    if (gram_file_from_bytes(&file, bytes, size, "fuzz", &err) != GRAM_OK)
        return GRAM_ENOMEM;
    const enum gram_status status = gram_safetensors_read(file, arena, tensors, n, &err);
    gram_file_close(&file);
    return status;
}

/* Our own file of the same tensors must read back as they are. */
static void write_and_read(const struct gram_tensor *tensors, size_t n)
{
    struct gram_arena arena = {0};
    struct gram_buf out = {0};
    struct gram_tensor *back;
    size_t n_back;

    GRAM_ASSERT(gram_safetensors_header(&out, tensors, n));
    for (size_t i = 0; i < n; i++)
        gram_buf_add(&out, tensors[i].data, (size_t)tensors[i].bytes);
    GRAM_ASSERT(!out.failed && read_bytes(out.at, out.len, &arena, &back, &n_back) == GRAM_OK);
    GRAM_ASSERT(n_back == n);
    for (size_t i = 0; i < n; i++) {
        const struct gram_tensor *a = &tensors[i], *b = &back[i];
        GRAM_ASSERT(a->rank == b->rank && a->dtype == b->dtype && a->bytes == b->bytes);
        GRAM_ASSERT(memcmp(a->shape, b->shape, sizeof a->shape) == 0);
        GRAM_ASSERT(memcmp(a->data, b->data, (size_t)a->bytes) == 0);
        GRAM_ASSERT(strcmp(a->name, b->name) == 0);
    }
    gram_arena_reset(&arena);
    gram_buf_reset(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gram_arena arena = {0};
    struct gram_tensor *tensors;
    size_t n;

    if (read_bytes(data, size, &arena, &tensors, &n) == GRAM_OK)
        write_and_read(tensors, n);
    gram_arena_reset(&arena);
    return 0;
}
