/* One timeline of tokens with its KV cache. */
#ifndef GRAM_SESSION_H
#define GRAM_SESSION_H

#include <stddef.h>
#include <stdint.h>
#include <gram/model.h>

GRAM_BEGIN_DECLS

/* Opaque; used by one thread at a time; borrows its model. */
struct gram_session;

struct gram_session_options {
    size_t struct_size;
    int64_t context; /* tokens the cache can hold; 0 = the model's limit, at most 4096 [0] */
    int64_t batch;   /* most tokens of a prompt computed at once [512] */
    const char *kv;  /* what the cache holds: "f16"; "int8", half of that, with a scale for every key
                        and value of a head; "f32", exact. NULL = "f16" */
};
#define GRAM_SESSION_OPTIONS_INIT {sizeof(struct gram_session_options), 0, 512, NULL}

/*
 * The cache is reserved for the whole context and takes memory as it is filled. Activations, for `batch`
 * tokens, are allocated by the first call that computes, so that sessions which are only fed through a
 * gram_batch (batch.h) have none; later calls allocate nothing.
 * Returns GRAM_OK, GRAM_EINVAL (an option out of its range), GRAM_ENOMEM.
 */
GRAM_API enum gram_status gram_session_open(struct gram_session **out, const struct gram_model *model,
                                            const struct gram_session_options *options,
                                            struct gram_error *err);
GRAM_API void gram_session_close(struct gram_session **session);

/*
 * Append n tokens (n >= 1) to the timeline and compute.
 *   logits  NULL, or [n_logits, vocab] f32: receives those of the last n_logits of these tokens
 *   n_logits  0..n
 * Returns GRAM_OK; GRAM_EINVAL (an id outside the vocabulary, more tokens than the context holds);
 * GRAM_ENOMEM (the first call only); after a failure the timeline is as before. The bits of the logits
 * depend on the tokens alone, not on the pieces they came in nor on the number of threads; only with dynamic
 * rope scaling are the keys of a piece turned by the length that its call comes to, as in transformers.
 */
GRAM_API enum gram_status gram_session_feed(struct gram_session *session, const int32_t *tokens,
                                            size_t n, float *logits, size_t n_logits,
                                            struct gram_error *err);

/* How many of these n tokens, from the first on, the timeline starts with. */
GRAM_API int64_t gram_session_match(const struct gram_session *session, const int32_t *tokens,
                                    size_t n);

/*
 * Make the timeline these n tokens (n >= 1): what it has in common with them is kept, at most n - 1, the rest
 * is forgotten, and only the rest is computed.
 *   logits  NULL, or [vocab]: those of the last token
 *   kept    NULL, or receives the number of tokens that were not computed again
 * Returns as gram_session_feed() does.
 */
GRAM_API enum gram_status gram_session_prompt(struct gram_session *session, const int32_t *tokens,
                                              size_t n, float *logits, int64_t *kept,
                                              struct gram_error *err);

/*
 * Fork: `to` becomes the first `length` tokens of `from` (length <= gram_session_length(from)) by copying
 * their keys and values. `from` is only read. Returns GRAM_OK; GRAM_EINVAL (another model or kind of cache,
 * a context that is too small).
 */
GRAM_API enum gram_status gram_session_copy_prefix(struct gram_session *to,
                                                   const struct gram_session *from, int64_t length,
                                                   struct gram_error *err);

/* Tokens in the timeline. */
GRAM_API int64_t gram_session_length(const struct gram_session *session);
/* Most tokens the timeline can hold. */
GRAM_API int64_t gram_session_context(const struct gram_session *session);
/* Forget all but the first `length` tokens; 0 starts afresh. length <= gram_session_length(). */
GRAM_API void gram_session_rewind(struct gram_session *session, int64_t length);

GRAM_END_DECLS
#endif
