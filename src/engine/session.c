/*
 * A timeline: a cache, the tokens it was filled by, and an executor for calls of its own. Prompts are fed in
 * pieces of `batch` tokens.
 */
#include "engine/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

enum { DEFAULT_CONTEXT = 4096, MAX_CONTEXT = 1 << 27, MAX_BATCH = 1 << 16 };

static const char *const kv_names[GRAM_N_KV] = {
    [GRAM_KV_F32] = "f32",
    [GRAM_KV_F16] = "f16",
    [GRAM_KV_I8] = "int8",
};

static enum gram_status choose_kind(enum gram_kv_kind *kind, const char *name,
                                    struct gram_error *err)
{
    for (int i = 0; i < GRAM_N_KV; i++) {
        *kind = (enum gram_kv_kind)i;
        if (strcmp(name ? name : "f16", kv_names[i]) == 0)
            return GRAM_OK;
    }
    return gram_fail(err, GRAM_EINVAL, "a cache of '%s' is not one of f16, f32, int8", name);
}

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

static enum gram_status check_model(const struct gram_model *model,
                                    const struct gram_session_options *o, struct gram_error *err)
{
    const struct gram_hparams *hp = &model->ck.desc.hp;

    if (hp->is_encoder)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: an encoder classifies whole texts; it continues none", model->ck.path);
    if (hp->learned_positions && o->context > hp->context)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: context is %" PRId64 "; this model has learned no more than %" PRId64
                         " positions",
                         model->ck.path, o->context, hp->context);
    return GRAM_OK;
}

static enum gram_status open_parts(struct gram_session *session,
                                   const struct gram_session_options *options,
                                   struct gram_error *err)
{
    const struct gram_model *model = session->model;
    enum gram_kv_kind kind;

    GRAM_TRY(choose_kind(&kind, options->kv, err));
    GRAM_TRY(check_model(model, options, err));
    session->context = options->context
                           ? options->context
                           : gram_min_i64(model->ck.desc.hp.context, DEFAULT_CONTEXT);
    session->batch = gram_min_i64(options->batch, session->context);
    session->ids = gram_arena_take(&session->arena, (size_t)session->context, sizeof *session->ids);
    if (!session->ids)
        return gram_fail_memory(err, "the tokens of a session");
    return gram_kv_open(&session->kv, &model->graph, kind, session->context, err);
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
    const enum gram_status status = open_parts(session, options, err);
    if (status != GRAM_OK) {
        gram_session_close(&session);
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
    gram_kv_close(&(*session)->kv);
    gram_arena_reset(&(*session)->arena);
    free(*session);
    *session = NULL;
}

enum gram_status gram_session_check(const struct gram_session *session, int64_t past,
                                    const int32_t *tokens, size_t n, struct gram_error *err)
{
    const int64_t vocab = session->model->ck.desc.hp.vocab;

    if (n == 0)
        return gram_fail(err, GRAM_EINVAL, "no tokens to feed");
    if (n > (uint64_t)(session->context - past))
        return gram_fail(err, GRAM_EINVAL,
                         "%zu tokens do not fit: the context holds %" PRId64 ", %" PRId64
                         " are taken",
                         n, session->context, past);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= vocab)
            return gram_fail(err, GRAM_EINVAL,
                             "token %" PRId32 " at position %zu is outside the vocabulary of %" PRId64,
                             tokens[i], i, vocab);
    }
    return GRAM_OK;
}

void gram_session_append(struct gram_session *session, const int32_t *tokens, int64_t n)
{
    memcpy(session->ids + session->length, tokens, (size_t)n * sizeof *tokens);
    session->length += n;
}

static enum gram_status need_exec(struct gram_session *session, struct gram_error *err)
{
    const struct gram_model *model = session->model;

    if (session->has_exec)
        return GRAM_OK;
    GRAM_TRY(gram_exec_open(&session->exec, &model->graph, model->bindings, &model->kernels,
                            model->rt->pool, session->batch, GRAM_KEEP_NONE, err));
    session->has_exec = true;
    return GRAM_OK;
}

/* Tokens that were checked, piece by piece. */
static void compute(struct gram_session *session, const int32_t *tokens, int64_t n, float *logits,
                    int64_t n_logits)
{
    const int64_t vocab = session->model->ck.desc.hp.vocab;
    const int64_t wanted = n - n_logits; /* first token whose logits are wanted */
    const int64_t length = session->length + n;

    for (int64_t done = 0; done < n;) {
        const int64_t rows = gram_min_i64(session->batch, n - done);
        const int64_t first = gram_max_i64(done, wanted);
        const struct gram_exec_segment segment = {
            .kv = &session->kv,
            .position = session->length,
            .rows = rows,
            .length = length,
            .n_last = gram_max_i64(done + rows - first, 0),
        };
        const struct gram_exec_call call = {
            .segments = &segment,
            .n_segments = 1,
            .tokens = tokens + done,
            .result = segment.n_last ? logits + (first - wanted) * vocab : NULL,
        };
        gram_exec_run(&session->exec, &call);
        gram_session_append(session, tokens + done, rows);
        done += rows;
    }
}

enum gram_status gram_session_feed(struct gram_session *session, const int32_t *tokens, size_t n,
                                   float *logits, size_t n_logits, struct gram_error *err)
{
    GRAM_TRY(gram_session_check(session, session->length, tokens, n, err));
    GRAM_ASSERT(n_logits <= n && (logits || n_logits == 0));
    GRAM_TRY(need_exec(session, err));
    compute(session, tokens, (int64_t)n, logits, (int64_t)n_logits);
    return GRAM_OK;
}

int64_t gram_session_match(const struct gram_session *session, const int32_t *tokens, size_t n)
{
    int64_t same = 0;
    while (same < session->length && (uint64_t)same < n && session->ids[same] == tokens[same])
        same++;
    return same;
}

enum gram_status gram_session_prompt(struct gram_session *session, const int32_t *tokens, size_t n,
                                     float *logits, int64_t *kept, struct gram_error *err)
{
    int64_t same = gram_session_match(session, tokens, n);

    if (n > 0)
        same = gram_min_i64(same, (int64_t)n - 1); /* the last one gives the logits */
    GRAM_TRY(gram_session_check(session, same, tokens + same, n - (size_t)same, err));
    GRAM_TRY(need_exec(session, err));
    gram_session_rewind(session, same);
    compute(session, tokens + same, (int64_t)n - same, logits, logits ? 1 : 0);
    if (kept)
        *kept = same;
    return GRAM_OK;
}

enum gram_status gram_session_copy_prefix(struct gram_session *to, const struct gram_session *from,
                                          int64_t length, struct gram_error *err)
{
    GRAM_ASSERT(length >= 0 && length <= from->length);
    if (to->model != from->model || to->kv.kind != from->kv.kind)
        return gram_fail(err, GRAM_EINVAL, "a prefix is copied only between sessions of the same "
                                           "model and kind of cache");
    if (length > to->context)
        return gram_fail(err, GRAM_EINVAL,
                         "a prefix of %" PRId64 " tokens does not fit: the context holds %" PRId64,
                         length, to->context);
    if (to == from) {
        to->length = length;
        return GRAM_OK;
    }
    gram_kv_copy(&to->kv, &from->kv, length);
    to->length = 0;
    gram_session_append(to, from->ids, length);
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
