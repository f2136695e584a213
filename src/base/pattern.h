/* Regular expressions that come from files (PCRE2, which reads what Python's `re` reads of them). */
#ifndef GRAM_BASE_PATTERN_H
#define GRAM_BASE_PATTERN_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/error.h"

/*
 * Compile `text` into memory of the arena; the pattern needs no release of its own. where names its source.
 * GRAM_EFORMAT names the character that is wrong; GRAM_ENOMEM.
 */
enum gram_status gram_pattern_compile(void **out, const char *text, struct gram_arena *arena,
                                      const char *where, struct gram_error *err);

/*
 * Does it match `name` from its first character on: to its last (re.fullmatch), or as far as it goes
 * (re.match)? GRAM_EFORMAT for one that takes too many steps, GRAM_ENOMEM.
 */
enum gram_status gram_pattern_match(const void *pattern, const char *name, bool is_full, bool *yes,
                                    const char *where, struct gram_error *err);

#endif
