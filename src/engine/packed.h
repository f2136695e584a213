/*
 * Packed weights in a file of their own, so that the next one to open the model maps them and repacks
 * nothing. Written beside the model as gram-packed.bin, or to the user's cache folder where the model's is
 * not writable.
 *
 * The file is one page of header (magic, key, size), then the block as it was in memory. Everything that the
 * block depends on is in the key; its size and the places in it are computed from the model, never read
 * from the file. Any bytes are valid codes, so what a file holds can make results wrong, but nothing else.
 */
#ifndef GRAM_ENGINE_PACKED_H
#define GRAM_ENGINE_PACKED_H

#include "base/file.h"
#include "base/hash.h"
#include "engine/checkpoint.h"

/* What is known of a checkpoint without reading its data: files with sizes and times, tensors with dtypes and
 * shapes, the config. GRAM_OK, GRAM_EIO, GRAM_ENOENT. */
enum gram_status gram_packed_identify(struct gram_sha256 *key, const struct gram_checkpoint *ck,
                                      struct gram_error *err);

/*
 * Look for a file with this key and `bytes` of weights. *out is NULL when there is none; then GRAM_OK means
 * that there was no file at all, and anything else that one was there, but not this one, and why.
 */
enum gram_status gram_packed_open(struct gram_file **out, const struct gram_checkpoint *ck,
                                  const char key[GRAM_SHA256_HEX], size_t bytes,
                                  struct gram_error *err);
/* The weights in it. */
const void *gram_packed_block(const struct gram_file *file);

/* Write one, whole or not at all. If another process is just doing that, GRAM_OK. */
enum gram_status gram_packed_write(const struct gram_checkpoint *ck, const char key[GRAM_SHA256_HEX],
                                   const void *block, size_t bytes, struct gram_error *err);

#endif
