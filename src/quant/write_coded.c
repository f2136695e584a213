/* Writing what was made in memory: a coded linear, or a tensor that a transform has rewritten. */
#include "quant/write.h"

#include <string.h>

#include "base/checked.h"
#include "quant/code_parts.h"
#include "tensor/dtype.h"
#include "tensor/finite.h"

enum { PIECE_BYTES = 1 << 20 };

/* ---- codes ---- */

struct packing {
    const struct gram_parts *parts;
    const struct gram_coded *coded;
    int64_t first; /* row of the piece */
    char *out;
};

static void pack_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct packing *p = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        gram_parts_pack(p->parts, p->out + i * p->parts->row_bytes,
                        p->coded->codes + (p->first + i) * p->coded->cols);
}

static enum gram_status put_rows(struct gram_parts *parts, const struct gram_coded *coded,
                                 struct gram_pool *pool, struct gram_error *err)
{
    const int64_t most = gram_min_i64(coded->rows, gram_max_i64(1, PIECE_BYTES / parts->row_bytes));
    struct packing p = {.parts = parts, .coded = coded};

    p.out = gram_arena_take(parts->arena, (size_t)most, (size_t)parts->row_bytes);
    if (!p.out)
        return gram_fail_memory(err, parts->unit->source->name);
    for (; p.first < coded->rows; p.first += most) {
        const int64_t n = gram_min_i64(most, coded->rows - p.first);
        gram_pool_for(pool, n, 8, pack_rows, &p);
        GRAM_TRY(gram_parts_rows(parts, p.first, n, p.out, err));
    }
    return GRAM_OK;
}

static uint64_t put_steps(const struct gram_parts *parts, const struct gram_coded *coded)
{
    const int64_t n = coded->is_one ? 1 : coded->rows * coded->groups;
    uint64_t clipped = 0;

    for (int64_t i = 0; i < n; i++) {
        gram_parts_step(parts, i, coded->steps[i]);
        clipped += gram_step_is_saturated(&parts->grid, coded->steps[i]);
    }
    return clipped;
}

enum gram_status gram_write_coded(const struct gram_writer *writer, struct gram_unit *unit,
                                  const struct gram_coded *coded, struct gram_error *err)
{
    struct gram_arena arena = {0};
    struct gram_parts parts;
    enum gram_status status = gram_parts_open(&parts, writer, unit, &arena)
                                  ? put_rows(&parts, coded, writer->stream->pool, err)
                                  : gram_fail_memory(err, unit->source->name);
    if (status == GRAM_OK) {
        unit->result.clipped = put_steps(&parts, coded);
        status = gram_parts_finish(&parts, err);
    }
    gram_arena_reset(&arena);
    return status;
}

/* ---- floats ---- */

static enum gram_status put_floats(const struct gram_writer *writer, struct gram_unit *unit,
                                   const float *x, char *out, int64_t most, struct gram_error *err)
{
    const struct gram_tensor *part = &unit->parts[0];
    const int64_t size = gram_dtype_bits(part->dtype) / 8;
    struct gram_xxh64 sum;

    gram_xxh64_init(&sum);
    for (int64_t at = 0; at < part->count; at += most) {
        const int64_t n = gram_min_i64(most, part->count - at);
        gram_write_f32(out, part->dtype, 0, x + at, n);
        if (gram_find_nonfinite(out, part->dtype, n) < n)
            return gram_fail(err, GRAM_ENONFINITE,
                             "%s: the transform makes a value that %s cannot hold", part->name,
                             gram_dtype_name(part->dtype));
        gram_xxh64_add(&sum, out, (size_t)(n * size));
        GRAM_TRY(gram_write_part(writer, unit, 0, (uint64_t)(at * size), out, (size_t)(n * size),
                                 err));
    }
    unit->result.part_sum[0] = gram_xxh64_value(&sum);
    return GRAM_OK;
}

enum gram_status gram_write_floats(const struct gram_writer *writer, struct gram_unit *unit,
                                   const float *x, struct gram_error *err)
{
    const int64_t most = PIECE_BYTES / (gram_dtype_bits(unit->parts[0].dtype) / 8);
    char *out = malloc(PIECE_BYTES);

    if (!out)
        return gram_fail_memory(err, unit->source->name);
    const enum gram_status status = put_floats(writer, unit, x, out, most, err);
    free(out);
    return status;
}
