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
};
#define GRAM_SESSION_OPTIONS_INIT {sizeof(struct gram_session_options), 0, 512}

/* Everything the session will ever need is allocated here. Returns GRAM_OK, GRAM_EINVAL, GRAM_ENOMEM. */
GRAM_API enum gram_status gram_session_open(struct gram_session **out, const struct gram_model *model,
                                            const struct gram_session_options *options,
                                            struct gram_error *err);
GRAM_API void gram_session_close(struct gram_session **session);

/*
 * Append n tokens (n >= 1) to the timeline and compute.
 *   logits  NULL, or [n_logits, vocab] f32: receives those of the last n_logits of these tokens
 *   n_logits  0..n
 * Returns GRAM_OK; GRAM_EINVAL (an id outside the vocabulary, more tokens than the context holds);
 * after a failure the timeline is as before.
 */
GRAM_API enum gram_status gram_session_feed(struct gram_session *session, const int32_t *tokens,
                                            size_t n, float *logits, size_t n_logits,
                                            struct gram_error *err);

/* Tokens in the timeline. */
GRAM_API int64_t gram_session_length(const struct gram_session *session);
/* Most tokens the timeline can hold. */
GRAM_API int64_t gram_session_context(const struct gram_session *session);
/* Forget all but the first `length` tokens; 0 starts afresh. length <= gram_session_length(). */
GRAM_API void gram_session_rewind(struct gram_session *session, int64_t length);

GRAM_END_DECLS
#endif
