/* What a machine could do at best, measured on any pool and memory: for bench and kcheck. */
#ifndef GRAM_REPORT_CEILINGS_H
#define GRAM_REPORT_CEILINGS_H

#include <gram/bench.h>
#include "base/pool.h"

/* With the instructions of a level (0: of the strongest there is); `memory` should be larger than the
 * caches. */
void gram_measure_ceilings(struct gram_ceilings *out, struct gram_pool *pool, unsigned cpu_flags,
                           const void *memory, int64_t bytes);

#endif
