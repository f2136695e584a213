/* A model whose weights lie in memory as f32 and may be rewritten: what the tests of transforms share. */
#ifndef GRAM_TESTS_FLOAT_MODEL_H
#define GRAM_TESTS_FLOAT_MODEL_H

#include "support.h"

#include "base/runtime.h"
#include "calib/runner.h"
#include "engine/checkpoint.h"
#include "quant/transform.h"
#include "tensor/dtype.h"

struct float_model {
    struct gram_runtime *rt;
    struct gram_kernels kernels;
    struct gram_checkpoint ck;
    struct gram_graph graph;
    struct gram_binding *bindings;
    float **values;                 /* [slots] */
    struct gram_block_stats *stats; /* [blocks], after float_model_calibrate() */
    struct gram_assignment *assigned;
};

static inline void float_model_take(struct float_model *m, size_t i)
{
    const struct gram_weight_slot *slot = &m->ck.desc.slots[i];
    const struct gram_tensor *t = gram_checkpoint_tensor(&m->ck, slot);
    const int64_t n = slot->rows * slot->cols;

    assert_non_null(t);
    m->values[i] = calloc((size_t)n, sizeof(float));
    assert_non_null(m->values[i]);
    gram_read_f32(m->values[i], t->data, t->dtype, 0, n);
    m->bindings[i].vector = m->values[i];
    m->bindings[i].weight = (struct gram_weight){.rows = slot->rows,
                                                 .cols = slot->cols,
                                                 .data = m->values[i],
                                                 .row_bytes = slot->cols * (int64_t)sizeof(float),
                                                 .dtype = GRAM_F32};
}

static inline void float_model_open(struct float_model *m, const char *path, int threads, bool untie)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_error err;

    *m = (struct float_model){0};
    options.threads = threads;
    MUST(gram_runtime_open(&m->rt, &options, &err));
    gram_kernels_init(&m->kernels, m->rt->cpu_flags);
    MUST(gram_checkpoint_open(&m->ck, path, &err));
    if (untie)
        MUST(gram_arch_untie(&m->ck.desc, &m->ck.arena, &err));
    MUST(gram_arch_build(&m->ck.desc, &m->graph, &err));
    m->bindings = calloc(m->ck.desc.n_slots, sizeof *m->bindings);
    m->values = calloc(m->ck.desc.n_slots, sizeof *m->values);
    m->assigned = calloc(m->ck.desc.n_slots, sizeof *m->assigned);
    assert_true(m->bindings && m->values && m->assigned);
    for (size_t i = 0; i < m->ck.desc.n_slots; i++)
        float_model_take(m, i);
}

static inline void float_model_close(struct float_model *m)
{
    for (int i = 0; m->stats && i < m->graph.n_blocks; i++)
        gram_block_stats_reset(&m->stats[i]);
    for (size_t i = 0; i < m->ck.desc.n_slots; i++)
        free(m->values[i]);
    free(m->stats), free(m->values), free(m->bindings), free(m->assigned);
    gram_graph_reset(&m->graph);
    gram_checkpoint_reset(&m->ck);
    gram_runtime_close(&m->rt);
}

/* Every linear of the blocks will have this scheme, by rtn. */
static inline void float_model_assign(struct float_model *m, const char *scheme)
{
    struct gram_error err;

    for (size_t i = 0; i < m->ck.desc.n_slots; i++) {
        m->assigned[i] = (struct gram_assignment){0};
        if (m->ck.desc.slots[i].kind != GRAM_KIND_LINEAR)
            continue;
        MUST(gram_scheme_parse(&m->assigned[i].scheme, scheme, &err));
        MUST(gram_method_find(&m->assigned[i].method, "rtn", &err));
    }
}

static inline unsigned need_all(void *context, const struct gram_node *node)
{
    (void)context, (void)node;
    return GRAM_NEED_RANGE | GRAM_NEED_MEAN_ABS | GRAM_NEED_GRAM;
}

/* Statistics of every block over windows ids[n][length]. */
static inline void float_model_calibrate(struct float_model *m, int32_t *ids, int64_t n, int64_t length)
{
    struct gram_window *windows = calloc((size_t)n, sizeof *windows);
    const struct gram_corpus corpus = {.windows = windows, .n_windows = (size_t)n, .tokens = n * length};
    struct gram_runner runner = {.desc = &m->ck.desc,
                                 .graph = &m->graph,
                                 .kernels = &m->kernels,
                                 .pool = m->rt->pool,
                                 .corpus = &corpus,
                                 .bindings = m->bindings};
    struct gram_boundary b;
    struct gram_error err;

    for (int64_t i = 0; i < n; i++)
        windows[i] = (struct gram_window){ids + i * length, length};
    m->stats = calloc((size_t)m->graph.n_blocks, sizeof *m->stats);
    MUST(gram_runner_open(&runner, &err));
    MUST(gram_boundary_open(&b, corpus.tokens, m->ck.desc.hp.hidden, false, NULL, &err));
    MUST(gram_runner_embed(&runner, &b, &err));
    for (int i = 0; i < m->graph.n_blocks; i++) {
        const struct gram_block *block = &m->graph.blocks[i];
        MUST(gram_block_stats_open(&m->stats[i], &m->graph, block->first, block->end, need_all, NULL, &err));
        MUST(gram_runner_block(&runner, block, &b, &b, &m->stats[i], &err));
    }
    gram_boundary_close(&b);
    gram_runner_close(&runner);
    free(windows);
}

/* Apply it as the pipeline does: outside the blocks first, then block by block. The last note is kept. */
static inline void float_model_transform(struct float_model *m, const char *name,
                                         const struct gram_transform_options *options, char note[160])
{
    struct gram_weights weights = {&m->ck.desc, m->values};
    const struct gram_transform *t;
    struct gram_error err;

    MUST(gram_transform_find(&t, name, &err));
    MUST(t->check(&m->ck.desc, &err));
    for (int i = t->rewrites_outside ? -1 : 0; i < m->graph.n_blocks; i++) {
        struct gram_transform_call call = {
            .weights = &weights,
            .layer = i,
            .graph = &m->graph,
            .block = i < 0 ? NULL : &m->graph.blocks[i],
            .stats = i < 0 || !t->needs ? NULL : &m->stats[i],
            .assigned = m->assigned,
            .options = options,
            .pool = m->rt->pool,
        };
        MUST(t->apply(&call, &err));
        memcpy(note, call.note, sizeof call.note);
    }
}

/* Of all n tokens of a sequence, [n][vocab]; free() it. */
static inline float *float_model_logits(struct float_model *m, const int32_t *tokens, int64_t n)
{
    float *logits = calloc((size_t)(n * m->ck.desc.hp.vocab), sizeof *logits);
    struct gram_exec exec = {0};
    struct gram_error err;
    struct gram_kv kv;

    MUST(gram_exec_open(&exec, &m->graph, m->bindings, &m->kernels, m->rt->pool, n, false, &err));
    MUST(gram_kv_open(&kv, &m->graph, GRAM_KV_F32, n, &err));
    const struct gram_exec_segment segment = {.kv = &kv, .rows = n, .length = n, .n_last = n};
    const struct gram_exec_call call = {
        .segments = &segment, .n_segments = 1, .tokens = tokens, .result = logits};
    assert_true(gram_exec_run(&exec, &call));
    gram_kv_close(&kv);
    gram_exec_close(&exec);
    return logits;
}

#endif
