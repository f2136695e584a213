/* One batch for all sequences, one session each. */
#include "crowd.h"

#include <math.h>
#include <stdlib.h>

#include "job.h"
#include "output.h"

enum gram_status crowd_open(struct crowd *crowd, const struct loaded *loaded,
                            struct gram_error *err)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;

    options.context = crowd->tokens;
    options.kv = crowd->kv;
    crowd->sessions = calloc((size_t)crowd->n, sizeof(struct gram_session *));
    crowd->logits = calloc((size_t)crowd->n, (size_t)loaded->info.vocab * sizeof(float));
    if (!crowd->sessions || !crowd->logits)
        return refuse(err, GRAM_ENOMEM, "memory ran out");
    enum gram_status st = gram_batch_open(&crowd->batch, loaded->model, crowd->n, err);
    for (int64_t i = 0; i < crowd->n && st == GRAM_OK; i++)
        st = gram_session_open(&crowd->sessions[i], loaded->model, &options, err);
    return st;
}

void crowd_close(struct crowd *crowd)
{
    for (int64_t i = 0; crowd->sessions && i < crowd->n; i++)
        gram_session_close(&crowd->sessions[i]);
    gram_batch_close(&crowd->batch);
    free(crowd->sessions);
    free(crowd->logits);
}

/* One more token of every sequence. */
static enum gram_status step(struct crowd *crowd, int64_t at, struct gram_error *err)
{
    for (int64_t i = 0; i < crowd->n; i++) {
        const int32_t *id = crowd->ids + (at + i) % crowd->tokens;
        const enum gram_status st =
            gram_batch_add(crowd->batch, crowd->sessions[i], id, 1, 1, err);
        if (st != GRAM_OK)
            return st;
    }
    gram_batch_run(crowd->batch, crowd->logits);
    return signals_received() ? refuse(err, GRAM_ECANCELED, "interrupted") : GRAM_OK;
}

enum gram_status crowd_generate(struct crowd *crowd, double *rate, struct gram_error *err)
{
    const double since = clock_seconds();
    enum gram_status st = GRAM_OK;

    for (int64_t i = 0; i < crowd->n; i++)
        gram_session_rewind(crowd->sessions[i], 0);
    for (int64_t at = 0; at < crowd->tokens && st == GRAM_OK; at++)
        st = step(crowd, at, err);
    *rate = (double)(crowd->n * crowd->tokens) / fmax(clock_seconds() - since, 1e-9);
    return st;
}
