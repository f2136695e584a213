/* Reading: which tensors a linear has tells how it is stored; each is checked against its shape. */
#include "formats/bitsandbytes.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "tensor/blockwise.h"
#include "tensor/dtype.h"

enum { NAME_MAX_BYTES = 4608, MAX_STATE = 1 << 16, MAX_BLOCK = 1 << 16 };

enum gram_status gram_bnb_open(const json_t *config, const char *where, struct gram_arena *arena,
                               void **state, struct gram_error *err)
{
    bool is_4bit;
    double threshold;

    *state = NULL;
    struct gram_bnb *bnb = gram_arena_take(arena, 1, sizeof *bnb);
    if (!bnb || !(bnb->where = gram_arena_str(arena, where)))
        return gram_fail_memory(err, where);
    GRAM_TRY(gram_json_bool(config, "load_in_4bit", false, &is_4bit, where, err));
    GRAM_TRY(gram_json_bool(config, "load_in_8bit", false, &bnb->is_8bit, where, err));
    if (is_4bit == bnb->is_8bit)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: one of load_in_4bit and load_in_8bit must be true", where);
    GRAM_TRY(gram_json_real(config, "llm_int8_threshold", 0, 1e6, 6.0, &threshold, where, err));
    bnb->threshold = (float)threshold;
    *state = bnb;
    return GRAM_OK;
}

struct linear {
    const struct gram_bnb *bnb;
    const struct gram_store *store;
    const char *module;
    int64_t rows, cols, block;
    struct gram_arena *arena;
    struct gram_error *err;
};

static const struct gram_tensor *find_part(const struct linear *l, const char *part)
{
    char name[NAME_MAX_BYTES];
    const int n = snprintf(name, sizeof name, "%s.%s", l->module, part);
    return n > 0 && (size_t)n < sizeof name ? gram_store_find(l->store, name) : NULL;
}

static const char *path_of(const struct linear *l, const struct gram_tensor *t)
{
    return gram_store_file_path(l->store, t->file);
}

/* The part, of this type and with this many elements. */
static enum gram_status get_part(const struct linear *l, const char *part, enum gram_dtype dtype,
                                 int64_t count, const struct gram_tensor **out)
{
    const struct gram_tensor *t = *out = find_part(l, part);

    if (!t)
        return gram_fail(l->err, GRAM_EFORMAT, "%s: %s.%s is not in the checkpoint", l->bnb->where,
                         l->module, part);
    if (t->dtype != dtype || t->count != count)
        return gram_fail(l->err, GRAM_EFORMAT,
                         "%s: %s: %" PRId64 " x %s found, %" PRId64 " x %s expected for a linear of %" PRId64
                         " x %" PRId64, path_of(l, t), t->name, t->count, gram_dtype_name(t->dtype), count,
                         gram_dtype_name(dtype), l->rows, l->cols);
    return GRAM_OK;
}

/* ---- 4 bits ---- */

/* What the JSON text of a quant state says. */
struct quant_state {
    const struct gram_codebook *book;
    int64_t block, nested_block;
    bool is_nested;
    float offset;
};

static enum gram_status check_shape(const struct linear *l, const json_t *state, const char *where)
{
    const json_t *shape = json_object_get(state, "shape");
    const int64_t want[2] = {l->rows, l->cols};

    if (json_array_size(shape) != 2)
        return gram_fail(l->err, GRAM_EFORMAT, "%s: shape: two numbers expected", where);
    for (size_t i = 0; i < 2; i++) {
        const json_t *n = json_array_get(shape, i);
        if (!json_is_integer(n) || json_integer_value(n) != want[i])
            return gram_fail(l->err, GRAM_EFORMAT,
                             "%s: shape: [%" PRId64 ", %" PRId64 "] expected, as config.json has it",
                             where, want[0], want[1]);
    }
    return GRAM_OK;
}

static enum gram_status parse_state(const struct linear *l, const json_t *json, const char *where,
                                    struct quant_state *state)
{
    double offset;

    if (!json_is_object(json))
        return gram_fail(l->err, GRAM_EFORMAT, "%s: an object expected", where);
    GRAM_TRY(gram_json_int(json, "blocksize", 2, MAX_BLOCK, 0, &state->block, where, l->err));
    if (state->block < 2)
        return gram_fail(l->err, GRAM_EFORMAT, "%s: blocksize is missing", where);
    GRAM_TRY(check_shape(l, json, where));
    state->is_nested = gram_json_has(json, "nested_blocksize");
    GRAM_TRY(gram_json_int(json, "nested_blocksize", 1, MAX_BLOCK, 1, &state->nested_block, where,
                           l->err));
    GRAM_TRY(gram_json_real(json, "nested_offset", -1e30, 1e30, 0, &offset, where, l->err));
    state->offset = (float)offset;
    return GRAM_OK;
}

