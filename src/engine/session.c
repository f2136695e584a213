/* A timeline: an executor and how far it has come. Prompts are fed in pieces of `batch` tokens. */
#include <gram/session.h>

#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "engine/model.h"

enum { DEFAULT_CONTEXT = 4096, MAX_CONTEXT = 1 << 27, MAX_BATCH = 1 << 16 };

struct gram_session {
    const struct gram_model *model;
    struct gram_exec exec;
    int64_t length, context, batch;
};

static enum gram_status check_options(const struct gram_session_options *o, struct gram_error *err)
{
    if (o->context < 0 || o->context > MAX_CONTEXT)
        return gram_fail(err, GRAM_EINVAL, "context is %" PRId64 ", must be from 1 to %d", o->context,
                         MAX_CONTEXT);
    if (o->batch < 1 || o->batch > MAX_BATCH)
        return gram_fail(err, GRAM_EINVAL, "batch is %" PRId64 ", must be from 1 to %d", o->batch,
                         MAX_BATCH);
    return GRAM_OK;
}

enum gram_status gram_session_open(struct gram_session **out, const struct gram_model *model,
                                   const struct gram_session_options *options,
                                   struct gram_error *err)
{
    const struct gram_session_options defaults = GRAM_SESSION_OPTIONS_INIT;

    *out = NULL;
    if (!options)
        options = &defaults;
    GRAM_TRY(check_options(options, err));
    struct gram_session *session = calloc(1, sizeof *session);
    if (!session)
        return gram_fail_memory(err, "a session");
    session->model = model;
    session->context = options->context
                           ? options->context
                           : gram_min_i64(model->ck.desc.hp.context, DEFAULT_CONTEXT);
    session->batch = gram_min_i64(options->batch, session->context);
    const struct gram_exec_limits limits = {session->batch, session->context};
    const enum gram_status status =
        gram_exec_open(&session->exec, &model->graph, model->bindings, &model->kernels,
                       model->rt->pool, limits, err);
    if (status != GRAM_OK) {
        free(session);
        return status;
    }
    *out = session;
    return GRAM_OK;
}

void gram_session_close(struct gram_session **session)
{
    if (!session || !*session)
        return;
    gram_exec_close(&(*session)->exec);
    free(*session);
    *session = NULL;
}

static enum gram_status check_tokens(const struct gram_session *session, const int32_t *tokens,
                                     size_t n, struct gram_error *err)
{
    const int64_t vocab = session->model->ck.desc.hp.vocab;

    if (n == 0)
        return gram_fail(err, GRAM_EINVAL, "no tokens to feed");
    if (n > (uint64_t)(session->context - session->length))
        return gram_fail(err, GRAM_EINVAL,
                         "%zu tokens do not fit: the context holds %" PRId64 ", %" PRId64
                         " are taken",
                         n, session->context, session->length);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= vocab)
            return gram_fail(err, GRAM_EINVAL,
                             "token %" PRId32 " at position %zu is outside the vocabulary of %" PRId64,
                             tokens[i], i, vocab);
    }
    return GRAM_OK;
}

enum gram_status gram_session_feed(struct gram_session *session, const int32_t *tokens, size_t n,
                                   float *logits, size_t n_logits, struct gram_error *err)
{
    const int64_t vocab = session->model->ck.desc.hp.vocab;

    GRAM_TRY(check_tokens(session, tokens, n, err));
    GRAM_ASSERT(n_logits <= n && (logits || n_logits == 0));
    const int64_t wanted = (int64_t)(n - n_logits); /* first token whose logits are wanted */
    const int64_t length = session->length + (int64_t)n;
    for (int64_t done = 0; done < (int64_t)n;) {
        const int64_t rows = gram_min_i64(session->batch, (int64_t)n - done);
        const int64_t first = gram_max_i64(done, wanted);
        const int64_t n_last = gram_max_i64(done + rows - first, 0);
        const struct gram_exec_call call = {
            .tokens = tokens + done,
            .rows = rows,
            .position = session->length + done,
            .length = length,
            .result = n_last ? logits + (first - wanted) * vocab : NULL,
            .n_last = n_last,
        };
        gram_exec_run(&session->exec, &call);
        done += rows;
    }
    session->length = length;
    return GRAM_OK;
}

int64_t gram_session_length(const struct gram_session *session)
{
    return session->length;
}

int64_t gram_session_context(const struct gram_session *session)
{
    return session->context;
}

void gram_session_rewind(struct gram_session *session, int64_t length)
{
    GRAM_ASSERT(length >= 0 && length <= session->length);
    session->length = length;
}
