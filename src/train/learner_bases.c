/* Frozen weights that are not multiplied as they are stored: codes made on the way, and molds. */
#include "train/learner.h"

#include "base/checked.h"

/* The pair of a slot; n_pairs if it has none. */
static size_t find_pair(const struct gram_learner *l, const struct gram_weight_slot *slot)
{
    size_t i = 0;

    while (i < l->lora.n_pairs && l->lora.pairs[i].slot != slot)
        i++;
    return i;
}

/* ---- a float base becomes codes ---- */

static enum gram_status freeze(struct gram_learner *l, size_t i, const float *x,
                               const struct gram_learner_plan *plan, struct gram_error *err)
{
    const struct gram_weight_slot *slot = &l->desc.slots[i];
    const struct gram_freeze how = {.name = slot->op,
                                    .scheme = plan->base,
                                    .scale_dtype = gram_checkpoint_tensor(l->ck, slot)->dtype,
                                    .rows = slot->rows,
                                    .cols = slot->cols,
                                    .pool = l->rt->pool,
                                    .kernels = &l->kernels};
    struct gram_coded *coded = plan->keeps_base ? &l->bases[i] : NULL;
    struct gram_weight *w = &l->bindings[i].weight;
    struct gram_loftq_result found = {0};
    const size_t pair = find_pair(l, slot);

    if (plan->loftq == 0 || pair == l->lora.n_pairs)
        return gram_freeze_linear(w, coded, x, &how, &l->arena, err);
    GRAM_TRY(gram_freeze_loftq(w, coded, x, &how, &l->lora, &l->lora.pairs[pair], plan->loftq,
                               &found, &l->arena, err));
    l->loftq.squares += found.squares;
    l->loftq.before += found.before;
    l->loftq.after += found.after;
    return GRAM_OK;
}

static enum gram_status check_group(const struct gram_weight_slot *slot,
                                    const struct gram_scheme *scheme, struct gram_error *err)
{
    if (slot->cols % gram_scheme_span(scheme, slot->cols) == 0)
        return GRAM_OK;
    return gram_fail(err, GRAM_EINVAL, "%s: its %lld inputs do not divide into groups of %lld",
                     slot->op, (long long)slot->cols, (long long)scheme->group);
}

enum gram_status gram_learner_freeze_bases(struct gram_learner *l,
                                           const struct gram_learner_plan *plan,
                                           struct gram_error *err)
{
    enum gram_status status = GRAM_OK;

    l->bases = gram_arena_take(&l->arena, l->desc.n_slots, sizeof *l->bases);
    if (!l->bases)
        return gram_fail_memory(err, "the base of an adapter");
    for (size_t i = 0; i < l->desc.n_slots && status == GRAM_OK; i++) {
        const struct gram_weight_slot *slot = &l->desc.slots[i];
        struct gram_arena scratch = {0};
        if (slot->kind != GRAM_KIND_LINEAR)
            continue;
        GRAM_TRY(check_group(slot, plan->base, err));
        float *x = gram_arena_take(&scratch, (size_t)(slot->rows * slot->cols), sizeof *x);
        status = x ? gram_checkpoint_read(l->ck, slot, x, err) : gram_fail_memory(err, slot->op);
        if (status == GRAM_OK)
            status = freeze(l, i, x, plan, err);
        gram_arena_reset(&scratch);
    }
    return status;
}

/* ---- molds ---- */

static enum gram_status cast(struct gram_learner *l, const struct gram_unit *unit,
                             const struct gram_mold_kind *kind, struct gram_error *err)
{
    const size_t i = (size_t)(unit->slot - l->desc.slots), pair = find_pair(l, unit->slot);
    const size_t at = l->desc.n_slots + 2 * pair;
    const struct gram_scheme *scheme = &unit->how.scheme;
    const struct gram_grid grid = gram_scheme_grid(scheme, unit->scale_dtype);
    const bool is_frozen = kind->has_pair && pair == l->lora.n_pairs;
    struct gram_mold_parts parts = {.grid = &grid,
                                    .span = gram_scheme_span(scheme, unit->slot->cols),
                                    .is_one = scheme->granularity == GRAM_PER_TENSOR,
                                    .base = l->bindings[i].weight,
                                    .lora = &l->lora,
                                    .pool = l->rt->pool,
                                    .kernels = &l->kernels};
    struct gram_mold *mold = gram_arena_take(&l->arena, 1, sizeof *mold);
    const size_t count = (size_t)(unit->slot->rows * unit->slot->cols);

    if (kind->has_pair && !is_frozen) {
        parts.pair = &l->lora.pairs[pair];
        parts.g_a = l->grads[at];
        parts.g_b = l->grads[at + 1];
    }
    if (!is_frozen)
        l->grads[i] = gram_arena_take(&l->arena, count, sizeof(float));
    if (!mold || (!is_frozen && !l->grads[i]))
        return gram_fail_memory(err, unit->slot->op);
    GRAM_TRY(
        gram_mold_open(mold, is_frozen ? gram_mold_find("frozen") : kind, &parts, &l->arena, err));
    l->molds[i] = mold;
    l->bindings[i].weight =
        (struct gram_weight){.rows = unit->slot->rows,
                             .cols = unit->slot->cols,
                             .data = mold->fake.quantized,
                             .row_bytes = unit->slot->cols * (int64_t)sizeof(float),
                             .dtype = GRAM_F32};
    return GRAM_OK;
}

enum gram_status gram_learner_cast_molds(struct gram_learner *l,
                                         const struct gram_learner_plan *plan,
                                         struct gram_error *err)
{
    for (int64_t u = 0; u < plan->layout->n_units; u++) {
        const struct gram_unit *unit = &plan->layout->units[u];
        if (unit->slot && unit->how.scheme.kind == GRAM_SCHEME_CODES)
            GRAM_TRY(cast(l, unit, plan->mold, err));
    }
    return GRAM_OK;
}

enum gram_status gram_learner_base_values(void *context, const struct gram_unit *unit, int64_t slot,
                                          struct gram_export_values *values, struct gram_error *err)
{
    const struct gram_learner *l = context;

    (void)unit, (void)err;
    if (slot != GRAM_EXPORT_NO_SLOT && l->bases && l->bases[slot].codes)
        values->coded = &l->bases[slot];
    return GRAM_OK;
}
