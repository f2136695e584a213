#include "formats/stored_parts.h"

#include <stdio.h>
#include <string.h>

#include "formats/bitsandbytes.h"
#include "formats/compressed_tensors.h"
#include "tensor/dtype.h"

_Static_assert((int)GRAM_N_PART <= (int)GRAM_MAX_PARTS && (int)GRAM_BNB_N_PART <= (int)GRAM_MAX_PARTS,
               "room for the parts of every container");

static uint64_t bytes_of(int64_t count, enum gram_dtype dtype)
{
    return (uint64_t)count * (uint64_t)gram_dtype_bits(dtype) / 8;
}

bool gram_part_describe(struct gram_tensor *part, const char *module, const char *name, enum gram_dtype dtype,
                        int rank, int64_t rows, int64_t cols, struct gram_arena *arena)
{
    const size_t size = strlen(module) + strlen(name) + 2;
    char *full = gram_arena_take(arena, size, 1);

    if (!full)
        return false;
    snprintf(full, size, "%s.%s", module, name);
    *part = (struct gram_tensor){.name = full, .dtype = dtype, .rank = rank};
    part->shape[0] = rows;
    part->shape[1] = cols;
    part->count = rank == 0 ? 1 : rank == 1 ? rows : rows * cols;
    part->bytes = bytes_of(part->count, dtype);
    return true;
}

bool gram_scheme_parts(struct gram_tensor parts[GRAM_MAX_PARTS], const struct gram_scheme *scheme,
                       const char *module, int64_t rows, int64_t cols, enum gram_dtype scale_dtype,
                       struct gram_arena *arena)
{
    memset(parts, 0, GRAM_MAX_PARTS * sizeof parts[0]);
    if (strcmp(gram_scheme_container(scheme), "bitsandbytes") == 0)
        return gram_bnb_parts(parts, scheme, module, rows, cols, arena);
    return gram_compressed_parts(parts, scheme, module, rows, cols, scale_dtype, arena);
}

bool gram_scheme_bytes(uint64_t *bytes, const struct gram_scheme *scheme, int64_t rows, int64_t cols,
                       enum gram_dtype from, enum gram_dtype scale_dtype)
{
    struct gram_tensor parts[GRAM_MAX_PARTS];
    struct gram_arena arena = {0};

    *bytes = 0;
    if (scheme->kind != GRAM_SCHEME_CODES) {
        *bytes = bytes_of(rows * cols, scheme->kind == GRAM_SCHEME_CAST ? scheme->dtype : from);
        return true;
    }
    const bool ok = gram_scheme_parts(parts, scheme, "", rows, cols, scale_dtype, &arena);
    for (int p = 0; p < GRAM_MAX_PARTS; p++)
        *bytes += parts[p].name ? parts[p].bytes : 0;
    gram_arena_reset(&arena);
    return ok;
}
