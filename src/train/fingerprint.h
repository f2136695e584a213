/*
 * Which model a training started from. Every byte of up to GRAM_FINGERPRINT_WHOLE counts; of larger
 * models the first 64 KiB of every 4 MiB, and when their files were changed: no training leaves those as
 * they were. On all threads, at the speed of memory; the bytes are read from disk once, since training
 * reads them next.
 */
#ifndef GRAM_TRAIN_FINGERPRINT_H
#define GRAM_TRAIN_FINGERPRINT_H

#include "base/hash.h"
#include "base/pool.h"
#include "formats/store.h"

#define GRAM_FINGERPRINT_WHOLE ((uint64_t)8 << 30)

/* Names, types, shapes and bytes are added to the hash. GRAM_ENOMEM. */
enum gram_status gram_fingerprint_add(struct gram_sha256 *hash, const struct gram_store *store,
                                      struct gram_pool *pool, struct gram_error *err);

#endif
