/*
 * Storing the parts of a coded linear: codes by rows, in their order; steps in any order; at the
 * end scales, shape and zero points.
 */
#ifndef GRAM_QUANT_CODE_PARTS_H
#define GRAM_QUANT_CODE_PARTS_H

#include "base/arena.h"
#include "quant/write.h"
#include "tensor/grid.h"

struct gram_parts {
    const struct gram_writer *writer;
    struct gram_unit *unit; /* result.part_sum is filled in */
    struct gram_grid grid;
    int64_t groups;         /* steps of a row */
    int64_t row_bytes;      /* of codes as they are stored */
    char *scales;           /* of the tensor */
    int8_t *zeros;          /* of the tensor; NULL on a symmetric grid */
    struct gram_xxh64 checksum;
    struct gram_arena *arena;
};

/* The grid of a unit with codes. */
struct gram_grid gram_unit_grid(const struct gram_unit *unit);

/* False if memory ran out; it comes from `arena`. */
bool gram_parts_open(struct gram_parts *parts, const struct gram_writer *writer,
                     struct gram_unit *unit, struct gram_arena *arena);

/* Step `at` of the tensor; a row of codes as it is stored, out[row_bytes]. Any thread. */
void gram_parts_step(const struct gram_parts *parts, int64_t at, struct gram_step step);
void gram_parts_pack(const struct gram_parts *parts, char *out, const uint8_t *codes);

/* Write packed rows [first, first + n), behind those before. */
enum gram_status gram_parts_rows(struct gram_parts *parts, int64_t first, int64_t n,
                                 const char *packed, struct gram_error *err);
/* Write all but the codes. */
enum gram_status gram_parts_finish(struct gram_parts *parts, struct gram_error *err);

#endif
