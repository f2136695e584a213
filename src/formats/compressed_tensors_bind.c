/*
 * Finding the tensors of one quantized linear and checking each against the shape that config.json
 * and the config group predict. What lies in the file as the kernels want it is used in place; zero
 * points, which are packed along the outputs, and the sparse packing of old files are repacked.
 */
#include "formats/compressed_tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "tensor/dtype.h"

struct linear {
    const struct gram_compressed *ct;
    const struct gram_compressed_group *group;
    const struct gram_store *store;
    const char *module;
    int64_t rows, cols;
    int64_t n_groups;   /* scales along the input */
    int64_t scale_rows; /* rows, or 1 when one scale serves all */
    struct gram_arena *arena;
    struct gram_error *err;
};

enum { NAME_MAX_BYTES = 4608 };

static const struct gram_tensor *find_part(const struct gram_store *store, const char *module,
                                           const char *part)
{
    char name[NAME_MAX_BYTES];
    const int n = snprintf(name, sizeof name, "%s.%s", module, part);
    return n > 0 && (size_t)n < sizeof name ? gram_store_find(store, name) : NULL;
}

static const char *path_of(const struct linear *l, const struct gram_tensor *t)
{
    return gram_store_file_path(l->store, t->file);
}

static enum gram_status missing(const struct linear *l, const char *part)
{
    return gram_fail(l->err, GRAM_EFORMAT, "%s: %s.%s is not in the checkpoint", l->ct->where,
                     l->module, part);
}

static enum gram_status wrong_dtype(const struct linear *l, const struct gram_tensor *t,
                                    const char *wanted)
{
    return gram_fail(l->err, GRAM_EFORMAT, "%s: %s: dtype %s, expected %s", path_of(l, t), t->name,
                     gram_dtype_name(t->dtype), wanted);
}

static bool has_shape(const struct gram_tensor *t, int64_t rows, int64_t cols)
{
    return t->rank == 2 && t->shape[0] == rows && t->shape[1] == cols;
}

static enum gram_status wrong_shape(const struct linear *l, const struct gram_tensor *t,
                                    int64_t rows, int64_t cols)
{
    char found[128] = "";
    size_t at = 0;
    for (int i = 0; i < t->rank && at < sizeof found; i++)
        at += (size_t)snprintf(found + at, sizeof found - at, "%s%" PRId64, i ? ", " : "",
                               t->shape[i]);
    return gram_fail(l->err, GRAM_EFORMAT,
                     "%s: %s: shape [%s], expected [%" PRId64 ", %" PRId64
                     "] for a linear of %" PRId64 " x %" PRId64 " with %d bits",
                     path_of(l, t), t->name, found, rows, cols, l->rows, l->cols, l->group->bits);
}

/* The tensor's bytes at an address that is a multiple of `align`. */
static const void *aligned(const struct linear *l, const struct gram_tensor *t, size_t align)
{
    if ((uintptr_t)t->data % align == 0)
        return t->data;
    void *copy = gram_arena_take(l->arena, (size_t)t->bytes, 1);
    return copy ? memcpy(copy, t->data, (size_t)t->bytes) : NULL;
}

static int64_t sparse_words(int64_t n, int bits)
{
    return gram_ceil_div(n, 32 / bits);
}

static uint32_t load_word(const void *words, int64_t i)
{
    uint32_t word;
    memcpy(&word, (const char *)words + 4 * i, 4);
    return word;
}

/* Are n codes in `words` words packed the old way? Where both ways give the same number, the
 * version that wrote the file decides. False in *known when it is neither. */
static bool is_sparse(const struct gram_compressed *ct, int64_t n, int64_t words, int bits,
                      bool *known)
{
    const bool fits_dense = words == gram_code_row_bytes(n, bits) / 4;
    const bool fits_sparse = words == sparse_words(n, bits);

    *known = fits_dense || fits_sparse;
    return fits_sparse && (!fits_dense || ct->sparse_packing);
}

