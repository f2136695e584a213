/* Reading a shard's file back: its own hash, and whether every part is what was meant to be
 * written. */
#ifndef GRAM_QUANT_VERIFY_H
#define GRAM_QUANT_VERIFY_H

#include "quant/layout.h"
#include "quant/stream.h"

/*
 * Reads the whole file (which has its full size). Fills shard->hash; a unit that is marked done but
 * has a part with another sum than its result says is marked undone. *n_bad counts these. The
 * stream is used for its pool and to be stopped.
 */
enum gram_status gram_verify_shard(struct gram_layout *layout, struct gram_shard *shard,
                                   const struct gram_stream *stream, int64_t *n_bad,
                                   struct gram_error *err);

#endif
