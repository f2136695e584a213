/* One pass with every op's output shown. */
#include <gram/trace.h>

#include <stdlib.h>

#include "engine/model.h"

struct watcher {
    gram_trace_fn *fn;
    void *user;
};

static bool show(void *user, const struct gram_node *node, const float *values, int64_t rows,
                 int64_t cols)
{
    const struct watcher *watcher = user;
    return watcher->fn(watcher->user, node->name, node->layer, values, rows, cols);
}

static enum gram_status check(const struct gram_model *model, const int32_t *tokens, size_t n,
                              struct gram_error *err)
{
    if (n == 0 || n > 1 << 20)
        return gram_fail(err, GRAM_EINVAL, "%zu tokens cannot be traced, only 1 to %d", n, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= model->ck.desc.hp.vocab)
            return gram_fail(err, GRAM_EINVAL, "token %d at position %zu is outside the vocabulary",
                             (int)tokens[i], i);
    }
    return GRAM_OK;
}

enum gram_status gram_trace(const struct gram_model *model, const int32_t *tokens, size_t n,
                            gram_trace_fn *fn, void *user, struct gram_error *err)
{
    struct watcher watcher = {fn, user};
    struct gram_exec exec;
    const struct gram_exec_limits limits = {(int64_t)n, (int64_t)n};

    GRAM_TRY(check(model, tokens, n, err));
    GRAM_TRY(gram_exec_open(&exec, &model->graph, model->bindings, &model->kernels, model->rt->pool,
                            limits, err));
    float *logits = calloc(n, (size_t)model->ck.desc.hp.vocab * sizeof *logits);
    if (!logits) {
        gram_exec_close(&exec);
        return gram_fail_memory(err, "the logits of a trace");
    }
    const struct gram_exec_call call = {
        .tokens = tokens,
        .rows = (int64_t)n,
        .length = (int64_t)n,
        .result = logits,
        .n_last = (int64_t)n,
        .hook = show,
        .user = &watcher,
    };
    const bool finished = gram_exec_run(&exec, &call);
    free(logits);
    gram_exec_close(&exec);
    return finished ? GRAM_OK : gram_fail(err, GRAM_ECANCELED, "the trace was stopped");
}