/* The state's tensor is called by the type of its codes. */
static enum gram_status read_state(const struct linear *l, struct quant_state *state)
{
    static const char prefix[] = "weight.quant_state.bitsandbytes__";
    static const char *const types[] = {"nf4", "fp4"};
    const struct gram_tensor *t = NULL;
    char where[NAME_MAX_BYTES];
    json_t *json;

    for (int i = 0; i < 2 && !t; i++) {
        char part[64];
        snprintf(part, sizeof part, "%s%s", prefix, types[i]);
        t = find_part(l, part);
        state->book = gram_codebook_find(types[i]);
    }
    if (!t)
        return gram_fail(l->err, GRAM_EFORMAT, "%s: %s.%snf4 (or fp4) is not in the checkpoint",
                         l->bnb->where, l->module, prefix);
    if (t->dtype != GRAM_U8 || t->count > MAX_STATE)
        return gram_fail(l->err, GRAM_EFORMAT, "%s: %s: at most %d bytes expected", path_of(l, t),
                         t->name, MAX_STATE);
    snprintf(where, sizeof where, "%s: %s", path_of(l, t), t->name);
    GRAM_TRY(gram_json_parse(&json, t->data, (size_t)t->count, where, l->err));
    const enum gram_status status = parse_state(l, json, where, state);
    json_decref(json);
    return status;
}

/* A map in the file must be the one that the type's name stands for: nobody reads it from there. */
static enum gram_status check_map(const struct linear *l, const struct gram_codebook *book)
{
    const float close = 1e-4f; /* older releases rounded fp4 */
    const struct gram_tensor *t;
    float map[16];

    GRAM_TRY(get_part(l, "weight.quant_map", GRAM_F32, 16, &t));
    memcpy(map, t->data, sizeof map);
    for (int i = 0; i < 16; i++) {
        if (!(fabsf(map[i] - book->values[i]) <= close))
            return gram_fail(l->err, GRAM_EFORMAT, "%s: %s: entry %d is %g, in %s it is %g",
                             path_of(l, t), t->name, i, (double)map[i], book->name,
                             (double)book->values[i]);
    }
    return GRAM_OK;
}

/* Scales that are codes themselves: scale = map[code] * nested_absmax + offset, each step rounded. */
static enum gram_status decode_scales(const struct linear *l, const struct quant_state *state,
                                      int64_t n, float *scales)
{
    const struct gram_tensor *codes, *absmax_part, *map_part;
    const int64_t outer = gram_ceil_div(n, state->nested_block);
    float map[256];

    GRAM_TRY(get_part(l, "weight.absmax", GRAM_U8, n, &codes));
    GRAM_TRY(get_part(l, "weight.nested_absmax", GRAM_F32, outer, &absmax_part));
    GRAM_TRY(get_part(l, "weight.nested_quant_map", GRAM_F32, 256, &map_part));
    float *absmax = gram_arena_take(l->arena, (size_t)outer, sizeof *absmax);
    if (!absmax)
        return gram_fail_memory(l->err, absmax_part->name);
    memcpy(absmax, absmax_part->data, (size_t)outer * sizeof *absmax);
    memcpy(map, map_part->data, sizeof map);
    gram_blockwise_decode(scales, codes->data, absmax, n, state->nested_block, map);
    for (int64_t i = 0; i < n; i++)
        scales[i] += state->offset;
    return GRAM_OK;
}

static enum gram_status read_scales(const struct linear *l, const struct quant_state *state,
                                    int64_t n, float *scales)
{
    const struct gram_tensor *t;

    if (state->is_nested)
        return decode_scales(l, state, n, scales);
    GRAM_TRY(get_part(l, "weight.absmax", GRAM_F32, n, &t));
    memcpy(scales, t->data, (size_t)n * sizeof *scales);
    return GRAM_OK;
}

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/*
 * Blocks run over the flattened matrix. Where they do not divide a row, a scale is given to each of the
 * shorter runs that rows and blocks are both made of.
 */
static enum gram_status bind_scales(const struct linear *l, const struct quant_state *state,
                                    struct gram_weight *w)
{
    const int64_t blocks = gram_ceil_div(l->rows * l->cols, state->block);
    const bool is_regular = l->cols % state->block == 0;

    w->group = greatest_divisor(l->cols, state->block);
    w->scale_stride = l->cols / w->group;
    w->scale_dtype = GRAM_F32;
    w->is_nested = state->is_nested;
    float *scales = gram_arena_take(l->arena, (size_t)blocks, sizeof *scales);
    float *runs = is_regular ? scales
                             : gram_arena_take(l->arena, (size_t)(l->rows * w->scale_stride),
                                               sizeof *runs);
    if (!scales || !runs)
        return gram_fail_memory(l->err, l->module);
    GRAM_TRY(read_scales(l, state, blocks, scales));
    for (int64_t i = 0; !is_regular && i < l->rows * w->scale_stride; i++)
        runs[i] = scales[i * w->group / state->block];
    w->scales = runs;
    return GRAM_OK;
}

