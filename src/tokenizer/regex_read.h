/* Reading a pattern from left to right while its translation is written. */
#ifndef GRAM_TOKENIZER_REGEX_READ_H
#define GRAM_TOKENIZER_REGEX_READ_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

struct gram_pattern_reader {
    const char *pattern;
    size_t len, at;
    size_t trusted; /* the rules do not apply from this offset on */
    struct gram_buf *out;
    const char *problem; /* why it is refused, NULL if it is not */
    bool is_malformed;
};

/* Note why the pattern is refused (the first reason counts); false, so that callers can return it.
 */
bool gram_pattern_refuse(struct gram_pattern_reader *r, const char *problem);
/* The same for a pattern that is none in any dialect. */
bool gram_pattern_malformed(struct gram_pattern_reader *r, const char *problem);

/* The byte `ahead` of the place; -1 behind the end. */
int gram_pattern_peek(const struct gram_pattern_reader *r, size_t ahead);
/* Copy the next n bytes as they are. */
void gram_pattern_copy(struct gram_pattern_reader *r, size_t n);
/* If `s` comes next, step over it and write `instead`. */
bool gram_pattern_take(struct gram_pattern_reader *r, const char *s, const char *instead);

/* A backslash and what belongs to it; a class in brackets; a quantifier, if there is one (else
 * *found is false and both bounds are 1; no upper bound is UINT32_MAX). False when the pattern is
 * refused. */
bool gram_pattern_escape(struct gram_pattern_reader *r, bool in_class);
bool gram_pattern_class(struct gram_pattern_reader *r);
bool gram_pattern_bounds(struct gram_pattern_reader *r, uint32_t *min, uint32_t *max, bool *found);

#endif
