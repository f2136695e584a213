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
#include "formats/compressed_packing.h"
#include "formats/module_parts.h"
#include "tensor/dtype.h"

struct linear {
    struct gram_module m;
    const struct gram_compressed_group *group;
    int64_t n_groups;   /* scales along the input */
    int64_t scale_rows; /* rows, or 1 when one scale serves all */
    bool is_old;        /* written before 0.18 */
};

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
    return gram_fail(l->m.err, GRAM_EFORMAT,
                     "%s: %s: shape [%s], expected [%" PRId64 ", %" PRId64
                     "] for a linear of %" PRId64 " x %" PRId64 " with %d bits",
                     gram_module_path(&l->m, t), t->name, found, rows, cols, l->m.rows, l->m.cols,
                     l->group->bits);
}

static enum gram_status repack(const struct linear *l, const struct gram_tensor *t, int64_t words,
                               struct gram_weight *w)
{
    uint8_t *packed = gram_arena_take(l->m.arena, (size_t)l->m.rows, (size_t)w->row_bytes);
    uint8_t *codes = malloc((size_t)l->m.cols);

    if (!packed || !codes) {
        free(codes);
        return gram_fail_memory(l->m.err, t->name);
    }
    for (int64_t r = 0; r < l->m.rows; r++) {
        gram_sparse_unpack(codes, t->data, r * words, 1, l->m.cols, w->bits);
        gram_codes_pack(packed + r * w->row_bytes, codes, l->m.cols, w->bits);
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
    const struct gram_tensor *t = gram_module_part(&l->m, "weight_shape");

    if (!t)
        return GRAM_OK; /* config.json has said it already */
    if (t->dtype != GRAM_I64 && t->dtype != GRAM_I32)
        return gram_module_wrong_dtype(&l->m, t, "i64");
    if (t->count != 2)
        return gram_fail(l->m.err, GRAM_EFORMAT, "%s: %s: expected 2 numbers",
                         gram_module_path(&l->m, t), t->name);
    const int64_t rows = load_integer(t, 0), cols = load_integer(t, 1);
    if (rows != l->m.rows || cols != l->m.cols)
        return gram_fail(l->m.err, GRAM_EFORMAT,
                         "%s: %s: says [%" PRId64 ", %" PRId64 "], config.json says [%" PRId64
                         ", %" PRId64 "]",
                         gram_module_path(&l->m, t), t->name, rows, cols, l->m.rows, l->m.cols);
    return GRAM_OK;
}

static enum gram_status bind_packed(const struct linear *l, const struct gram_tensor *t,
                                    struct gram_weight *w)
{
    const int64_t words = gram_code_row_bytes(l->m.cols, l->group->bits) / 4;

    if (t->dtype != GRAM_I32)
        return gram_module_wrong_dtype(&l->m, t, "i32");
    if (l->group->is_float)
        return gram_fail(l->m.err, GRAM_EFORMAT, "%s: %s: packed, but its group is of floats",
                         gram_module_path(&l->m, t), t->name);
    GRAM_TRY(check_stated_shape(l));
    w->bits = l->group->bits;
    w->row_bytes = words * 4;
    if (t->rank != 2 || t->shape[0] != l->m.rows)
        return wrong_shape(l, t, l->m.rows, words);
    const enum gram_packing packing = gram_packing_find(l->m.cols, t->shape[1], w->bits, l->is_old);
    if (packing == GRAM_PACKED_WRONGLY)
        return wrong_shape(l, t, l->m.rows, words);
    if (packing == GRAM_PACKED_SPARSELY &&
        l->m.cols > 32 / w->bits) /* in one word both ways are the same */
        return repack(l, t, t->shape[1], w);
    w->data = gram_module_aligned(&l->m, t, 4);
    return w->data ? GRAM_OK : gram_fail_memory(l->m.err, t->name);
}

/* Bytes, of the kind that the config group speaks of. */
static enum gram_status bind_plain_codes(const struct linear *l, const struct gram_tensor *t,
                                         struct gram_weight *w)
{
    if (!has_shape(t, l->m.rows, l->m.cols))
        return wrong_shape(l, t, l->m.rows, l->m.cols);
    if ((t->dtype == GRAM_F8_E4M3) != l->group->is_float)
        return gram_module_wrong_dtype(&l->m, t, l->group->is_float ? "f8_e4m3" : "i8");
    w->bits = 8;
    w->is_signed = !l->group->is_float;
    w->table = l->group->is_float ? gram_e4m3.values : NULL;
    w->row_bytes = l->m.cols;
    w->data = gram_module_aligned(&l->m, t, 4);
    return w->data ? GRAM_OK : gram_fail_memory(l->m.err, t->name);
}

static enum gram_status bind_scales(const struct linear *l, struct gram_weight *w)
{
    const struct gram_tensor *t = gram_module_part(&l->m, "weight_scale");

