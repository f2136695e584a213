/*
 * The safetensors reader. The JSON header is checked member by member; then the tensors are sorted
 * by where their data lie, and must cover the data area from its first byte to its last, each byte
 * once.
 */
#include "formats/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "tensor/dtype.h"

enum { MAX_HEADER = 100 * 1000 * 1000, MAX_NAME = 4096, MAX_TENSORS = 1000000 };
#define MAX_ELEMENTS ((int64_t)1 << 48)

struct reader {
    const struct gram_file *file;
    const char *path;
    uint64_t data_at, data_size; /* the bytes behind the header */
    struct gram_arena *arena;
    struct gram_error *err;
};

static uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static enum gram_status read_shape(struct reader *r, struct gram_tensor *t, const json_t *shape)
{
    int64_t product =
        1; /* with zero dimensions taken as 1: what a consumer may multiply never wraps */
    bool is_empty = false;

    if (!json_is_array(shape))
        return gram_fail(r->err, GRAM_EFORMAT, "%s: %s: shape is not a list", r->path, t->name);
    const size_t rank = json_array_size(shape);
    if (rank > GRAM_MAX_RANK)
        return gram_fail(r->err, GRAM_EUNSUPPORTED, "%s: %s: rank %zu, at most %d is supported",
                         r->path, t->name, rank, GRAM_MAX_RANK);
    t->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        const int64_t size = json_is_integer(dim) ? json_integer_value(dim) : -1;
        if (size < 0)
            return gram_fail(r->err, GRAM_EFORMAT,
                             "%s: %s: shape[%zu] is not a whole number from 0 up", r->path, t->name,
                             i);
        t->shape[i] = size;
        is_empty = is_empty || size == 0;
        if (!gram_mul_i64(&product, product, size > 0 ? size : 1) || product >= MAX_ELEMENTS)
            return gram_fail(r->err, GRAM_EFORMAT, "%s: %s: shape of 2^48 elements or more",
                             r->path, t->name);
    }
    t->count = is_empty ? 0 : product;
    return GRAM_OK;
}

static enum gram_status read_dtype(struct reader *r, struct gram_tensor *t, const json_t *dtype)
{
    const char *name = json_string_value(dtype);
    if (!name)
        return gram_fail(r->err, GRAM_EFORMAT, "%s: %s: dtype is not a string", r->path, t->name);
    if (!gram_dtype_from_safetensors(&t->dtype, name))
        return gram_fail(r->err, GRAM_EUNSUPPORTED, "%s: %s: unknown dtype '%.32s'", r->path,
                         t->name, name);
    const uint64_t bits = (uint64_t)t->count * (uint64_t)gram_dtype_bits(t->dtype);
    if (bits % 8 != 0)
        return gram_fail(r->err, GRAM_EFORMAT,
                         "%s: %s: %" PRId64 " elements of %s are not a whole number of bytes",
                         r->path, t->name, t->count, name);
    t->bytes = bits / 8;
    return GRAM_OK;
}

static enum gram_status read_offsets(struct reader *r, struct gram_tensor *t, const json_t *offsets)
{
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);

    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second))
        return gram_fail(r->err, GRAM_EFORMAT, "%s: %s: data_offsets are not two whole numbers",
                         r->path, t->name);
    const int64_t begin = json_integer_value(first), end = json_integer_value(second);
    if (begin < 0 || end < begin)
        return gram_fail(r->err, GRAM_EFORMAT,
                         "%s: %s: data_offsets [%" PRId64 ", %" PRId64 "] are not a range", r->path,
                         t->name, begin, end);
    if ((uint64_t)(end - begin) != t->bytes)
        return gram_fail(r->err, GRAM_EFORMAT,
                         "%s: %s: shape and dtype need %" PRIu64
                         " bytes, data_offsets span %" PRId64,
                         r->path, t->name, t->bytes, end - begin);
    if (!gram_range_inside(r->data_size, (uint64_t)begin, t->bytes))
        return gram_fail(r->err, GRAM_EFORMAT,
                         "%s: %s: data end at byte %" PRId64 " of %" PRIu64
                         "; is the file cut short?",
                         r->path, t->name, end, r->data_size);
    t->data = gram_file_view(r->file, r->data_at + (uint64_t)begin, t->bytes);
    return GRAM_OK;
}

static enum gram_status read_tensor(struct reader *r, struct gram_tensor *t, const char *name,
                                    const json_t *entry)
{
    if (name[0] == '\0' || strlen(name) > MAX_NAME)
        return gram_fail(r->err, GRAM_EFORMAT, "%s: a tensor name of %zu bytes (1 to %d allowed)",
                         r->path, strlen(name), MAX_NAME);
    t->name = gram_arena_str(r->arena, name);
    if (!t->name)
        return gram_fail_memory(r->err, r->path);
    if (!json_is_object(entry))
        return gram_fail(r->err, GRAM_EFORMAT,
                         "%s: %s: not an object with dtype, shape, data_offsets", r->path, name);
    GRAM_TRY(read_shape(r, t, json_object_get(entry, "shape")));
    GRAM_TRY(read_dtype(r, t, json_object_get(entry, "dtype")));
    return read_offsets(r, t, json_object_get(entry, "data_offsets"));
}

