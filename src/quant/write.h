/*
 * Turning one tensor of the source into its parts: reads it through the stream, writes to the
 * shard's file, fills unit->result. What is not finite fails with the tensor, the index and the
 * value, unless it is allowed.
 */
#ifndef GRAM_QUANT_WRITE_H
#define GRAM_QUANT_WRITE_H

#include "quant/coded.h"
#include "quant/layout.h"
#include "quant/stream.h"

struct gram_writer {
    struct gram_stream *stream;
    struct gram_layout *layout;
    const struct gram_store *store;
    bool allow_nonfinite;
};

/* Codes on a grid; as they are, or cast. */
enum gram_status gram_write_codes(const struct gram_writer *writer, struct gram_unit *unit,
                                  struct gram_error *err);
enum gram_status gram_write_plain(const struct gram_writer *writer, struct gram_unit *unit,
                                  struct gram_error *err);

/* The same for what is in memory: codes, or floats [count] that are stored in the part's type. Nothing is
 * read through the stream, and of the result only part_sum and clipped are filled in. */
enum gram_status gram_write_coded(const struct gram_writer *writer, struct gram_unit *unit,
                                  const struct gram_coded *coded, struct gram_error *err);
enum gram_status gram_write_floats(const struct gram_writer *writer, struct gram_unit *unit,
                                   const float *x, struct gram_error *err);

/* Bytes of a part, `at` from its beginning. */
enum gram_status gram_write_part(const struct gram_writer *writer, const struct gram_unit *unit,
                                 int part, uint64_t at, const void *bytes, size_t n,
                                 struct gram_error *err);

/* Say which element of the piece is the first that is not finite; `so` follows the value. */
enum gram_status gram_fail_nonfinite(const struct gram_writer *writer,
                                     const struct gram_piece *piece, int64_t index, const char *so,
                                     struct gram_error *err);

#endif
