/*
 * A model with adapters is a model of its own whose weights are another's: its graph has the pairs
 * beside the linears, and its bindings are copies of the base's, followed by those of the pairs.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/adapter.h"
#include "engine/model.h"
#include "engine/pack.h"

struct adapting {
    struct gram_model *model;
    const struct gram_adapter *adapters;
    struct gram_lora *loras; /* [n] */
    size_t n, n_pairs;
};

static enum gram_status read_all(struct adapting *a, struct gram_error *err)
{
    a->loras = gram_arena_take(&a->model->arena, a->n, sizeof *a->loras);
    if (!a->loras)
        return gram_fail_memory(err, "adapters");
    for (size_t i = 0; i < a->n; i++) {
        GRAM_TRY(gram_lora_read(&a->loras[i], &a->model->ck.desc, a->adapters[i].path, err));
        a->n_pairs += a->loras[i].n_pairs;
    }
    return GRAM_OK;
}

static enum gram_status build(struct adapting *a, struct gram_error *err)
{
    struct gram_model_desc *desc = &a->model->ck.desc;
    struct gram_low_rank *pairs = gram_arena_take(&a->model->arena, a->n_pairs, sizeof *pairs);

    if (!pairs)
        return gram_fail_memory(err, "adapters");
    desc->pairs = pairs;
    for (size_t i = 0; i < a->n; i++) {
        gram_lora_low_ranks(&a->loras[i], desc, (int)(desc->n_slots + 2 * desc->n_pairs),
                            a->adapters[i].weight, pairs + desc->n_pairs);
        desc->n_pairs += a->loras[i].n_pairs;
    }
    return gram_arch_build(desc, &a->model->graph, err);
}

static enum gram_status bind_half(struct adapting *a, struct gram_binding *binding,
                                  const float *data, int64_t rows, int64_t cols, const char *name,
                                  struct gram_error *err)
{
    binding->weight = (struct gram_weight){.rows = rows,
                                           .cols = cols,
                                           .data = data,
                                           .row_bytes = cols * (int64_t)sizeof *data,
                                           .dtype = GRAM_F32};
    return gram_binding_pack(binding, a->model->rt, &a->model->arena, "an adapter", name, err);
}

static enum gram_status bind_pairs(struct adapting *a, const struct gram_model *base,
                                   struct gram_error *err)
{
    const size_t n = base->ck.desc.n_slots;
    struct gram_binding *at = gram_arena_take(&a->model->arena, n + 2 * a->n_pairs, sizeof *at);

    if (!at)
        return gram_fail_memory(err, "adapters");
    memcpy(at, base->bindings, n * sizeof *at);
    a->model->bindings = at;
    at += n;
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < a->loras[i].n_pairs; k++, at += 2) {
            const struct gram_lora_pair *p = &a->loras[i].pairs[k];
            GRAM_TRY(bind_half(a, &at[0], p->a, p->rank, gram_lora_inputs(&a->loras[i], p),
                               p->slot->op, err));
            GRAM_TRY(bind_half(a, &at[1], p->b, p->slot->rows, p->rank, p->slot->op, err));
        }
    return GRAM_OK;
}

static enum gram_status adapt(struct adapting *a, const struct gram_model *base,
                              struct gram_error *err)
{
    enum gram_status status = read_all(a, err);

    if (status == GRAM_OK)
        status = build(a, err);
    if (status == GRAM_OK)
        status = bind_pairs(a, base, err);
    for (size_t i = 0; a->loras && i < a->n; i++)
        gram_lora_reset(&a->loras[i]); /* what is multiplied is in panels */
    return status;
}

enum gram_status gram_model_adapt(struct gram_model **out, const struct gram_model *base,
                                  const struct gram_adapter *adapters, size_t n,
                                  struct gram_error *err)
{
    *out = NULL;
    if (base->base)
        return gram_fail(
            err, GRAM_EINVAL,
            "%s: has adapters already; give all of them at once, to the model without any",
            base->ck.path);
    struct gram_model *model = malloc(sizeof *model);
    if (!model)
        return gram_fail_memory(err, base->ck.path);
    *model = *base;
    model->base = base;
    model->graph = (struct gram_graph){0};
    model->arena = (struct gram_arena){0};
    const enum gram_status status =
        adapt(&(struct adapting){.model = model, .adapters = adapters, .n = n}, base, err);
    if (status != GRAM_OK) {
        gram_model_close(&model);
        return status;
    }
    *out = model;
    return GRAM_OK;
}
