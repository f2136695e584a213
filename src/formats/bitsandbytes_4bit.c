/* 4-bit codes: the JSON text beside them says how; every tensor is checked against it and the
 * shape. */
#include "formats/bitsandbytes_4bit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "tensor/blockwise.h"
#include "tensor/codebook.h"

enum { NAME_MAX_BYTES = 4608, MAX_STATE = 1 << 16, MAX_BLOCK = 1 << 16 };

/* What the JSON text of a quant state says. */
struct quant_state {
    const struct gram_codebook *book;
    int64_t block, nested_block;
    bool is_nested;
    float offset;
};

static enum gram_status check_shape(const struct gram_module *m, const json_t *state,
                                    const char *where)
{
    const json_t *shape = json_object_get(state, "shape");
    const int64_t want[2] = {m->rows, m->cols};

    if (json_array_size(shape) != 2)
        return gram_fail(m->err, GRAM_EFORMAT, "%s: shape: two numbers expected", where);
    for (size_t i = 0; i < 2; i++) {
        const json_t *n = json_array_get(shape, i);
        if (!json_is_integer(n) || json_integer_value(n) != want[i])
            return gram_fail(m->err, GRAM_EFORMAT,
                             "%s: shape: [%" PRId64 ", %" PRId64
                             "] expected, as config.json has it",
                             where, want[0], want[1]);
    }
    return GRAM_OK;
}

static enum gram_status parse_state(const struct gram_module *m, const json_t *json,
                                    const char *where, struct quant_state *state)
{
    double offset;

    if (!json_is_object(json))
        return gram_fail(m->err, GRAM_EFORMAT, "%s: an object expected", where);
    GRAM_TRY(gram_json_int(json, "blocksize", 2, MAX_BLOCK, 0, &state->block, where, m->err));
    if (state->block < 2)
        return gram_fail(m->err, GRAM_EFORMAT, "%s: blocksize is missing", where);
    GRAM_TRY(check_shape(m, json, where));
    state->is_nested = gram_json_has(json, "nested_blocksize");
    GRAM_TRY(gram_json_int(json, "nested_blocksize", 1, MAX_BLOCK, 1, &state->nested_block, where,
                           m->err));
    GRAM_TRY(gram_json_real(json, "nested_offset", -1e30, 1e30, 0, &offset, where, m->err));
    state->offset = (float)offset;
    return GRAM_OK;
}

/* The state's tensor is called by the type of its codes. */
static enum gram_status read_state(const struct gram_module *m, struct quant_state *state)
{
    static const char prefix[] = "weight.quant_state.bitsandbytes__";
    static const char *const types[] = {"nf4", "fp4"};
    const struct gram_tensor *t = NULL;
    char where[NAME_MAX_BYTES];
    json_t *json;

    for (int i = 0; i < 2 && !t; i++) {
        char part[64];
        snprintf(part, sizeof part, "%s%s", prefix, types[i]);
        t = gram_module_part(m, part);
        state->book = gram_codebook_find(types[i]);
    }
    if (!t)
        return gram_fail(m->err, GRAM_EFORMAT, "%s: %s.%snf4 (or fp4) is not in the checkpoint",
                         m->where, m->name, prefix);
    if (t->dtype != GRAM_U8 || t->count > MAX_STATE)
        return gram_fail(m->err, GRAM_EFORMAT, "%s: %s: at most %d bytes expected",
                         gram_module_path(m, t), t->name, MAX_STATE);
    snprintf(where, sizeof where, "%s: %s", gram_module_path(m, t), t->name);
    GRAM_TRY(gram_json_parse(&json, t->data, (size_t)t->count, where, m->err));
    const enum gram_status status = parse_state(m, json, where, state);
    json_decref(json);
    return status;
}

/* A map in the file must be the one that the type's name stands for: nobody reads it from there. */
static enum gram_status check_map(const struct gram_module *m, const struct gram_codebook *book)
{
    const float close = 1e-4f; /* older releases rounded fp4 */
    const struct gram_tensor *t;
    float map[16];

    GRAM_TRY(gram_module_get(m, "weight.quant_map", GRAM_F32, 16, &t));
    memcpy(map, t->data, sizeof map);
    for (int i = 0; i < 16; i++) {
        if (!(fabsf(map[i] - book->values[i]) <= close))
            return gram_fail(m->err, GRAM_EFORMAT, "%s: %s: entry %d is %g, in %s it is %g",
                             gram_module_path(m, t), t->name, i, (double)map[i], book->name,
                             (double)book->values[i]);
    }
    return GRAM_OK;
}

/* Scales that are codes themselves: scale = map[code] * nested_absmax + offset, each step rounded.
 */
