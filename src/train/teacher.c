#include "train/teacher.h"

#include <inttypes.h>
#include <string.h>

#include "train/frozen.h"

/* ---- opening ---- */

static enum gram_status check_shapes(const struct gram_teacher *t, const struct gram_checkpoint *ck,
                                     bool keeps_blocks, struct gram_error *err)
{
    const struct gram_hparams *mine = &t->ck->desc.hp, *hp = &ck->desc.hp;

    if (mine->vocab != hp->vocab)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: has %" PRId64 " tokens, and %s has %" PRId64
                         "; a reference speaks of the same tokens",
                         t->ck->path, mine->vocab, ck->path, hp->vocab);
    if (keeps_blocks && (mine->layers != hp->layers || mine->hidden != hp->hidden))
        return gram_fail(err, GRAM_EINVAL,
                         "%s: has %" PRId64 " blocks of %" PRId64 " columns, and %s has %" PRId64
                         " of %" PRId64 "; blocks are held against blocks of the same shape",
                         t->ck->path, (int64_t)mine->layers, mine->hidden, ck->path,
                         (int64_t)hp->layers, hp->hidden);
    return GRAM_OK;
}

static enum gram_status bind(struct gram_teacher *t, struct gram_error *err)
{
    const struct gram_model_desc *desc = &t->ck->desc;

    t->bindings = gram_arena_take(&t->arena, desc->n_slots, sizeof *t->bindings);
    if (!t->bindings)
        return gram_fail_memory(err, t->ck->path);
    for (size_t i = 0; i < desc->n_slots; i++)
        GRAM_TRY(gram_bind_frozen(&t->bindings[i], t->ck, &desc->slots[i], &t->arena, err));
    return GRAM_OK;
}

static bool place_blocks(struct gram_teacher *t)
{
    const struct gram_graph *g = &t->graph;

    t->blocks = gram_arena_take(&t->arena, (size_t)g->n_blocks, sizeof *t->blocks);
    for (int b = 0; t->blocks && b < g->n_blocks; b++) {
        const size_t cols = (size_t)g->values[g->blocks[b].output].cols;
        t->blocks[b] = gram_arena_take(&t->arena, (size_t)t->limits.rows * cols, sizeof(float));
        if (!t->blocks[b])
            return false;
    }
    return t->blocks != NULL;
}

static enum gram_status place(struct gram_teacher *t, bool keeps_blocks, struct gram_error *err)
{
    const size_t n = (size_t)t->limits.sequences, vocab = (size_t)t->graph.values[t->graph.result].cols;

    t->caches = gram_arena_take(&t->arena, n, sizeof *t->caches);
    t->segments = gram_arena_take(&t->arena, n, sizeof *t->segments);
    t->logits = gram_arena_take(&t->arena, (size_t)t->limits.rows * vocab, sizeof(float));
    if (!t->caches || !t->segments || !t->logits || (keeps_blocks && !place_blocks(t)))
        return gram_fail_memory(err, "the reference");
    for (size_t i = 0; i < n; i++)
        GRAM_TRY(gram_kv_open(&t->caches[i], &t->graph, GRAM_KV_F32, t->limits.length, err));
    return GRAM_OK;
}

enum gram_status gram_teacher_open(struct gram_teacher *t, struct gram_runtime *rt,
                                   const struct gram_checkpoint *ck, const char *path,
                                   bool keeps_blocks, struct gram_stepper_limits limits,
                                   struct gram_error *err)
{
    *t = (struct gram_teacher){.ck = path ? &t->own : ck, .limits = limits};
    if (path)
        GRAM_TRY(gram_checkpoint_open(&t->own, path, err));
    GRAM_TRY(check_shapes(t, ck, keeps_blocks, err));
    gram_kernels_init(&t->kernels, rt->cpu_flags);
    GRAM_TRY(gram_arch_build(&t->ck->desc, &t->graph, err));
    GRAM_TRY(bind(t, err));
    GRAM_TRY(place(t, keeps_blocks, err));
    return gram_exec_open(&t->exec, &t->graph, t->bindings, &t->kernels, rt->pool, limits.rows,
                          GRAM_KEEP_NONE, err);
}

void gram_teacher_close(struct gram_teacher *t)
{
    for (int64_t i = 0; t->caches && i < t->limits.sequences; i++)
        gram_kv_close(&t->caches[i]);
    gram_exec_close(&t->exec);
    gram_graph_reset(&t->graph);
    gram_checkpoint_reset(&t->own);
    gram_arena_reset(&t->arena);
    *t = (struct gram_teacher){0};
}

/* ---- a pass ---- */

/* Values share memory: a block's is copied while it is there. */
static bool keep_block(void *user, const struct gram_node *node, const float *values, int64_t rows,
                       int64_t cols)
{
    struct gram_teacher *t = user;

    for (int b = 0; b < t->graph.n_blocks; b++)
        if (t->graph.blocks[b].output == node->output)
            memcpy(t->blocks[b], values, (size_t)(rows * cols) * sizeof *values);
    return true;
}

void gram_teacher_run(struct gram_teacher *t, const struct gram_sequences *in)
{
    for (int64_t i = 0; i < in->n; i++)
        t->segments[i] = (struct gram_exec_segment){.kv = &t->caches[i],
                                                    .rows = in->lengths[i],
                                                    .length = in->lengths[i],
                                                    .n_last = in->lengths[i]};
    const struct gram_exec_call call = {.segments = t->segments,
                                        .n_segments = in->n,
                                        .tokens = in->tokens,
                                        .result = t->logits,
                                        .hook = t->blocks ? keep_block : NULL,
                                        .user = t};
    gram_exec_run(&t->exec, &call);
}
