/*
 * Memory that lies in a file, so that the system may take it back while it is not used (the paged states
 * of QLoRA, Dettmers et al. 2023). No folder lists the file: it is gone when it is closed, or when the
 * program dies.
 */
#ifndef GRAM_TRAIN_PAGED_H
#define GRAM_TRAIN_PAGED_H

#include <stddef.h>
#include "base/error.h"

enum { GRAM_PAGE = 1 << 16 }; /* a multiple of any system's page */

/* Zero bytes are a valid closed one. */
struct gram_paged {
    char *at;
    size_t bytes;
};

/* Zeroed bytes in a file in `folder`, which must have room for them. GRAM_ENOSPC, GRAM_EIO, GRAM_ENOMEM. */
enum gram_status gram_paged_open(struct gram_paged *paged, const char *folder, size_t bytes,
                                 struct gram_error *err);
void gram_paged_close(struct gram_paged *paged);
/* What lies there is not needed soon. The range is widened to whole pages of its own. */
void gram_paged_release(const struct gram_paged *paged, const void *from, size_t bytes);

#endif
