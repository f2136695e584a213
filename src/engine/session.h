/* The inside of a session, for batches of them. */
#ifndef GRAM_ENGINE_SESSION_H
#define GRAM_ENGINE_SESSION_H

#include <gram/session.h>
#include "engine/model.h"
#include "graph/kv.h"

struct gram_session {
    const struct gram_model *model;
    struct gram_kv kv;
    int32_t *ids; /* [length], room for context */
    int64_t length, context, batch;
    struct gram_exec exec; /* of its own, opened when it is first fed outside of a batch */
    bool has_exec;
    struct gram_arena arena; /* ids */
};

/* Can these n tokens follow the first `past`? */
enum gram_status gram_session_check(const struct gram_session *session, int64_t past,
                                    const int32_t *tokens, size_t n, struct gram_error *err);
/* They were computed: the timeline is longer by them. */
void gram_session_append(struct gram_session *session, const int32_t *tokens, int64_t n);

#endif