    if (!t)
        return gram_module_missing(&l->m, "weight_scale");
    if (t->dtype != GRAM_F32 && t->dtype != GRAM_F16 && t->dtype != GRAM_BF16)
        return gram_module_wrong_dtype(&l->m, t, "f32, f16 or bf16");
    const bool is_flat = t->rank < 2 && t->count == l->scale_rows && l->n_groups == 1;
    if (!is_flat && !has_shape(t, l->scale_rows, l->n_groups))
        return wrong_shape(l, t, l->scale_rows, l->n_groups);
    w->scale_dtype = t->dtype;
    w->scale_stride = l->scale_rows == 1 && l->m.rows != 1 ? 0 : l->n_groups;
    w->scales = gram_module_aligned(&l->m, t, (size_t)gram_dtype_bits(t->dtype) / 8);
    return w->scales ? GRAM_OK : gram_fail_memory(l->m.err, t->name);
}

/* Column g of zero points packed along the outputs: one bit stream over all rows. */
static void unpack_zero_column(int8_t *zeros, uint8_t *codes, uint8_t *stream,
                               const struct linear *l, const struct gram_tensor *t, int64_t g,
                               enum gram_packing packing)
{
    const int bits = l->group->bits;
    const int64_t words = t->shape[0], stride = t->shape[1];

    if (packing == GRAM_PACKED_SPARSELY) {
        gram_sparse_unpack(codes, t->data, g, stride, l->m.rows, bits);
    } else {
        for (int64_t i = 0; i < words; i++) {
            const uint32_t word = gram_packed_word(t->data, i * stride + g);
            memcpy(stream + 4 * i, &word, 4);
        }
        gram_codes_unpack(codes, stream, 0, l->m.rows, bits);
    }
    for (int64_t r = 0; r < l->m.rows; r++)
        zeros[r * l->n_groups + g] = (int8_t)(codes[r] - (1 << (bits - 1)));
}

static enum gram_status unpack_zeros(const struct linear *l, const struct gram_tensor *t,
                                     struct gram_weight *w)
{
    const int64_t words = gram_code_row_bytes(l->m.rows, l->group->bits) / 4;

    if (t->rank != 2 || t->shape[1] != l->n_groups || l->scale_rows != l->m.rows)
        return wrong_shape(l, t, words, l->n_groups);
    const enum gram_packing packing =
        gram_packing_find(l->m.rows, t->shape[0], l->group->bits, l->is_old);
    if (packing == GRAM_PACKED_WRONGLY)
        return wrong_shape(l, t, words, l->n_groups);
    int8_t *zeros = gram_arena_take(l->m.arena, (size_t)l->m.rows, (size_t)l->n_groups);
    uint8_t *codes = malloc((size_t)l->m.rows);
    uint8_t *stream = malloc((size_t)words * 4);
    if (zeros && codes && stream) {
        for (int64_t g = 0; g < l->n_groups; g++)
            unpack_zero_column(zeros, codes, stream, l, t, g, packing);
    }
    w->zeros = codes && stream ? zeros : NULL;
    free(codes);
    free(stream);
    return w->zeros ? GRAM_OK : gram_fail_memory(l->m.err, t->name);
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
            return gram_fail(l->m.err, GRAM_EFORMAT,
                             "%s: %s: zero point %d of entry %" PRId64 " is outside %d bits",
                             gram_module_path(&l->m, t), t->name, zeros[i], i, l->group->bits);
    }
    w->zeros = zeros;
    return GRAM_OK;
}

