/* Tokens back to text, one token at a time: decoding a list and streaming are the same code. */
#ifndef GRAM_TOKENIZER_DECODER_H
#define GRAM_TOKENIZER_DECODER_H

#include "base/buf.h"
#include "tokenizer/regex.h"
#include "tokenizer/source.h"

struct gram_decoder;
struct gram_decoding;

/* Append what the step makes of `len` bytes to out. */
typedef void gram_decode_fn(const struct gram_decoder *step, struct gram_decoding *state,
                            const char *text, size_t len, struct gram_buf *out);

/* The steps; decode_steps.c. */
gram_decode_fn gram_decode_bytelevel, gram_decode_byte_fallback, gram_decode_replace,
    gram_decode_strip, gram_decode_metaspace, gram_decode_nothing;
/* Give up the bytes that are held back: U+FFFD. */
void gram_decode_held(struct gram_decoding *state, struct gram_buf *out);

struct gram_decoder {
    gram_decode_fn *apply;
    struct gram_pattern pattern; /* Replace */
    const char *content;         /* Replace, Strip: one character */
    size_t content_len;
    size_t left, right; /* Strip: how many at most */
    bool keeps_prefix;  /* Metaspace: prepend_scheme never */
    bool is_fused;      /* stands behind a Fuse: sees one long token */
};

/* Nested Sequences laid out flat. */
struct gram_decoders {
    struct gram_decoder *at;
    size_t n;
    bool joins;       /* there is a decoder; without one tokens are joined by spaces */
    size_t bytes_end; /* steps from here on get what the byte step held back; 0: no byte step */
    bool maximal;     /* U+FFFD per broken character (ByteLevel), not per byte (ByteFallback) */
};

/* Add the "decoder" of tokenizer.json; a null node adds nothing. */
enum gram_status gram_decoders_load(struct gram_decoders *list, const struct gram_source *source,
                                    const json_t *node);

/* One timeline of tokens; zero bytes and a list are a fresh one. Reset it when done. */
struct gram_decoding {
    const struct gram_decoders *list;
    struct gram_matcher matcher;
    struct gram_buf work[2];
    char held[4]; /* bytes that are no character yet */
    size_t n_held;
    size_t stripped; /* characters taken off the front of the fused text */
    bool strip_over, any;
};
void gram_decoding_reset(struct gram_decoding *state);

/* Append the text that one more token makes available. */
enum gram_status gram_decoding_push(struct gram_decoding *state, const char *token, size_t len,
                                    struct gram_buf *out, struct gram_error *err);
/* Append what is left, U+FFFD for what is no character. */
enum gram_status gram_decoding_finish(struct gram_decoding *state, struct gram_buf *out,
                                      struct gram_error *err);

#endif
