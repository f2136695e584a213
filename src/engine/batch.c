/* Collecting tokens of sessions for one call of an executor that belongs to none of them. */
#include <gram/batch.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session.h"

enum { MAX_ROWS = 1 << 16 };

struct gram_batch {
    const struct gram_model *model;
    struct gram_exec exec;
    int64_t max_rows, rows, n;          /* n sessions have rows tokens in all */
    int32_t *tokens;                    /* [max_rows] */
    struct gram_exec_segment *segments; /* [max_rows] */
    struct gram_session **sessions;     /* [max_rows] */
    int64_t n_logits;
    struct gram_arena arena;            /* the lists */
};

static enum gram_status open_parts(struct gram_batch *batch, struct gram_error *err)
{
    const struct gram_model *model = batch->model;
    const size_t rows = (size_t)batch->max_rows;

    batch->tokens = gram_arena_take(&batch->arena, rows, sizeof *batch->tokens);
    batch->segments = gram_arena_take(&batch->arena, rows, sizeof *batch->segments);
    batch->sessions = gram_arena_take(&batch->arena, rows, sizeof(struct gram_session *));
    if (!batch->tokens || !batch->segments || !batch->sessions)
        return gram_fail_memory(err, "a batch");
    return gram_exec_open(&batch->exec, &model->graph, model->bindings, &model->kernels,
                          model->rt->pool, batch->max_rows, GRAM_KEEP_NONE, err);
}

enum gram_status gram_batch_open(struct gram_batch **out, const struct gram_model *model,
                                 int64_t rows, struct gram_error *err)
{
    *out = NULL;
    if (rows < 1 || rows > MAX_ROWS)
        return gram_fail(err, GRAM_EINVAL, "rows of a batch is %" PRId64 ", must be from 1 to %d",
                         rows, MAX_ROWS);
    struct gram_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return gram_fail_memory(err, "a batch");
    batch->model = model;
    batch->max_rows = rows;
    const enum gram_status status = open_parts(batch, err);
    if (status != GRAM_OK) {
        gram_batch_close(&batch);
        return status;
    }
    *out = batch;
    return GRAM_OK;
}

void gram_batch_close(struct gram_batch **batch)
{
    if (!batch || !*batch)
        return;
    gram_exec_close(&(*batch)->exec);
    gram_arena_reset(&(*batch)->arena);
    free(*batch);
    *batch = NULL;
}

int64_t gram_batch_room(const struct gram_batch *batch)
{
    return batch->max_rows - batch->rows;
}

static enum gram_status check_session(const struct gram_batch *batch,
                                      const struct gram_session *session, size_t n,
                                      struct gram_error *err)
{
    if (session->model != batch->model)
        return gram_fail(err, GRAM_EINVAL, "the session is of another model than the batch");
    for (int64_t i = 0; i < batch->n; i++) {
        if (batch->sessions[i] == session)
            return gram_fail(err, GRAM_EINVAL, "the session is in the batch already");
    }
    if (n > (uint64_t)gram_batch_room(batch))
        return gram_fail(err, GRAM_EINVAL,
                         "%zu tokens do not fit: the batch has room for %" PRId64 " more", n,
                         gram_batch_room(batch));
    return GRAM_OK;
}

enum gram_status gram_batch_add(struct gram_batch *batch, struct gram_session *session,
                                const int32_t *tokens, size_t n, size_t n_logits,
                                struct gram_error *err)
{
    GRAM_TRY(check_session(batch, session, n, err));
    GRAM_TRY(gram_session_check(session, session->length, tokens, n, err));
    GRAM_ASSERT(n_logits <= n);
    batch->sessions[batch->n] = session;
    batch->segments[batch->n++] = (struct gram_exec_segment){
        .kv = &session->kv,
        .position = session->length,
        .rows = (int64_t)n,
        .length = session->length + (int64_t)n,
        .n_last = (int64_t)n_logits,
    };
    memcpy(batch->tokens + batch->rows, tokens, n * sizeof *tokens);
    batch->rows += (int64_t)n;
    batch->n_logits += (int64_t)n_logits;
    return GRAM_OK;
}

void gram_batch_run(struct gram_batch *batch, float *logits)
{
    const struct gram_exec_call call = {
        .segments = batch->segments,
        .n_segments = batch->n,
        .tokens = batch->tokens,
        .result = logits,
    };
    const int32_t *tokens = batch->tokens;

    GRAM_ASSERT(logits || batch->n_logits == 0);
    if (batch->n > 0)
        gram_exec_run(&batch->exec, &call);
    for (int64_t i = 0; i < batch->n; i++) {
        GRAM_ASSERT(batch->sessions[i]->length == batch->segments[i].position);
        gram_session_append(batch->sessions[i], tokens, batch->segments[i].rows);
        tokens += batch->segments[i].rows;
    }
    gram_batch_clear(batch);
}

void gram_batch_clear(struct gram_batch *batch)
{
    batch->n = batch->rows = batch->n_logits = 0;
}
