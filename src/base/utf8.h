/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef GRAM_BASE_UTF8_H
#define GRAM_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at `s` (1..4) and the character in *c; 0 if the `len` bytes do not start with
 * a well-formed one. */
size_t gram_utf8_next(const char *s, size_t len, uint32_t *c);

/* Write `c` (a Unicode scalar value) to out[4]; returns the bytes written. */
size_t gram_utf8_put(char out[4], uint32_t c);

/* Is all of it well formed? *at (may be NULL) receives the offset of the first bad byte. */
bool gram_utf8_valid(const char *s, size_t len, size_t *at);

#endif
