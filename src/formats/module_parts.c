#include "formats/module_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tensor/dtype.h"

const struct gram_tensor *gram_module_part(const struct gram_module *m, const char *part)
{
    enum { NAME_MAX_BYTES = 4608 };
    char name[NAME_MAX_BYTES];
    const int n = snprintf(name, sizeof name, "%s.%s", m->name, part);

    return n > 0 && (size_t)n < sizeof name ? gram_store_find(m->store, name) : NULL;
}

enum gram_status gram_module_get(const struct gram_module *m, const char *part,
                                 enum gram_dtype dtype, int64_t count,
                                 const struct gram_tensor **out)
{
    const struct gram_tensor *t = *out = gram_module_part(m, part);

    if (!t)
        return gram_module_missing(m, part);
    if (t->dtype != dtype || t->count != count)
        return gram_fail(m->err, GRAM_EFORMAT,
                         "%s: %s: %" PRId64 " x %s found, %" PRId64
                         " x %s expected for a linear of %" PRId64 " x %" PRId64,
                         gram_module_path(m, t), t->name, t->count, gram_dtype_name(t->dtype),
                         count, gram_dtype_name(dtype), m->rows, m->cols);
    return GRAM_OK;
}

const char *gram_module_path(const struct gram_module *m, const struct gram_tensor *t)
{
    return gram_store_file_path(m->store, t->file);
}

enum gram_status gram_module_missing(const struct gram_module *m, const char *part)
{
    return gram_fail(m->err, GRAM_EFORMAT, "%s: %s.%s is not in the checkpoint", m->where, m->name,
                     part);
}

enum gram_status gram_module_wrong_dtype(const struct gram_module *m, const struct gram_tensor *t,
                                         const char *wanted)
{
    return gram_fail(m->err, GRAM_EFORMAT, "%s: %s: dtype %s, expected %s", gram_module_path(m, t),
                     t->name, gram_dtype_name(t->dtype), wanted);
}

const void *gram_module_aligned(const struct gram_module *m, const struct gram_tensor *t,
                                size_t align)
{
    if ((uintptr_t)t->data % align == 0)
        return t->data;
    void *copy = gram_arena_take(m->arena, (size_t)t->bytes, 1);
    return copy ? memcpy(copy, t->data, (size_t)t->bytes) : NULL;
}
