/* Tokens that are cut out of the text before anything else happens to it. */
#ifndef GRAM_TOKENIZER_ADDED_H
#define GRAM_TOKENIZER_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tokenizer/source.h"

struct gram_added_token {
    const char *text; /* as it is looked for: normalized, where the token says so */
    size_t len;
    int32_t id;
    bool is_special;
    bool takes_left, takes_right; /* white space beside it belongs to it (lstrip, rstrip) */
    bool single_word;             /* not inside a word */
};

/* Sorted by text. Immutable once built. */
struct gram_added {
    struct gram_added_token *at;
    size_t n;
    size_t first[257]; /* tokens that start with byte b: first[b] .. first[b + 1] - 1 */
};

/* Sort the `n` tokens at `tokens` (kept, in the tokenizer's arena) for searching. Empty texts are
 * dropped; of equal texts one is kept. */
void gram_added_build(struct gram_added *added, struct gram_added_token *tokens, size_t n);

/* A cut: a token, or the text before it. */
struct gram_cut {
    size_t begin, end; /* bytes of the text; white space taken by the token included */
    const struct gram_added_token *token; /* NULL for text */
};

/* Cuts through a text from front to back. */
struct gram_cutter {
    const struct gram_added *added;
    const char *text;
    size_t len, done;
    bool plain;            /* special tokens are ordinary text */
    struct gram_cut ahead; /* a token found behind text not yet reported */
    size_t from;
};
void gram_cutter_start(struct gram_cutter *cutter, const struct gram_added *added, const char *text,
                       size_t len, bool plain);
/* The next cut, never empty; false at the end. */
bool gram_cutter_next(struct gram_cutter *cutter, struct gram_cut *cut);

#endif
