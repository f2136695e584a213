/* Several timelines computed together: every weight is read once for all of them. */
#ifndef GRAM_BATCH_H
#define GRAM_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <gram/session.h>

GRAM_BEGIN_DECLS

/*
 * Opaque; holds activations; borrows its model. A batch and the sessions that were added to it, until
 * they have run or were cleared, are used by one thread at a time. Batches of one model may be used by
 * several threads.
 */
struct gram_batch;

/* For up to `rows` tokens (1..65536) of sessions of this model at a time. Everything the batch will ever
 * need is allocated here. Returns GRAM_OK, GRAM_EINVAL, GRAM_ENOMEM. */
GRAM_API enum gram_status gram_batch_open(struct gram_batch **out, const struct gram_model *model,
                                          int64_t rows, struct gram_error *err);
GRAM_API void gram_batch_close(struct gram_batch **batch);

/* How many more tokens can be added. */
GRAM_API int64_t gram_batch_room(const struct gram_batch *batch);

/*
 * Plan to append n tokens (n >= 1) to a session's timeline: a prompt, a piece of one, the token that was
 * picked last. Sessions of every kind may be mixed, each at most once. The tokens are copied; the session
 * is not changed before gram_batch_run().
 *   n_logits  of how many of its last tokens logits are wanted, 0..n
 * Returns GRAM_OK; GRAM_EINVAL (no room in the batch or in the session's context, an id outside the
 * vocabulary, a session that was added already or is of another model); then the batch is as before.
 */
GRAM_API enum gram_status gram_batch_add(struct gram_batch *batch, struct gram_session *session,
                                         const int32_t *tokens, size_t n, size_t n_logits,
                                         struct gram_error *err);

/*
 * Compute all that was added, append it to the timelines and empty the batch.
 *   logits  [sum of n_logits, vocab] f32, in the order in which sessions were added; NULL if none is
 *           wanted
 * What a session gets equals, bit for bit, what gram_session_feed() would have given it alone. Allocates
 * nothing.
 */
GRAM_API void gram_batch_run(struct gram_batch *batch, float *logits);

/* Forget what was added. */
GRAM_API void gram_batch_clear(struct gram_batch *batch);

GRAM_END_DECLS
#endif
