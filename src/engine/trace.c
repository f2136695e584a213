/* One pass with every op's output shown. */
#include <gram/trace.h>

#include <inttypes.h>

#include "engine/model.h"
#include "graph/kv.h"

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
    const struct gram_hparams *hp = &model->ck.desc.hp;

    if (hp->learned_positions && n > (uint64_t)hp->context)
        return gram_fail(err, GRAM_EINVAL, "%zu tokens; the model has learned %" PRId64 " positions", n,
                         hp->context);
    if (n == 0 || n > 1 << 20)
        return gram_fail(err, GRAM_EINVAL, "%zu tokens cannot be traced, only 1 to %d", n, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= model->ck.desc.hp.vocab)
            return gram_fail(err, GRAM_EINVAL, "token %d at position %zu is outside the vocabulary",
                             (int)tokens[i], i);
    }
    return GRAM_OK;
}

/* What one pass works on. */
struct pass {
    struct gram_kv kv; /* f32: what is held against a reference is not rounded */
    struct gram_exec exec;
    struct gram_arena arena;
    float *logits; /* [n, vocab] */
};

static enum gram_status open_pass(struct pass *pass, const struct gram_model *model, int64_t n,
                                  struct gram_error *err)
{
    const struct gram_graph *g = &model->graph;
    const size_t row = (size_t)g->values[g->result].cols * sizeof *pass->logits;

    *pass = (struct pass){0};
    pass->logits = gram_arena_take(&pass->arena, (size_t)n, row);
    if (!pass->logits)
        return gram_fail_memory(err, "the logits of a trace");
    GRAM_TRY(gram_kv_open(&pass->kv, &model->graph, GRAM_KV_F32, n, err));
    return gram_exec_open(&pass->exec, &model->graph, model->bindings, &model->kernels,
                          model->rt->pool, n, GRAM_KEEP_NONE, err);
}

static void close_pass(struct pass *pass)
{
    gram_exec_close(&pass->exec);
    gram_kv_close(&pass->kv);
    gram_arena_reset(&pass->arena);
}

enum gram_status gram_trace(const struct gram_model *model, const int32_t *tokens, size_t n,
                            gram_trace_fn *fn, void *user, struct gram_error *err)
{
    struct watcher watcher = {fn, user};
    struct pass pass;
    const int64_t rows = (int64_t)n;
    const struct gram_exec_segment whole = {
        .kv = &pass.kv,
        .rows = rows,
        .length = rows,
        .n_last = model->ck.desc.hp.is_encoder ? 1 : rows,
    };

    GRAM_TRY(check(model, tokens, n, err));
    enum gram_status status = open_pass(&pass, model, rows, err);
    const struct gram_exec_call call = {
        .segments = &whole,
        .n_segments = 1,
        .tokens = tokens,
        .result = pass.logits,
        .hook = show,
        .user = &watcher,
    };
    if (status == GRAM_OK && !gram_exec_run(&pass.exec, &call))
        status = gram_fail(err, GRAM_ECANCELED, "the trace was stopped");
    close_pass(&pass);
    return status;
}
