/* How codes and steps become bytes of the container: for codes made piece by piece, and in memory. */
#include "quant/code_parts.h"

#include <string.h>

#include "formats/bitsandbytes.h"
#include "formats/compressed_tensors.h"
#include "tensor/dtype.h"

struct gram_grid gram_unit_grid(const struct gram_unit *unit)
{
    return gram_scheme_grid(&unit->how.scheme, unit->scale_dtype);
}

bool gram_parts_open(struct gram_parts *parts, const struct gram_writer *writer,
                     struct gram_unit *unit, struct gram_arena *arena)
{
    const size_t n_scales = (size_t)unit->parts[GRAM_PART_SCALES].count;
    const int64_t cols = unit->slot->cols;

    *parts = (struct gram_parts){
        .writer = writer,
        .unit = unit,
        .grid = gram_unit_grid(unit),
        .groups = cols / gram_scheme_span(&unit->how.scheme, cols),
        .row_bytes = (int64_t)unit->parts[GRAM_PART_CODES].bytes / unit->slot->rows,
        .arena = arena,
    };
    gram_xxh64_init(&parts->checksum);
    parts->scales = gram_arena_take(arena, n_scales, (size_t)gram_dtype_bits(unit->scale_dtype) / 8);
    parts->zeros = parts->grid.asymmetric ? gram_arena_take(arena, n_scales, 1) : NULL;
    return parts->scales && (parts->zeros || !parts->grid.asymmetric);
}

void gram_parts_step(const struct gram_parts *parts, int64_t at, struct gram_step step)
{
    gram_write_f32(parts->scales, parts->unit->scale_dtype, at, &step.scale, 1);
    if (parts->zeros)
        parts->zeros[at] = (int8_t)step.zero;
}

static bool is_bitsandbytes(const struct gram_parts *parts)
{
    return strcmp(gram_scheme_container(&parts->unit->how.scheme), "bitsandbytes") == 0;
}

void gram_parts_pack(const struct gram_parts *parts, char *out, const uint8_t *codes)
{
    const int64_t cols = parts->unit->slot->cols;
    const enum gram_dtype dtype = parts->unit->parts[GRAM_PART_CODES].dtype;

    if (is_bitsandbytes(parts)) {
        gram_bnb_pack(out, &parts->unit->how.scheme, codes, cols);
        return;
    }
    if (dtype == GRAM_I32) {
        gram_codes_pack(out, codes, cols, parts->grid.bits);
        return;
    }
    if (dtype == GRAM_F8_E4M3) {
        memcpy(out, codes, (size_t)cols);
        return;
    }
    for (int64_t k = 0; k < cols; k++) /* plain int8: 128 less */
        out[k] = (char)(codes[k] ^ 0x80);
}

enum gram_status gram_parts_rows(struct gram_parts *parts, int64_t first, int64_t n,
                                 const char *packed, struct gram_error *err)
{
    const size_t bytes = (size_t)(n * parts->row_bytes);

    gram_xxh64_add(&parts->checksum, packed, bytes);
    return gram_write_part(parts->writer, parts->unit, GRAM_PART_CODES,
                           (uint64_t)(first * parts->row_bytes), packed, bytes, err);
}

static enum gram_status put_part(struct gram_parts *parts, int part, const void *bytes,
                                 struct gram_error *err)
{
    struct gram_unit *unit = parts->unit;
    const size_t n = (size_t)unit->parts[part].bytes;
    struct gram_xxh64 sum;

    gram_xxh64_init(&sum);
    gram_xxh64_add(&sum, bytes, n);
    unit->result.part_sum[part] = gram_xxh64_value(&sum);
    return gram_write_part(parts->writer, unit, part, 0, bytes, n, err);
}

static enum gram_status put_zeros(struct gram_parts *parts, struct gram_error *err)
{
    const struct gram_unit *unit = parts->unit;
    const struct gram_tensor *part = &unit->parts[GRAM_PART_ZEROS];

    if (part->dtype == GRAM_I8)
        return put_part(parts, GRAM_PART_ZEROS, parts->zeros, err);
    uint32_t *packed = gram_arena_take(parts->arena, (size_t)part->count, sizeof *packed);
    if (!packed || !gram_compressed_pack_zeros(packed, parts->zeros, unit->slot->rows,
                                               parts->groups, parts->grid.bits))
        return gram_fail_memory(err, part->name);
    return put_part(parts, GRAM_PART_ZEROS, packed, err);
}

/* The one scale of static activations. */
static enum gram_status put_input(struct gram_parts *parts, struct gram_error *err)
{
    uint32_t bytes;

    gram_write_f32(&bytes, parts->unit->parts[GRAM_PART_INPUT].dtype, 0, &parts->unit->act_scale, 1);
    return put_part(parts, GRAM_PART_INPUT, &bytes, err);
}

static enum gram_status finish_bitsandbytes(struct gram_parts *parts, struct gram_error *err)
{
    const struct gram_unit *unit = parts->unit;
    const int64_t rows = unit->slot->rows, cols = unit->slot->cols;
    void *out[GRAM_BNB_N_PART] = {0};

    for (int p = GRAM_BNB_SCALES; p < GRAM_BNB_N_PART; p++) {
        if (!gram_unit_has(unit, p))
            continue;
        out[p] = gram_arena_take(parts->arena, (size_t)unit->parts[p].bytes, 1);
        if (!out[p])
            return gram_fail_memory(err, unit->parts[p].name);
    }
    GRAM_TRY(gram_bnb_fill(out, &unit->how.scheme, (const float *)(const void *)parts->scales,
                           unit->parts[GRAM_BNB_SCALES].count, rows, cols, unit->source->dtype, err));
    for (int p = GRAM_BNB_SCALES; p < GRAM_BNB_N_PART; p++) {
        if (out[p])
            GRAM_TRY(put_part(parts, p, out[p], err));
    }
    return GRAM_OK;
}

enum gram_status gram_parts_finish(struct gram_parts *parts, struct gram_error *err)
{
    const struct gram_unit *unit = parts->unit;
    const int64_t shape[2] = {unit->slot->rows, unit->slot->cols};

    parts->unit->result.part_sum[GRAM_PART_CODES] = gram_xxh64_value(&parts->checksum);
    if (is_bitsandbytes(parts))
        return finish_bitsandbytes(parts, err);
    if (gram_unit_has(unit, GRAM_PART_INPUT))
        GRAM_TRY(put_input(parts, err));
    GRAM_TRY(put_part(parts, GRAM_PART_SCALES, parts->scales, err));
    if (gram_unit_has(unit, GRAM_PART_SHAPE))
        GRAM_TRY(put_part(parts, GRAM_PART_SHAPE, shape, err));
    return gram_unit_has(unit, GRAM_PART_ZEROS) ? put_zeros(parts, err) : GRAM_OK;
}
