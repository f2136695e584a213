/* Large zeroed memory straight from the system, in large pages where it has them. */
#ifndef GRAM_BASE_PAGES_H
#define GRAM_BASE_PAGES_H

#include <stddef.h>

/* `bytes` of zeroed memory, aligned to 2 MiB, that takes room only as far as it is written; NULL if there is
 * none. Nothing for zero bytes, which is no failure. */
void *gram_pages_map(size_t bytes);
/* What gram_pages_map() returned, and its size; accepts NULL. */
void gram_pages_unmap(void *pages, size_t bytes);

#endif
