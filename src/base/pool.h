/* Threads that share one loop at a time. */
#ifndef GRAM_BASE_POOL_H
#define GRAM_BASE_POOL_H

#include <stdint.h>
#include "base/error.h"

struct gram_pool;

/* begin..end-1 are this call's share of the loop; worker is 0..threads-1 (for scratch memory). */
typedef void gram_pool_fn(void *context, int64_t begin, int64_t end, int worker);

/* threads counts the caller: 1 starts none. */
enum gram_status gram_pool_open(struct gram_pool **out, int threads, struct gram_error *err);
void gram_pool_close(struct gram_pool **pool);
int gram_pool_threads(const struct gram_pool *pool);

/*
 * Run fn over 0..count-1, handed out in chunks of `chunk` (>= 1) to whoever is free, and return when all
 * is done. fn must not depend on which worker or in what order: the chunks are always the same, so
 * results are too, for any number of threads. Calls from several threads take turns; calls from inside
 * fn are not allowed.
 */
void gram_pool_for(struct gram_pool *pool, int64_t count, int64_t chunk, gram_pool_fn *fn,
                   void *context);

#endif
