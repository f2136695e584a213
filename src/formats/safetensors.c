/*
 * The safetensors reader. The JSON header is walked without a tree, for a model may have a million
 * tensors: once to count them, once to read them. Then the tensors, sorted by where their data lie,
 * must cover the data area from its first byte to its last, each byte once.
 */
#include "formats/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "formats/names.h"
#include "formats/safetensors_entry.h"
#include "tensor/dtype.h"

enum { MAX_HEADER = 100 * 1000 * 1000, MAX_NAME = 4096, MAX_TENSORS = 1000000 };
#define MAX_ELEMENTS ((int64_t)1 << 48)
#define METADATA     "__metadata__"

struct reader {
    struct gram_json_cursor json;
    char *pool; /* where the next string goes */
    const struct gram_file *file;
    uint64_t data_at, data_size; /* the bytes behind the header */
    struct gram_arena *arena;
    const char *path;
    struct gram_error *err;
};

static uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static enum gram_status set_shape(struct reader *r, struct gram_tensor *t,
                                  const struct gram_safetensors_entry *entry)
{
    int64_t product = 1; /* with dimensions of 0 taken as 1: no part of the product can overflow */
    bool is_empty = false;

    t->rank = entry->rank;
    for (int i = 0; i < t->rank; i++) {
        const int64_t size = entry->shape[i];
        if (size < 0)
            return gram_fail(r->err, GRAM_EFORMAT, "%s: %s: shape[%d] is %" PRId64, r->path,
                             t->name, i, size);
        if (!gram_mul_i64(&product, product, size > 0 ? size : 1) || product >= MAX_ELEMENTS)
            return gram_fail(r->err, GRAM_EFORMAT, "%s: %s: a shape of 2^48 elements or more",
                             r->path, t->name);
        t->shape[i] = size;
        is_empty = is_empty || size == 0;
    }
    t->count = is_empty ? 0 : product;
    return GRAM_OK;
}

static enum gram_status set_dtype(struct reader *r, struct gram_tensor *t,
                                  const struct gram_safetensors_entry *entry)
{
    const char *name = entry->dtype.at;

    if (strlen(name) != entry->dtype.len || !gram_dtype_from_safetensors(&t->dtype, name))
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

static enum gram_status set_data(struct reader *r, struct gram_tensor *t,
                                 const struct gram_safetensors_entry *entry)
{
    const int64_t begin = entry->begin, end = entry->end;

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
                         "%s: %s: ends at byte %" PRId64 " of %" PRIu64
                         " bytes of data; is the file cut short?",
                         r->path, t->name, end, r->data_size);
    t->data = gram_file_view(r->file, r->data_at + (uint64_t)begin, t->bytes);
    return GRAM_OK;
}

static enum gram_status read_tensor(struct reader *r, struct gram_tensor *t,
                                    const struct gram_json_text *name)
{
    struct gram_safetensors_entry entry;
    char *scratch = r->pool; /* the dtype is not kept */

    if (strlen(name->at) != name->len || name->len > MAX_NAME)
        return gram_cursor_fail(&r->json, name->len > MAX_NAME
                                              ? "a tensor name of more than 4096 bytes"
                                              : "a NUL character in a tensor name");
    t->name = r->json.item = name->at;
    GRAM_TRY(gram_safetensors_entry_read(&entry, &r->json, &scratch));
    GRAM_TRY(set_shape(r, t, &entry));
    GRAM_TRY(set_dtype(r, t, &entry));
    GRAM_TRY(set_data(r, t, &entry));
    r->json.item = NULL;
    return GRAM_OK;
}

/* Strings by names; the reference reader takes null for none. */
static enum gram_status read_metadata(struct reader *r)
{
    struct gram_name_map map;

    if (gram_cursor_peek(&r->json) == 'n')
        return gram_cursor_skip(&r->json);
    r->json.item = METADATA;
    GRAM_TRY(gram_name_map_read(&map, &r->json, MAX_TENSORS, &r->pool, r->arena));
    r->json.item = NULL;
    return GRAM_OK;
}

static enum gram_status read_members(struct reader *r, struct gram_tensor *tensors, size_t *n)
{
    struct gram_json_text key;
    bool has_metadata = false;

