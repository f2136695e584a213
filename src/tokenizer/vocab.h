/* Tokens by id and ids by token. */
#ifndef GRAM_TOKENIZER_VOCAB_H
#define GRAM_TOKENIZER_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tokenizer/source.h"

struct gram_token {
    const char *text; /* UTF-8, not terminated; NULL for an id that no token has */
    uint32_t len;
    bool is_special; /* dropped when decoding with skip_special */
    bool is_byte;    /* a SentencePiece byte piece: not to be found by its text */
};

/* Immutable once built. Texts live in the tokenizer's arena. */
struct gram_vocab {
    struct gram_token *at; /* [n] by id */
    int32_t n;             /* highest id + 1 */
    int32_t *slots;        /* open addressing over the model's own tokens: id, -1 is free */
    size_t mask;           /* slots - 1 */
};

/*
 * Room for ids 0..highest, of which `count` will be put in. An id far above the count is refused:
 * it would let a small file ask for much memory.
 */
enum gram_status gram_vocab_init(struct gram_vocab *vocab, const struct gram_source *source,
                                 int64_t highest, size_t count);

/* Give `id` (0..n-1) its text, which is borrowed. GRAM_EFORMAT if the id already has one. */
enum gram_status gram_vocab_put(struct gram_vocab *vocab, const struct gram_source *source,
                                int32_t id, const char *text, size_t len);

/* Make the id's text findable: added tokens are put but not listed, they are no tokens of the
 * model. Texts are unique: the first wins, false for the second. */
bool gram_vocab_list(struct gram_vocab *vocab, int32_t id);

/* The listed token written exactly so; -1 if there is none. */
int32_t gram_vocab_find(const struct gram_vocab *vocab, const char *text, size_t len);

#endif
