/* The tensors that a linear is stored as, whatever its container. */
#ifndef GRAM_FORMATS_STORED_PARTS_H
#define GRAM_FORMATS_STORED_PARTS_H

#include "base/arena.h"
#include "formats/container.h"
#include "tensor/scheme.h"

/*
 * Describe one: "<module>.<name>" of rank 0, 1 ([rows]) or 2 ([rows, cols]); data is NULL. The name is put
 * into the arena. False if memory ran out.
 */
bool gram_part_describe(struct gram_tensor *part, const char *module, const char *name, enum gram_dtype dtype,
                        int rank, int64_t rows, int64_t cols, struct gram_arena *arena);

/*
 * All those of a linear [rows, cols] under a scheme with codes, in the container of that scheme.
 * Groups divide cols. A part that there is not gets a NULL name. False if memory ran out.
 */
bool gram_scheme_parts(struct gram_tensor parts[GRAM_MAX_PARTS], const struct gram_scheme *scheme,
                       const char *module, int64_t rows, int64_t cols, enum gram_dtype scale_dtype,
                       struct gram_arena *arena);

/* Bytes of all of them; of one tensor of dtype `from`, or cast from it, if the scheme has no codes. */
bool gram_scheme_bytes(uint64_t *bytes, const struct gram_scheme *scheme, int64_t rows, int64_t cols,
                       enum gram_dtype from, enum gram_dtype scale_dtype);

#endif
