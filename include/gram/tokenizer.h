/* Text to token ids and back, as the model's own tokenizer files say. */
#ifndef GRAM_TOKENIZER_H
#define GRAM_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/status.h>

GRAM_BEGIN_DECLS

/* Opaque, immutable after open, may be used by several threads at once. */
struct gram_tokenizer;

/*
 * Read the tokenizer of a model directory: tokenizer.json, else tokenizer.model (SentencePiece), else
 * vocab.json with merges.txt; with tokenizer_config.json, special_tokens_map.json and
 * generation_config.json for the special tokens where they exist. `path` may also name one of the
 * first two files, or be org/name in the local hub cache. *out is NULL on failure.
 * Returns GRAM_OK, GRAM_ENOENT, GRAM_EIO, GRAM_EFORMAT, GRAM_EUNSUPPORTED, GRAM_ENOMEM.
 */
GRAM_API enum gram_status gram_tokenizer_open(struct gram_tokenizer **out, const char *path,
                                              struct gram_error *err);
GRAM_API void gram_tokenizer_close(struct gram_tokenizer **tokenizer);

/* A growable list of ids; zero bytes are a valid empty one; free with gram_ids_reset(). */
struct gram_ids {
    int32_t *at;
    size_t len, cap;
};
GRAM_API void gram_ids_reset(struct gram_ids *ids);

enum gram_encode_flags {
    GRAM_ENCODE_SPECIAL = 1, /* add what the post-processor adds (a BOS in front, an EOS behind) */
    GRAM_ENCODE_PLAIN = 2,   /* special tokens written out in the text are ordinary text */
};

/*
 * Append the ids of `text` (`len` bytes of UTF-8; may hold NUL) to `ids`.
 * Returns GRAM_OK, GRAM_EFORMAT (not UTF-8: the message gives the byte offset), GRAM_ENOMEM; on failure
 * ids keeps what it had.
 */
GRAM_API enum gram_status gram_tokenizer_encode(const struct gram_tokenizer *tokenizer,
                                                const char *text, size_t len, unsigned flags,
                                                struct gram_ids *ids, struct gram_error *err);

/*
 * The text of `n` ids in *text (NUL-terminated, yours, free()), its length in *len (may be NULL).
 * Always valid UTF-8: bytes that form no character become U+FFFD. skip_special drops special tokens.
 * Returns GRAM_OK, GRAM_EINVAL (an id outside the vocabulary), GRAM_ENOMEM.
 */
GRAM_API enum gram_status gram_tokenizer_decode(const struct gram_tokenizer *tokenizer,
                                                const int32_t *ids, size_t n, bool skip_special,
                                                char **text, size_t *len, struct gram_error *err);

GRAM_API int32_t gram_tokenizer_vocab(const struct gram_tokenizer *tokenizer); /* highest id + 1 */
GRAM_API int32_t gram_tokenizer_bos(const struct gram_tokenizer *tokenizer);   /* -1 if none */
/* Does generation stop at this id? (eos_token_id of generation_config.json and config.json, eos_token) */
GRAM_API bool gram_tokenizer_is_eos(const struct gram_tokenizer *tokenizer, int32_t id);
/* The id of a token written exactly so in the vocabulary or the added tokens; -1 if there is none. */
GRAM_API int32_t gram_tokenizer_find(const struct gram_tokenizer *tokenizer, const char *token);

/*
 * Streaming decode, for text that appears token by token: holds back bytes that do not yet form a
 * character. Opaque; one thread at a time; borrows the tokenizer.
 */
struct gram_detokenizer;
GRAM_API enum gram_status gram_detokenizer_open(struct gram_detokenizer **out,
                                                const struct gram_tokenizer *tokenizer,
                                                bool skip_special, struct gram_error *err);
GRAM_API void gram_detokenizer_close(struct gram_detokenizer **detokenizer);
/* Add one id; *text (borrowed until the next call, NUL-terminated, maybe "") is what can now be shown. */
GRAM_API enum gram_status gram_detokenizer_push(struct gram_detokenizer *detokenizer, int32_t id,
                                                const char **text, struct gram_error *err);
/* What is still held back, with U+FFFD for incomplete characters. */
GRAM_API enum gram_status gram_detokenizer_flush(struct gram_detokenizer *detokenizer,
                                                 const char **text, struct gram_error *err);

GRAM_END_DECLS
#endif
