/* A tokenizer: its parts in the order in which text passes through them. */
#ifndef GRAM_TOKENIZER_PARTS_H
#define GRAM_TOKENIZER_PARTS_H

#include <gram/tokenizer.h>
#include "tokenizer/added.h"
#include "tokenizer/bpe.h"
#include "tokenizer/decoder.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/postprocessor.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/vocab.h"

/* Immutable after open. */
struct gram_tokenizer {
    struct gram_arena arena;
    struct gram_regex *regexes;

    struct gram_added raw_added; /* looked for in the text as it comes */
    struct gram_normalizers normalizers;
    struct gram_added normalized_added; /* looked for behind the normalizers */
    struct gram_pretokenizers pretokenizers;
    struct gram_vocab vocab;
    struct gram_bpe bpe;
    struct gram_surround surround;
    struct gram_decoders decoders;

    int32_t bos; /* -1: none */
    int32_t *eos;
    size_t n_eos;
};

/* The files beside the tokenizer that name its special tokens; NULL where there is none. */
struct gram_companions {
    json_t *tokenizer_config, *special_tokens_map, *generation_config, *config;
};

/* An added token as a file tells it. */
struct gram_added_spec {
    const char *content;
    size_t len;
    int32_t id;
    bool is_special, lstrip, rstrip, single_word;
    bool is_normalized; /* looked for behind the normalizers */
    bool is_as_is;      /* ... but written as it stands: a SentencePiece piece */
};

/* Read the list "added_tokens"; null and NULL are an empty one. In the source's arena. */
enum gram_status gram_added_specs_read(struct gram_added_spec **out, size_t *out_n,
                                       const struct gram_source *source, const json_t *list);
/* Give the vocabulary those that it lacks; the others must have its ids. */
enum gram_status gram_added_specs_place(const struct gram_added_spec *specs, size_t n,
                                        const struct gram_source *source, struct gram_vocab *vocab);
/* An id as files may state it: an integer from 0 to INT32_MAX - 1. */
enum gram_status gram_token_id(const struct gram_source *source, const char *token,
                               const json_t *value, int64_t *id);

/*
 * Sort the added tokens into raw and normalized ones; the latter are looked for in the form that
 * the tokenizer's normalizers give them. Vocabulary and normalizers must be there.
 */
enum gram_status gram_tokenizer_build_added(struct gram_tokenizer *tokenizer,
                                            const struct gram_source *source,
                                            const struct gram_added_spec *specs, size_t n);

/* "model" of tokenizer.json: vocabulary, merges, options. */
enum gram_status gram_tokenizer_read_model(struct gram_tokenizer *tokenizer,
                                           const struct gram_source *source, const json_t *model,
                                           const struct gram_added_spec *added, size_t n_added);

/* The readers of the three kinds of file; each fills a zeroed tokenizer but for bos and eos. Bytes
 * need not outlive the call. */
enum gram_status gram_tokenizer_read_json(struct gram_tokenizer *tokenizer,
                                          const struct gram_source *source, const json_t *root);
/* config: tokenizer_config.json, or NULL. */
enum gram_status gram_tokenizer_read_sentencepiece(struct gram_tokenizer *tokenizer,
                                                   const struct gram_source *source,
                                                   const void *bytes, size_t len,
                                                   const json_t *config);
/* vocab: vocab.json; merges: the lines of merges.txt. */
enum gram_status gram_tokenizer_read_vocab_merges(struct gram_tokenizer *tokenizer,
                                                  const struct gram_source *source, json_t *vocab,
                                                  const char *merges, size_t len,
                                                  const struct gram_companions *files);

/* The "pre_tokenizer", "normalizer", "post_processor", "decoder" of a root object; the parts that
 * are missing stay empty. */
enum gram_status gram_tokenizer_read_stages(struct gram_tokenizer *tokenizer,
                                            const struct gram_source *source, const json_t *root);

/* Open from memory, without the files beside it: `bytes` are a tokenizer.json or a tokenizer.model.
 */
enum gram_status gram_tokenizer_parse_json(struct gram_tokenizer **out, const void *bytes,
                                           size_t len, const char *where, struct gram_error *err);
enum gram_status gram_tokenizer_parse_sentencepiece(struct gram_tokenizer **out, const void *bytes,
                                                    size_t len, const char *where,
                                                    struct gram_error *err);

enum gram_status gram_companions_load(struct gram_companions *files, const char *folder,
                                      struct gram_error *err);
void gram_companions_reset(struct gram_companions *files);
/* "added_tokens_decoder" of tokenizer_config.json (NULL: none) in the form of tokenizer.json's
 * added_tokens; *out is yours, json_decref() it. */
enum gram_status gram_companions_added(json_t **out, const struct gram_source *source,
                                       const json_t *config);
/* Fill bos and eos. Documented in companions.c. */
enum gram_status gram_tokenizer_read_specials(struct gram_tokenizer *tokenizer,
                                              const struct gram_source *source,
                                              const struct gram_companions *files);

#endif
