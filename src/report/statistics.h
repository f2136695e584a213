/* Statistics of one tensor, over all its elements, the same for any number of threads. */
#ifndef GRAM_REPORT_STATISTICS_H
#define GRAM_REPORT_STATISTICS_H

#include <gram/inspect.h>
#include "base/pool.h"
#include "formats/store.h"

/* Fill out->... of a floating tensor: three passes in chunks, whose pages are given back. */
enum gram_status gram_tensor_statistics(struct gram_tensor_report *out,
                                        const struct gram_store *store, struct gram_pool *pool,
                                        struct gram_error *err);

#endif