static enum gram_status bind_zeros(const struct linear *l, struct gram_weight *w)
{
    const struct gram_tensor *t = gram_module_part(&l->m, "weight_zero_point");

    if (l->group->symmetric)
        return GRAM_OK;
    if (!t)
        return gram_module_missing(&l->m, "weight_zero_point");
    if (t->dtype == GRAM_I8)
        return plain_zeros(l, t, w);
    return t->dtype == GRAM_I32 ? unpack_zeros(l, t, w)
                                : gram_module_wrong_dtype(&l->m, t, "i32 or i8");
}

/* Scales along the input of one row; a group may be cut short at the end of the row. */
static int64_t count_groups(const struct gram_compressed_group *group, int64_t cols)
{
    return group->granularity == GRAM_PER_GROUP ? gram_ceil_div(cols, group->group) : 1;
}

/* The scale of static activations. */
static enum gram_status bind_input(const struct linear *l, struct gram_weight *w)
{
    const struct gram_tensor *t = gram_module_part(&l->m, "input_scale");
    const struct gram_tensor *zero = gram_module_part(&l->m, "input_zero_point");

    if (!l->group->is_static)
        return GRAM_OK;
    if (!t)
        return gram_module_missing(&l->m, "input_scale");
    if (!gram_dtype_info(t->dtype)->is_float)
        return gram_module_wrong_dtype(&l->m, t, "f32, f16 or bf16");
    if (t->count != 1)
        return wrong_shape(l, t, 1, 1);
    gram_read_f32(&w->act_scale, t->data, t->dtype, 0, 1);
    if (!(w->act_scale > 0.0f && w->act_scale <= 3e38f))
        return gram_fail(l->m.err, GRAM_EFORMAT, "%s: %s: %g is not the scale of anything",
                         gram_module_path(&l->m, t), t->name, (double)w->act_scale);
    for (uint64_t i = 0; zero && i < zero->bytes; i++) {
        if (((const uint8_t *)zero->data)[i] != 0)
            return gram_fail(l->m.err, GRAM_EUNSUPPORTED,
                             "%s: %s: only symmetric activations are run",
                             gram_module_path(&l->m, zero), zero->name);
    }
    return GRAM_OK;
}

static enum gram_status bind_quantized(struct linear *l, const struct gram_tensor *packed,
                                       const struct gram_tensor *plain, struct gram_weight *w)
{
    const bool by_group = l->group->granularity == GRAM_PER_GROUP;

    if (gram_module_part(&l->m, "weight_g_idx"))
        return gram_fail(l->m.err, GRAM_EUNSUPPORTED,
                         "%s: %s.weight_g_idx: permuted columns (actorder group) are not read",
                         l->m.where, l->m.name);
    *w = (struct gram_weight){
        .rows = l->m.rows,
        .cols = l->m.cols,
        .group = by_group ? gram_min_i64(l->group->group, l->m.cols) : l->m.cols,
        .act_bits = l->group->act_bits,
    };
    l->n_groups = count_groups(l->group, l->m.cols);
    l->scale_rows = l->group->granularity == GRAM_PER_TENSOR ? 1 : l->m.rows;
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
    const struct gram_compressed *ct = state;
    struct linear l = {.m = {store, module, ct->where, rows, cols, arena, err},
                       .is_old = ct->sparse_packing};
    const struct gram_tensor *packed = gram_module_part(&l.m, "weight_packed");
    const struct gram_tensor *plain = gram_module_part(&l.m, "weight");

    *found = packed || (plain && (plain->dtype == GRAM_I8 || plain->dtype == GRAM_F8_E4M3));
    if (!*found)
        return GRAM_OK;
    GRAM_TRY(gram_compressed_find(ct, module, &l.group, err));
    if (!l.group)
        return gram_fail(err, GRAM_EFORMAT, "%s: %s is quantized, but no config group targets it",
                         ct->where, module);
    return bind_quantized(&l, packed, plain, w);
}