/* n codes, 32 / bits of them in each word; words from first_word on, `stride` apart. */
static void unpack_sparse(uint8_t *codes, const void *words, int64_t first_word, int64_t stride,
                          int64_t n, int bits)
{
    const int per_word = 32 / bits;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t word = load_word(words, first_word + i / per_word * stride);
        codes[i] = (uint8_t)(word >> (int)(i % per_word * bits) & ((1u << bits) - 1));
    }
}

static enum gram_status repack(const struct linear *l, const struct gram_tensor *t, int64_t words,
                               struct gram_weight *w)
{
    uint8_t *packed = gram_arena_take(l->arena, (size_t)l->rows, (size_t)w->row_bytes);
    uint8_t *codes = malloc((size_t)l->cols);

    if (!packed || !codes) {
        free(codes);
        return gram_fail_memory(l->err, t->name);
    }
    for (int64_t r = 0; r < l->rows; r++) {
        unpack_sparse(codes, t->data, r * words, 1, l->cols, w->bits);
        gram_codes_pack(packed + r * w->row_bytes, codes, l->cols, w->bits);
    }
    free(codes);
    w->data = packed;
    return GRAM_OK;
}

static int64_t load_integer(const struct gram_tensor *t, int64_t i)
{
    int64_t wide;
    int32_t narrow;

    if (t->dtype == GRAM_I32) {
        memcpy(&narrow, (const char *)t->data + 4 * i, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, (const char *)t->data + 8 * i, sizeof wide);
    return wide;
}

static enum gram_status check_stated_shape(const struct linear *l)
{
    const struct gram_tensor *t = find_part(l->store, l->module, "weight_shape");

    if (!t)
        return GRAM_OK; /* config.json has said it already */
    if (t->dtype != GRAM_I64 && t->dtype != GRAM_I32)
        return wrong_dtype(l, t, "i64");
    if (t->count != 2)
        return gram_fail(l->err, GRAM_EFORMAT, "%s: %s: expected 2 numbers", path_of(l, t),
                         t->name);
    const int64_t rows = load_integer(t, 0), cols = load_integer(t, 1);
    if (rows != l->rows || cols != l->cols)
        return gram_fail(l->err, GRAM_EFORMAT,
                         "%s: %s: says [%" PRId64 ", %" PRId64 "], config.json says [%" PRId64
                         ", %" PRId64 "]",
                         path_of(l, t), t->name, rows, cols, l->rows, l->cols);
    return GRAM_OK;
}

static enum gram_status bind_packed(const struct linear *l, const struct gram_tensor *t,
                                    struct gram_weight *w)
{
    const int64_t words = gram_code_row_bytes(l->cols, l->group->bits) / 4;
    bool known;

    if (t->dtype != GRAM_I32)
        return wrong_dtype(l, t, "i32");
    if (l->group->is_float)
        return gram_fail(l->err, GRAM_EFORMAT, "%s: %s: packed, but its group is of floats",
                         path_of(l, t), t->name);
    GRAM_TRY(check_stated_shape(l));
    w->bits = l->group->bits;
    w->row_bytes = words * 4;
    if (t->rank != 2 || t->shape[0] != l->rows)
        return wrong_shape(l, t, l->rows, words);
    const bool sparse = is_sparse(l->ct, l->cols, t->shape[1], w->bits, &known);
    if (!known)
        return wrong_shape(l, t, l->rows, words);
    if (sparse && l->cols > 32 / w->bits) /* in one word both ways are the same */
        return repack(l, t, t->shape[1], w);
    w->data = aligned(l, t, 4);
    return w->data ? GRAM_OK : gram_fail_memory(l->err, t->name);
}

/* Bytes, of the kind that the config group speaks of. */
static enum gram_status bind_plain_codes(const struct linear *l, const struct gram_tensor *t,
                                         struct gram_weight *w)
{
    if (!has_shape(t, l->rows, l->cols))
        return wrong_shape(l, t, l->rows, l->cols);
    if ((t->dtype == GRAM_F8_E4M3) != l->group->is_float)
        return wrong_dtype(l, t, l->group->is_float ? "f8_e4m3" : "i8");
    w->bits = 8;
    w->is_signed = !l->group->is_float;
    w->table = l->group->is_float ? gram_e4m3.values : NULL;
    w->row_bytes = l->cols;
    w->data = aligned(l, t, 4);
    return w->data ? GRAM_OK : gram_fail_memory(l->err, t->name);
}

static enum gram_status bind_scales(const struct linear *l, struct gram_weight *w)
{
    const struct gram_tensor *t = find_part(l->store, l->module, "weight_scale");

    if (!t)
        return missing(l, "weight_scale");
    if (t->dtype != GRAM_F32 && t->dtype != GRAM_F16 && t->dtype != GRAM_BF16)
        return wrong_dtype(l, t, "f32, f16 or bf16");
    const bool is_flat = t->rank < 2 && t->count == l->scale_rows && l->n_groups == 1;
    if (!is_flat && !has_shape(t, l->scale_rows, l->n_groups))
        return wrong_shape(l, t, l->scale_rows, l->n_groups);
    w->scale_dtype = t->dtype;
    w->scale_stride = l->scale_rows == 1 && l->rows != 1 ? 0 : l->n_groups;
    w->scales = aligned(l, t, (size_t)gram_dtype_bits(t->dtype) / 8);
    return w->scales ? GRAM_OK : gram_fail_memory(l->err, t->name);
}

/* Column g of zero points packed along the outputs: one bit stream over all rows. */
static void unpack_zero_column(int8_t *zeros, uint8_t *codes, uint8_t *stream,
                               const struct linear *l, const struct gram_tensor *t, int64_t g,
                               bool sparse)
{
    const int bits = l->group->bits;
    const int64_t words = t->shape[0], stride = t->shape[1];

    if (sparse) {
        unpack_sparse(codes, t->data, g, stride, l->rows, bits);
    } else {
        for (int64_t i = 0; i < words; i++) {
            const uint32_t word = load_word(t->data, i * stride + g);
            memcpy(stream + 4 * i, &word, 4);
        }
        gram_codes_unpack(codes, stream, 0, l->rows, bits);
    }
    for (int64_t r = 0; r < l->rows; r++)
        zeros[r * l->n_groups + g] = (int8_t)(codes[r] - (1 << (bits - 1)));
}

static enum gram_status unpack_zeros(const struct linear *l, const struct gram_tensor *t,
                                     struct gram_weight *w)
{
    const int64_t words = gram_code_row_bytes(l->rows, l->group->bits) / 4;
    bool known;

    if (t->rank != 2 || t->shape[1] != l->n_groups || l->scale_rows != l->rows)
        return wrong_shape(l, t, words, l->n_groups);
    const bool sparse = is_sparse(l->ct, l->rows, t->shape[0], l->group->bits, &known);
    if (!known)
        return wrong_shape(l, t, words, l->n_groups);
    int8_t *zeros = gram_arena_take(l->arena, (size_t)l->rows, (size_t)l->n_groups);
    uint8_t *codes = malloc((size_t)l->rows);
    uint8_t *stream = malloc((size_t)words * 4);
    if (zeros && codes && stream) {
        for (int64_t g = 0; g < l->n_groups; g++)
            unpack_zero_column(zeros, codes, stream, l, t, g, sparse);
    }
    w->zeros = codes && stream ? zeros : NULL;
    free(codes);
    free(stream);
    return w->zeros ? GRAM_OK : gram_fail_memory(l->err, t->name);
}

/* Zero points in bytes, shaped as the scales: every code of the grid is allowed, nothing else. */
static enum gram_status plain_zeros(const struct linear *l, const struct gram_tensor *t,
                                    struct gram_weight *w)
{
    const int limit = 1 << (l->group->bits - 1);
    const int8_t *zeros = t->data;

    if (t->count != l->scale_rows * l->n_groups)
        return wrong_shape(l, t, l->scale_rows, l->n_groups);
    for (int64_t i = 0; i < t->count; i++) {
        if (zeros[i] < -limit || zeros[i] >= limit)
            return gram_fail(l->err, GRAM_EFORMAT,
                             "%s: %s: zero point %d of entry %" PRId64 " is outside %d bits",
                             path_of(l, t), t->name, zeros[i], i, l->group->bits);
    }
    w->zeros = zeros;
    return GRAM_OK;
}

static enum gram_status bind_zeros(const struct linear *l, struct gram_weight *w)
{
    const struct gram_tensor *t = find_part(l->store, l->module, "weight_zero_point");

    if (l->group->symmetric)
        return GRAM_OK;
    if (!t)
        return missing(l, "weight_zero_point");
    if (t->dtype == GRAM_I8)
        return plain_zeros(l, t, w);
    return t->dtype == GRAM_I32 ? unpack_zeros(l, t, w) : wrong_dtype(l, t, "i32 or i8");
}

/* Scales along the input of one row; a group may be cut short at the end of the row. */
static int64_t count_groups(const struct gram_compressed_group *group, int64_t cols)
{
    return group->granularity == GRAM_PER_GROUP ? gram_ceil_div(cols, group->group) : 1;
}

/* The scale of static activations. */
static enum gram_status bind_input(const struct linear *l, struct gram_weight *w)
{
    const struct gram_tensor *t = find_part(l->store, l->module, "input_scale");
    const struct gram_tensor *zero = find_part(l->store, l->module, "input_zero_point");

    if (!l->group->is_static)
        return GRAM_OK;
    if (!t)
        return missing(l, "input_scale");
    if (!gram_dtype_info(t->dtype)->is_float)
        return wrong_dtype(l, t, "f32, f16 or bf16");
    if (t->count != 1)
        return wrong_shape(l, t, 1, 1);
    gram_read_f32(&w->act_scale, t->data, t->dtype, 0, 1);
    if (!(w->act_scale > 0.0f && w->act_scale <= 3e38f))
        return gram_fail(l->err, GRAM_EFORMAT, "%s: %s: %g is not the scale of anything",
                         path_of(l, t), t->name, (double)w->act_scale);
    for (uint64_t i = 0; zero && i < zero->bytes; i++) {
        if (((const uint8_t *)zero->data)[i] != 0)
            return gram_fail(l->err, GRAM_EUNSUPPORTED,
                             "%s: %s: only symmetric activations are run", path_of(l, zero),
                             zero->name);
    }
    return GRAM_OK;
}

static enum gram_status bind_quantized(struct linear *l, const struct gram_tensor *packed,
                                       const struct gram_tensor *plain, struct gram_weight *w)
{
    const bool by_group = l->group->granularity == GRAM_PER_GROUP;

    if (find_part(l->store, l->module, "weight_g_idx"))
        return gram_fail(l->err, GRAM_EUNSUPPORTED,
                         "%s: %s.weight_g_idx: permuted columns (actorder group) are not read",
                         l->ct->where, l->module);
    *w = (struct gram_weight){
        .rows = l->rows,
        .cols = l->cols,
        .group = by_group ? gram_min_i64(l->group->group, l->cols) : l->cols,
        .act_bits = l->group->act_bits,
    };
    l->n_groups = count_groups(l->group, l->cols);
    l->scale_rows = l->group->granularity == GRAM_PER_TENSOR ? 1 : l->rows;
    GRAM_TRY(packed ? bind_packed(l, packed, w) : bind_plain_codes(l, plain, w));
    GRAM_TRY(bind_scales(l, w));
    GRAM_TRY(bind_input(l, w));
    return bind_zeros(l, w);
}

enum gram_status gram_compressed_bind(const void *state, const struct gram_store *store,
                                      const char *module, int64_t rows, int64_t cols,
                                      struct gram_arena *arena, struct gram_weight *w, bool *found,
                                      struct gram_error *err)
{
    struct linear l = {.ct = state,
                       .store = store,
                       .module = module,
                       .rows = rows,
                       .cols = cols,
                       .arena = arena,
                       .err = err};
    const struct gram_tensor *packed = find_part(store, module, "weight_packed");
    const struct gram_tensor *plain = find_part(store, module, "weight");

    *found = packed || (plain && (plain->dtype == GRAM_I8 || plain->dtype == GRAM_F8_E4M3));
    if (!*found)
        return GRAM_OK;
    GRAM_TRY(gram_compressed_find(l.ct, module, &l.group, err));
    if (!l.group)
        return gram_fail(err, GRAM_EFORMAT, "%s: %s is quantized, but no config group targets it",
                         l.ct->where, module);
    return bind_quantized(&l, packed, plain, w);
}
