/* Plain tensors as weights: used where they lie when a kernel can read them there. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "formats/container.h"
#include "tensor/dtype.h"

static void add_shape(struct gram_buf *text, const int64_t *shape, int rank)
{
    gram_buf_str(text, "[");
    for (int i = 0; i < rank; i++)
        gram_buf_printf(text, "%s%" PRId64, i ? ", " : "", shape[i]);
    gram_buf_str(text, "]");
}

static enum gram_status wrong_shape(const char *path, const struct gram_tensor *t, int64_t rows,
                                    int64_t cols, struct gram_error *err)
{
    struct gram_buf text = {0};

    add_shape(&text, (const int64_t[]){rows, cols}, 2);
    gram_buf_str(&text, " expected, ");
    add_shape(&text, t->shape, t->rank);
    const enum gram_status status =
        text.failed
            ? gram_fail_memory(err, t->name)
            : gram_fail(err, GRAM_EFORMAT, "%s: %s: shape %s found", path, t->name, text.at);
    gram_buf_reset(&text);
    return status;
}

/* A vector of n rows may be stored as [n] or [n, 1]. */
static bool has_shape(const struct gram_tensor *t, int64_t rows, int64_t cols)
{
    if (t->rank == 1)
        return t->shape[0] == rows && cols == 1;
    return t->rank == 2 && t->shape[0] == rows && t->shape[1] == cols;
}

enum gram_status gram_dense_bind(const struct gram_store *store, const struct gram_tensor *tensor,
                                 int64_t rows, int64_t cols, struct gram_arena *arena,
                                 struct gram_weight *w, struct gram_error *err)
{
    const struct gram_dtype_info *info = gram_dtype_info(tensor->dtype);
    const char *path = gram_store_file_path(store, tensor->file);

    if (!has_shape(tensor, rows, cols))
        return wrong_shape(path, tensor, rows, cols, err);
    if (!info->is_float)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: %s: a dtype of f32, f16, bf16 or f64 expected, %s found", path,
                         tensor->name, info->name);
    const bool is_wide = tensor->dtype == GRAM_F64; /* no kernel reads it */
    const size_t size = is_wide ? sizeof(float) : (size_t)info->bits / 8;
    const void *data = tensor->data;

    if (is_wide || (uintptr_t)data % size != 0) {
        void *copy = gram_arena_take(arena, (size_t)tensor->count, size);
        if (!copy)
            return gram_fail_memory(err, tensor->name);
        if (is_wide)
            gram_read_f32(copy, data, GRAM_F64, 0, tensor->count);
        else
            memcpy(copy, data, (size_t)tensor->bytes);
        data = copy;
    }
    *w = (struct gram_weight){
        .rows = rows,
        .cols = cols,
        .data = data,
        .row_bytes = cols * (int64_t)size,
        .dtype = is_wide ? GRAM_F32 : tensor->dtype,
    };
    return GRAM_OK;
}