/* Strings by strings; the reference reader takes null for none. */
static enum gram_status check_metadata(struct reader *r, json_t *metadata)
{
    const char *key;
    json_t *value;

    if (json_is_null(metadata))
        return GRAM_OK;
    if (!json_is_object(metadata))
        return gram_fail(r->err, GRAM_EFORMAT, "%s: __metadata__ is not an object", r->path);
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return gram_fail(r->err, GRAM_EFORMAT, "%s: __metadata__: %s is not a string", r->path,
                             key);
    }
    return GRAM_OK;
}

static int by_data(const void *left, const void *right)
{
    const struct gram_tensor *a = left, *b = right;
    const uintptr_t at_a = (uintptr_t)a->data, at_b = (uintptr_t)b->data;

    if (at_a != at_b)
        return at_a < at_b ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Every byte of the data area belongs to exactly one tensor. */
static enum gram_status check_coverage(struct reader *r, const struct gram_tensor *tensors,
                                       size_t n)
{
    const uint8_t *base = gram_file_view(r->file, r->data_at, r->data_size);
    uint64_t covered = 0;

    for (size_t i = 0; i < n; i++) {
        const uint64_t begin = (uint64_t)((const uint8_t *)tensors[i].data - base);
        if (begin != covered)
            return gram_fail(
                r->err, GRAM_EFORMAT, "%s: %s: data begin at byte %" PRIu64 ", %s byte %" PRIu64,
                r->path, tensors[i].name, begin,
                begin < covered ? "inside the tensor before, which ends at" : "leaving a hole from",
                covered);
        covered += tensors[i].bytes;
    }
    if (covered != r->data_size)
        return gram_fail(r->err, GRAM_EFORMAT,
                         "%s: %" PRIu64 " bytes after the last tensor belong to none", r->path,
                         r->data_size - covered);
    return GRAM_OK;
}

static enum gram_status read_entries(struct reader *r, json_t *root, struct gram_tensor **tensors,
                                     size_t *n)
{
    const char *key;
    json_t *value;

    if (!json_is_object(root))
        return gram_fail(r->err, GRAM_EFORMAT, "%s: the header is not a JSON object", r->path);
    if (json_object_size(root) > MAX_TENSORS + 1)
        return gram_fail(r->err, GRAM_EUNSUPPORTED, "%s: %zu tensors, at most %d are supported",
                         r->path, json_object_size(root), MAX_TENSORS);
    *tensors = gram_arena_take(r->arena, json_object_size(root), sizeof **tensors);
    if (!*tensors)
        return gram_fail_memory(r->err, r->path);
    json_object_foreach(root, key, value)
    {
        if (strcmp(key, "__metadata__") == 0)
            GRAM_TRY(check_metadata(r, value));
        else
            GRAM_TRY(read_tensor(r, &(*tensors)[(*n)++], key, value));
    }
    if (*n > 0)
        qsort(*tensors, *n, sizeof **tensors, by_data);
    return check_coverage(r, *tensors, *n);
}

enum gram_status gram_safetensors_read(const struct gram_file *file, struct gram_arena *arena,
                                       struct gram_tensor **tensors, size_t *n,
                                       struct gram_error *err)
{
    const uint64_t size = gram_file_size(file);
    const uint8_t *length = gram_file_view(file, 0, 8);
    struct reader r = {.file = file, .path = gram_file_path(file), .arena = arena, .err = err};
    json_t *root;

    *tensors = NULL;
    *n = 0;
    if (!length)
        return gram_fail(err, GRAM_EFORMAT, "%s: %" PRIu64 " bytes are too few for safetensors",
                         r.path, size);
    const uint64_t header = load_le64(length);
    if (!gram_range_inside(size, 8, header))
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: a header of %" PRIu64 " bytes runs past the end of the file", r.path,
                         header);
    if (header > MAX_HEADER)
        return gram_fail(err, GRAM_EFORMAT, "%s: a header of %" PRIu64 " bytes, at most %d allowed",
                         r.path, header, MAX_HEADER);
    r.data_at = 8 + header;
    r.data_size = size - r.data_at;
    GRAM_TRY(gram_json_parse(&root, gram_file_view(file, 8, header), (size_t)header, r.path, err));
    const enum gram_status status = read_entries(&r, root, tensors, n);
    json_decref(root);
    return status;
}
