/* Character classes as Rust and Oniguruma have them, and the normal forms. */
#ifndef GRAM_TOKENIZER_UNICODE_H
#define GRAM_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gram_buf;

bool gram_is_space(uint32_t c);       /* White_Space */
bool gram_is_numeric(uint32_t c);     /* Nd, Nl, No */
bool gram_is_punctuation(uint32_t c); /* P*, and ASCII symbols */
bool gram_is_mark(uint32_t c);        /* Mn, Mc, Me */
bool gram_is_word(uint32_t c);        /* \w: Alphabetic, M, Nd, Pc, Join_Control */

/* Lower case of c in out[2], full mapping; returns the number of characters. */
size_t gram_to_lower(uint32_t out[2], uint32_t c);

enum gram_normal_form {
    GRAM_NFC = 0,
    GRAM_NFD = 1,  /* decomposed */
    GRAM_NFKC = 2, /* compatibility */
    GRAM_NFKD = 3,
};
/* Append the normal form of valid UTF-8 to out; time n log n whatever the text. False when memory
 * ran out. */
bool gram_normal_form(struct gram_buf *out, const char *text, size_t len,
                      enum gram_normal_form form);

#endif