/* Rows that do not begin with a whole word are packed anew. */
static enum gram_status bind_nibbles(const struct linear *l, const struct gram_tensor *t,
                                     struct gram_weight *w)
{
    const uint8_t *in = t->data;

    w->row_bytes = l->cols / 2;
    w->high_first = true;
    w->data = in;
    if (l->cols % 8 == 0 && (uintptr_t)in % 4 == 0)
        return GRAM_OK;
    w->row_bytes = gram_code_row_bytes(l->cols, 4);
    uint8_t *packed = gram_arena_take(l->arena, (size_t)l->rows, (size_t)w->row_bytes);
    if (!packed)
        return gram_fail_memory(l->err, t->name);
    for (int64_t i = 0; i < l->rows * l->cols; i++) {
        const int code = i % 2 ? in[i / 2] & 15 : in[i / 2] >> 4;
        const int64_t r = i / l->cols, k = i % l->cols;
        packed[r * w->row_bytes + k / 2] |= (uint8_t)(code << (k % 2 ? 0 : 4));
    }
    w->data = packed;
    return GRAM_OK;
}

static enum gram_status bind_4bit(const struct linear *l, struct gram_weight *w)
{
    const struct gram_tensor *t = find_part(l, "weight");
    const int64_t bytes = (l->rows * l->cols + 1) / 2;
    struct quant_state state;

    GRAM_TRY(read_state(l, &state));
    if ((int64_t)t->bytes != bytes) /* any dtype may be the storage: bnb_4bit_quant_storage */
        return gram_fail(l->err, GRAM_EFORMAT,
                         "%s: %s: %" PRIu64 " bytes found, %" PRId64
                         " expected for 4-bit codes of %" PRId64 " x %" PRId64, path_of(l, t),
                         t->name, t->bytes, bytes, l->rows, l->cols);
    GRAM_TRY(check_map(l, state.book));
    *w = (struct gram_weight){
        .rows = l->rows, .cols = l->cols, .bits = 4, .table = state.book->values};
    GRAM_TRY(bind_scales(l, &state, w));
    return bind_nibbles(l, t, w);
}

/* ---- 8 bits ---- */

static enum gram_status bind_8bit(const struct linear *l, struct gram_weight *w)
{
    const struct gram_tensor *codes, *rows, *format = find_part(l, "weight_format");

    GRAM_TRY(get_part(l, "weight", GRAM_I8, l->rows * l->cols, &codes));
    GRAM_TRY(get_part(l, "SCB", GRAM_F32, l->rows, &rows));
    if (format && (format->dtype != GRAM_U8 || format->count != 1 || *(const uint8_t *)format->data))
        return gram_fail(l->err, GRAM_EUNSUPPORTED,
                         "%s: %s: only rows in their order (0) are read", path_of(l, format),
                         format->name);
    float *scales = gram_arena_take(l->arena, (size_t)l->rows, sizeof *scales);
    void *copy = (uintptr_t)codes->data % 4 ? gram_arena_take(l->arena, (size_t)codes->bytes, 1) : NULL;
    if (!scales || ((uintptr_t)codes->data % 4 && !copy))
        return gram_fail_memory(l->err, codes->name);
    memcpy(scales, rows->data, (size_t)l->rows * sizeof *scales);
    for (int64_t r = 0; r < l->rows; r++)
        scales[r] /= 127.0f;
    *w = (struct gram_weight){
        .rows = l->rows,
        .cols = l->cols,
        .bits = 8,
        .is_signed = true,
        .data = copy ? memcpy(copy, codes->data, (size_t)codes->bytes) : codes->data,
        .row_bytes = l->cols,
        .group = l->cols,
        .scales = scales,
        .scale_stride = 1,
        .scale_dtype = GRAM_F32,
        .act_bits = 8,
        .act_outlier = l->bnb->threshold > 0.0f ? l->bnb->threshold : INFINITY,
    };
    return GRAM_OK;
}

enum gram_status gram_bnb_bind(const void *state, const struct gram_store *store,
                               const char *module, int64_t rows, int64_t cols,
                               struct gram_arena *arena, struct gram_weight *w, bool *found,
                               struct gram_error *err)
{
    const struct linear l = {.bnb = state,
                             .store = store,
                             .module = module,
                             .rows = rows,
                             .cols = cols,
                             .arena = arena,
                             .err = err};
    const struct gram_tensor *weight = find_part(&l, "weight");

    *found = l.bnb->is_8bit ? find_part(&l, "SCB") != NULL
                            : find_part(&l, "weight.absmax") != NULL && weight;
    if (!*found)
        return GRAM_OK;
    return l.bnb->is_8bit ? bind_8bit(&l, w) : bind_4bit(&l, w);
}