static enum gram_status decode_scales(const struct gram_module *m, const struct quant_state *state,
                                      int64_t n, float *scales)
{
    const struct gram_tensor *codes, *absmax_part, *map_part;
    const int64_t outer = gram_ceil_div(n, state->nested_block);
    float map[256];

    GRAM_TRY(gram_module_get(m, "weight.absmax", GRAM_U8, n, &codes));
    GRAM_TRY(gram_module_get(m, "weight.nested_absmax", GRAM_F32, outer, &absmax_part));
    GRAM_TRY(gram_module_get(m, "weight.nested_quant_map", GRAM_F32, 256, &map_part));
    float *absmax = gram_arena_take(m->arena, (size_t)outer, sizeof *absmax);
    if (!absmax)
        return gram_fail_memory(m->err, absmax_part->name);
    memcpy(absmax, absmax_part->data, (size_t)outer * sizeof *absmax);
    memcpy(map, map_part->data, sizeof map);
    gram_blockwise_decode(scales, codes->data, absmax, n, state->nested_block, map);
    for (int64_t i = 0; i < n; i++)
        scales[i] += state->offset;
    return GRAM_OK;
}

static enum gram_status read_scales(const struct gram_module *m, const struct quant_state *state,
                                    int64_t n, float *scales)
{
    const struct gram_tensor *t;

    if (state->is_nested)
        return decode_scales(m, state, n, scales);
    GRAM_TRY(gram_module_get(m, "weight.absmax", GRAM_F32, n, &t));
    memcpy(scales, t->data, (size_t)n * sizeof *scales);
    return GRAM_OK;
}

/*
 * Blocks run over the flattened matrix. Where they do not divide a row, a scale is given to each of
 * the shorter runs that rows and blocks are both made of.
 */
static enum gram_status bind_scales(const struct gram_module *m, const struct quant_state *state,
                                    struct gram_weight *w)
{
    const int64_t blocks = gram_ceil_div(m->rows * m->cols, state->block);
    const bool is_regular = m->cols % state->block == 0;

    w->group = gram_gcd_i64(m->cols, state->block);
    w->scale_stride = m->cols / w->group;
    w->scale_dtype = GRAM_F32;
    w->is_nested = state->is_nested;
    float *scales = gram_arena_take(m->arena, (size_t)blocks, sizeof *scales);
    float *runs =
        is_regular ? scales
                   : gram_arena_take(m->arena, (size_t)(m->rows * w->scale_stride), sizeof *runs);
    if (!scales || !runs)
        return gram_fail_memory(m->err, m->name);
    GRAM_TRY(read_scales(m, state, blocks, scales));
    for (int64_t i = 0; !is_regular && i < m->rows * w->scale_stride; i++)
        runs[i] = scales[i * w->group / state->block];
    w->scales = runs;
    return GRAM_OK;
}

/* Rows that do not begin with a whole word are packed anew. */
static enum gram_status bind_nibbles(const struct gram_module *m, const struct gram_tensor *t,
                                     struct gram_weight *w)
{
    const uint8_t *in = t->data;

    w->row_bytes = m->cols / 2;
    w->high_first = true;
    w->data = in;
    if (m->cols % 8 == 0 && (uintptr_t)in % 4 == 0)
        return GRAM_OK;
    w->row_bytes = gram_code_row_bytes(m->cols, 4);
    uint8_t *packed = gram_arena_take(m->arena, (size_t)m->rows, (size_t)w->row_bytes);
    if (!packed)
        return gram_fail_memory(m->err, t->name);
    for (int64_t i = 0; i < m->rows * m->cols; i++) {
        const int code = i % 2 ? in[i / 2] & 15 : in[i / 2] >> 4;
        const int64_t r = i / m->cols, k = i % m->cols;
        packed[r * w->row_bytes + k / 2] |= (uint8_t)(code << (k % 2 ? 0 : 4));
    }
    w->data = packed;
    return GRAM_OK;
}

enum gram_status gram_bnb_bind_4bit(const struct gram_module *m, struct gram_weight *w)
{
    const struct gram_tensor *t = gram_module_part(m, "weight");
    const int64_t bytes = (m->rows * m->cols + 1) / 2;
    struct quant_state state;

    GRAM_TRY(read_state(m, &state));
    if ((int64_t)t->bytes != bytes) /* any dtype may be the storage: bnb_4bit_quant_storage */
        return gram_fail(m->err, GRAM_EFORMAT,
                         "%s: %s: %" PRIu64 " bytes found, %" PRId64
                         " expected for 4-bit codes of %" PRId64 " x %" PRId64,
                         gram_module_path(m, t), t->name, t->bytes, bytes, m->rows, m->cols);
    GRAM_TRY(check_map(m, state.book));
    *w = (struct gram_weight){
        .rows = m->rows, .cols = m->cols, .bits = 4, .table = state.book->values};
    GRAM_TRY(bind_scales(m, &state, w));
    return bind_nibbles(m, t, w);
}
