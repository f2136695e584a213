/* Filling struct gram_error: the one way a failure is told. */
#ifndef GRAM_BASE_ERROR_H
#define GRAM_BASE_ERROR_H

#include <stdio.h>
#include <stdlib.h>
#include <gram/status.h>

/* Write the sentence and return `status`, so that callers can `return gram_fail(...)`. err may be NULL.
 * Control bytes are escaped and broken UTF-8 is replaced, so names from files are safe to print. */
enum gram_status gram_fail(struct gram_error *err, enum gram_status status, const char *format, ...)
    GRAM_PRINTF(3, 4);

/* The status that fits errno value `code`: ENOENT, ENOSPC/EDQUOT, ENOMEM, else GRAM_EIO. */
enum gram_status gram_status_of_errno(int code);

enum gram_status gram_fail_memory(struct gram_error *err, const char *what);

/* Return early with the status of a call that failed. */
#define GRAM_TRY(call)                                                                             \
    do {                                                                                           \
        const enum gram_status try_status_ = (call);                                               \
        if (try_status_ != GRAM_OK)                                                                \
            return try_status_;                                                                    \
    } while (0)

/* Our own bugs, never bad input. Stays on in release builds. */
#define GRAM_ASSERT(condition)                                                                     \
    ((condition) ? (void)0                                                                         \
                 : (fprintf(stderr, "gram: bug: %s:%d: %s\n", __FILE__, __LINE__, #condition),     \
                    abort()))

#endif
