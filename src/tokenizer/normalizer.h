/* Text to the text that the model was trained on: Unicode forms, replacements, prefixes. */
#ifndef GRAM_TOKENIZER_NORMALIZER_H
#define GRAM_TOKENIZER_NORMALIZER_H

#include "base/buf.h"
#include "tokenizer/regex.h"
#include "tokenizer/source.h"

struct gram_normalizer;

/* A piece of work for one normalizer. */
struct gram_normalize {
    const char *text;
    size_t len;
    bool is_first; /* the text begins where the user's text begins */
    struct gram_buf *out;
    struct gram_matcher *matcher;
};
/* Appends to job->out; memory that runs out is noted there, other failures in job->matcher. */
typedef void gram_normalize_fn(const struct gram_normalizer *n, const struct gram_normalize *job);

struct gram_normalizer {
    gram_normalize_fn *apply;
    struct gram_pattern pattern; /* Replace */
    const char *content;         /* Replace, Prepend */
    size_t content_len;
    int form;                   /* NFC, ... */
    bool left, right;           /* Strip */
    bool prefix_every, squeeze; /* SentencePiece: prefix every segment, not only the first; drop
                                      extra spaces */
    bool prefix, escape;
};

/* Nested Sequences laid out flat. */
struct gram_normalizers {
    struct gram_normalizer *at;
    size_t n;
};

/* Add the "normalizer" of tokenizer.json; a null node adds nothing. */
enum gram_status gram_normalizers_load(struct gram_normalizers *list,
                                       const struct gram_source *source, const json_t *node);
/* Add one that tokenizer.json does not have: a SentencePiece normalizer_spec. */
enum gram_status gram_normalizers_add(struct gram_normalizers *list,
                                      const struct gram_source *source,
                                      const struct gram_normalizer *normalizer);
gram_normalize_fn gram_normalize_sentencepiece;

/*
 * Run all of them over a text; *out is borrowed from `work`, or the text itself where there is
 * nothing to do. work[2] are the caller's scratch buffers.
 */
enum gram_status gram_normalizers_apply(const struct gram_normalizers *list,
                                        struct gram_matcher *matcher, const char *text, size_t len,
                                        bool is_first, struct gram_buf work[2], const char **out,
                                        size_t *out_len);

#endif
