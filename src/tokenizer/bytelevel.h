/* GPT-2's way of writing any byte as a printable character. */
#ifndef GRAM_TOKENIZER_BYTELEVEL_H
#define GRAM_TOKENIZER_BYTELEVEL_H

#include <stddef.h>
#include <stdint.h>

struct gram_buf;

/* Append every byte of the text as its character. */
void gram_bytelevel_encode(struct gram_buf *out, const char *text, size_t len);
/* The byte that character c stands for; -1 if it stands for none. */
int gram_bytelevel_byte(uint32_t c);

#endif
