/*
 * The estimate adds up what is in memory at once in the largest block: its floats and their panels,
 * one linear at work, statistics, activations of a call, the boundary.
 */
#include "quant/preflight.h"

#include "base/checked.h"

enum {
    FIXED = 24 << 20, /* the program, its libraries and what they keep, the tables of the model */
    CALL_ROWS = 512,  /* of the runner */
};

/* Of a linear being solved: the original, codes; X'X factored, with the copy in double or its inverse. */
static int64_t work_bytes(const struct gram_weight_slot *slot, bool has_gram)
{
    const int64_t weights = slot->rows * slot->cols;
    return 5 * weights + (has_gram ? 8 * slot->cols * slot->cols : 0);
}

static int64_t largest_block(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    int64_t floats = 0, gram = 0, work = 0;

    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind != GRAM_KIND_LINEAR || slot->layer != 0)
            continue; /* blocks are alike */
        floats += 4 * slot->rows * slot->cols;
        gram = gram_max_i64(gram, 4 * slot->cols * slot->cols);
        work = gram_max_i64(work, work_bytes(slot, b->is_calibrated));
    }
    return 2 * floats + floats / 4 + gram + work;
}

/* Activations of a model, if they do not spill: the boundary; the residual and what linears read. */
static int64_t boundary_bytes(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    int64_t most = 0;

    for (size_t i = 0; i < desc->n_slots; i++) {
        if (desc->slots[i].kind == GRAM_KIND_LINEAR && desc->slots[i].layer == 0)
            most = gram_max_i64(most, desc->slots[i].cols);
    }
    return 4 * b->corpus.tokens * (3 * desc->hp.hidden + most);
}

/* What correcting drift takes beside: its sums and factors, a linear twice in double. */
static int64_t drift_bytes(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    int64_t work = 0;

    for (size_t i = 0; b->floats && i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind != GRAM_KIND_LINEAR || slot->layer != 0)
            continue;
        work = gram_max_i64(work, 12 * slot->rows * slot->cols + 12 * slot->cols * slot->cols);
    }
    return work;
}

/* Of one call of the runner: values, keys and values of the layer that is run, activations as codes. */
static int64_t activation_bytes(const struct gram_blocks *b)
{
    const struct gram_hparams *hp = &b->q->ck.desc.hp;
    int64_t rows = gram_min_i64(CALL_ROWS, b->corpus.tokens);

    for (size_t i = 0; i < b->corpus.n_windows; i++)
        rows = gram_max_i64(rows, b->corpus.windows[i].n);
    const int64_t floats = 3 * hp->hidden + 4 * hp->ffn + 2 * (hp->heads + 3 * hp->kv_heads) * hp->head_dim;
    return 4 * rows * floats;
}

/* What learning on a block takes beside: linears as held, bound, learned, with gradients and Adam's moments;
 * the values of a batch and their gradients. */
static int64_t learning_bytes(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    int64_t weights = 0;

    for (size_t i = 0; b->held && i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind == GRAM_KIND_LINEAR && slot->layer == 0)
            weights += slot->rows * slot->cols;
    }
    return b->held ? 42 * weights + 4 * activation_bytes(b) : 0;
}

void gram_preflight_estimate(struct gram_preflight *out, const struct gram_blocks *b)
{
    const uint64_t limit = b->q->options->memory;
    const int64_t aims = b->held ? 4 * b->corpus.tokens * b->q->ck.desc.hp.hidden : 0;
    const int64_t boundary = boundary_bytes(b) * (b->floats ? 2 : 1) + aims;
    const int64_t rest = FIXED + largest_block(b) + activation_bytes(b) + drift_bytes(b) + learning_bytes(b) +
                         12 * b->corpus.tokens;

    out->spills = limit && (uint64_t)(rest + boundary) > limit;
    out->memory = (uint64_t)(rest + (out->spills ? 0 : boundary));
}