    GRAM_TRY(gram_cursor_enter(&r->json, '{'));
    for (bool more;;) {
        GRAM_TRY(gram_cursor_more(&r->json, &more));
        if (!more)
            return gram_cursor_end(&r->json);
        GRAM_TRY(gram_cursor_key(&r->json, &r->pool, &key));
        if (!gram_json_text_is(&key, METADATA)) {
            GRAM_TRY(read_tensor(r, &tensors[(*n)++], &key));
            continue;
        }
        if (has_metadata)
            return gram_cursor_fail(&r->json, METADATA " is there twice");
        has_metadata = true;
        GRAM_TRY(read_metadata(r));
    }
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

/* Sorted tensors: does every byte of the data area belong to exactly one? */
static enum gram_status check_coverage(const struct reader *r, const struct gram_tensor *tensors,
                                       size_t n)
{
    const uint8_t *base = gram_file_view(r->file, r->data_at, r->data_size);
    uint64_t covered = 0;

    for (size_t i = 0; i < n; i++) {
        const uint64_t begin = (uint64_t)((const uint8_t *)tensors[i].data - base);
        if (begin != covered)
            return gram_fail(r->err, GRAM_EFORMAT,
                             begin < covered
                                 ? "%s: %s: begins at byte %" PRIu64
                                   " of the data, before the one before it ends (%" PRIu64 ")"
                                 : "%s: %s: begins at byte %" PRIu64
                                   " of the data, leaving a hole from byte %" PRIu64,
                             r->path, tensors[i].name, begin, covered);
        covered += tensors[i].bytes;
    }
    if (covered != r->data_size)
        return gram_fail(r->err, GRAM_EFORMAT,
                         "%s: %" PRIu64 " bytes behind the last tensor belong to none", r->path,
                         r->data_size - covered);
    return GRAM_OK;
}

static enum gram_status check_names(const struct reader *r, const struct gram_tensor *tensors,
                                    size_t n)
{
    const char **names = calloc(n + 1, sizeof *names);
    if (!names)
        return gram_fail_memory(r->err, r->path);
    for (size_t i = 0; i < n; i++)
        names[i] = tensors[i].name;
    gram_names_sort(names, n);
    const char *twice = gram_names_repeated(names, n);
    free(names);
    return twice ? gram_fail(r->err, GRAM_EFORMAT, "%s: %s: is there twice", r->path, twice)
                 : GRAM_OK;
}

/* Find the header and the data behind it. */
static enum gram_status find_parts(struct reader *r, const void **header, uint64_t *header_size)
{
    const uint64_t size = gram_file_size(r->file);
    const void *length = gram_file_view(r->file, 0, 8);

    if (!length)
        return gram_fail(r->err, GRAM_EFORMAT, "%s: %" PRIu64 " bytes are too few for safetensors",
                         r->path, size);
    *header_size = load_le64(length);
    *header = gram_file_view(r->file, 8, *header_size);
    if (!*header)
        return gram_fail(r->err, GRAM_EFORMAT,
                         "%s: a header of %" PRIu64 " bytes runs past the end of the file; is it "
                         "safetensors, and whole?",
                         r->path, *header_size);
    if (*header_size > MAX_HEADER)
        return gram_fail(r->err, GRAM_EUNSUPPORTED,
                         "%s: a header of %" PRIu64 " bytes, at most %d are read", r->path,
                         *header_size, MAX_HEADER);
    r->data_at = 8 + *header_size;
    r->data_size = size - r->data_at;
    return GRAM_OK;
}

enum gram_status gram_safetensors_read(const struct gram_file *file, struct gram_arena *arena,
                                       struct gram_tensor **tensors, size_t *n,
                                       struct gram_error *err)
{
    struct reader r = {.file = file, .path = gram_file_path(file), .arena = arena, .err = err};
    const void *header = NULL;
    uint64_t header_size = 0;
    size_t members = 0;

    *tensors = NULL;
    *n = 0;
    GRAM_TRY(find_parts(&r, &header, &header_size));
    gram_cursor_init(&r.json, header, (size_t)header_size, r.path, err);
    GRAM_TRY(gram_names_count(&r.json, MAX_TENSORS + 1, &members));
    *tensors = gram_arena_take(arena, members, sizeof **tensors);
    r.pool = gram_arena_take(arena, (size_t)header_size + 1, 1);
    if (!*tensors || !r.pool)
        return gram_fail_memory(err, r.path);
    GRAM_TRY(read_members(&r, *tensors, n));
    if (*n > 0)
        qsort(*tensors, *n, sizeof **tensors, by_data);
    GRAM_TRY(check_names(&r, *tensors, *n));
    return check_coverage(&r, *tensors, *n);
}
