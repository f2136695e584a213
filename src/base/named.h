/* Tables whose rows begin with a name: the first member is a const char *, NULL in the row behind
 * the last. */
#ifndef GRAM_BASE_NAMED_H
#define GRAM_BASE_NAMED_H

#include <stddef.h>
#include "base/error.h"

/*
 * Where the row of this name is. stride: bytes of a row; what: what the table lists, for the sentence.
 * GRAM_EINVAL: "unknown method 'x'; there are rtn, mse and gptq".
 */
enum gram_status gram_named_find(size_t *at, const void *table, size_t stride, const char *what,
                                 const char *name, struct gram_error *err);

#endif
