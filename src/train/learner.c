#include "train/learner.h"

#include <string.h>

#include "base/checked.h"
#include "formats/compressed_tensors.h"
#include "graph/op.h"
#include "tensor/dtype.h"
#include "train/channels.h"
#include "train/frozen.h"
#include "train/random.h"

/* ---- what stands behind a parameter ---- */

static void bind_matrix(struct gram_binding *binding, const float *data, int64_t rows, int64_t cols)
{
    binding->vector = data;
    binding->weight = (struct gram_weight){.rows = rows,
                                           .cols = cols,
                                           .data = data,
                                           .row_bytes = cols * (int64_t)sizeof(float),
                                           .dtype = GRAM_F32};
}

static enum gram_status move_slot(struct gram_learner *l, size_t i, int64_t rows, int64_t cols,
                                  struct gram_error *err)
{
    l->weights[i] = gram_arena_take(&l->arena, (size_t)(rows * cols), sizeof(float));
    l->grads[i] = gram_arena_take(&l->arena, (size_t)(rows * cols), sizeof(float));
    if (!l->weights[i] || !l->grads[i])
        return gram_fail_memory(err, "the weights that are trained");
    bind_matrix(&l->bindings[i], l->weights[i], rows, cols);
    return GRAM_OK;
}

/* A weight of its own, to be trained. */
static enum gram_status move_weight(struct gram_learner *l, size_t i,
                                    const struct gram_learner_plan *plan, struct gram_error *err)
{
    const struct gram_weight_slot *slot = &l->desc.slots[i];

    if (!gram_checkpoint_tensor(l->ck, slot))
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: %s is quantized; only an adapter can be trained on such a model "
                         "(--method lora)",
                         l->ck->path, slot->op);
    GRAM_TRY(move_slot(l, i, slot->rows, slot->cols, err));
    if (plan->is_random) {
        gram_random_weight(l->weights[i], &l->desc, i, plan->seed);
        return GRAM_OK;
    }
    GRAM_TRY(gram_checkpoint_read(l->ck, slot, l->weights[i], err));
    const struct gram_tensor *tensor = gram_checkpoint_tensor(l->ck, slot);
    gram_store_release(l->ck->store, tensor, 0, tensor->shape[0]);
    return GRAM_OK;
}

/* Codes stay as they are stored; without codes, everything does. */
static enum gram_status move_steps(struct gram_learner *l, size_t i, struct gram_error *err)
{
    const struct gram_weight_slot *slot = &l->desc.slots[i];
    struct gram_weight *w = &l->bindings[i].weight;

    GRAM_TRY(gram_bind_frozen(&l->bindings[i], l->ck, slot, &l->arena, err));
    if (w->bits == 0 || slot->kind == GRAM_KIND_EMBEDDING)
        return GRAM_OK;
    l->held[i] = gram_arena_take(&l->arena, 1, sizeof *l->held[i]);
    l->grads[i] = gram_arena_take(&l->arena, (size_t)(w->rows * w->cols), sizeof(float));
    if (!l->held[i] || !l->grads[i])
        return gram_fail_memory(err, "the steps that are trained");
    GRAM_TRY(gram_held_open(l->held[i], l->ck, w, slot->op, &l->arena, err));
    *w = l->held[i]->weight;
    return GRAM_OK;
}

static enum gram_status move_pair(struct gram_learner *l, size_t pair, struct gram_error *err)
{
    struct gram_lora_pair *p = &l->lora.pairs[pair];
    const int64_t inputs = gram_lora_inputs(&l->lora, p);
    const size_t at = l->desc.n_slots + 2 * pair;

    GRAM_TRY(move_slot(l, at, p->rank, inputs, err));
    GRAM_TRY(move_slot(l, at + 1, p->slot->rows, p->rank, err));
    memcpy(l->weights[at], p->a, (size_t)(p->rank * inputs) * sizeof(float));
    p->a = l->weights[at]; /* what is trained is what will be written */
    p->b = l->weights[at + 1];
    return GRAM_OK;
}

/* ---- grids ---- */

static enum gram_status put_on_grid(struct gram_learner *l, const struct gram_unit *unit,
                                    struct gram_error *err)
{
    const size_t i = (size_t)(unit->slot - l->desc.slots);
    const struct gram_scheme *scheme = &unit->how.scheme;
    const struct gram_grid grid = gram_scheme_grid(scheme, unit->scale_dtype);
    struct gram_fake *fake = gram_arena_take(&l->arena, 1, sizeof *fake);

    if (!fake)
        return gram_fail_memory(err, unit->slot->op);
    GRAM_TRY(gram_fake_open(fake, &grid, unit->slot->rows, unit->slot->cols,
                            gram_scheme_span(scheme, unit->slot->cols),
                            scheme->granularity == GRAM_PER_TENSOR, l->weights[i], l->rt->pool,
                            &l->arena, err));
    l->fakes[i] = fake;
    bind_matrix(&l->bindings[i], fake->quantized, unit->slot->rows, unit->slot->cols);
    return GRAM_OK;
}

static enum gram_status put_on_grids(struct gram_learner *l, const struct gram_layout *layout,
                                     struct gram_error *err)
{
    for (int64_t u = 0; u < layout->n_units; u++) {
        const struct gram_unit *unit = &layout->units[u];
        if (unit->how.scheme.kind == GRAM_SCHEME_CODES)
            GRAM_TRY(put_on_grid(l, unit, err));
    }
    return GRAM_OK;
}

/* The value that the linear of a slot reads; GRAM_NONE if no linear is. */
static int value_read(const struct gram_learner *l, size_t slot)
{
    for (int n = 0; n < l->graph.n_nodes; n++)
        if (l->graph.nodes[n].op->forward == gram_linear_forward &&
            l->graph.nodes[n].params[0] == (int)slot)
            return l->graph.nodes[n].inputs[0];
    return GRAM_NONE;
}

static enum gram_status round_activations(struct gram_learner *l, const struct gram_layout *layout,
                                          struct gram_error *err)
{
    if (!gram_ranges_open(&l->ranges, (size_t)layout->n_units, &l->arena))
        return gram_fail_memory(err, "the ranges of activations");
    for (int64_t u = 0; u < layout->n_units; u++) {
        const struct gram_unit *unit = &layout->units[u];
        const struct gram_scheme *scheme = &unit->how.scheme;
        if (scheme->kind != GRAM_SCHEME_CODES || scheme->act_bits == 0)
            continue;
        const size_t i = (size_t)(unit->slot - l->desc.slots);
        const enum gram_dtype dtype =
            scheme->is_static ? unit->parts[GRAM_PART_INPUT].dtype : GRAM_F32;
        l->bindings[i].acts = gram_ranges_of(&l->ranges, value_read(l, i), scheme, dtype);
    }
    return GRAM_OK;
}

/* All others stay as they are rounded; their steps move. */
static enum gram_status choose_channels(struct gram_learner *l, double share,
                                        struct gram_error *err)
{
    for (size_t i = 0; i < l->n_slots && share < 1.0; i++) {
        if (!l->fakes[i])
            continue;
        const struct gram_weight *w = &l->bindings[i].weight;
        l->moves[i] = gram_channels_choose(l->weights[i], w->rows, w->cols, share, &l->arena);
        if (!l->moves[i])
            return gram_fail_memory(err, "the channels that are trained");
    }
    return GRAM_OK;
}

/* ---- what is trained ---- */

static bool is_matrix(const struct gram_learner *l, size_t i)
{
    return i >= l->desc.n_slots || l->desc.slots[i].kind != GRAM_KIND_VECTOR;
}

static int64_t count_moving(const bool *moves, int64_t rows)
{
    int64_t n = 0;

    for (int64_t r = 0; r < rows; r++)
        n += !moves || moves[r];
    return n;
}

static size_t gather_ranges(struct gram_learner *l, struct gram_param *to)
{
    size_t n = 0;

    for (size_t i = 0; i < l->ranges.n; i++) {
        struct gram_fake_acts *acts = &l->ranges.at[i].acts;
        if (acts->is_shared)
            to[n++] = (struct gram_param){
                .name = "activations", .w = &acts->log, .g = &acts->g_log, .n = 1};
    }
    return n;
}

static size_t gather_steps(struct gram_learner *l, struct gram_param *to)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n_slots; i++) {
        if (!l->held[i])
            continue;
        to[n++] = (struct gram_param){.name = l->desc.slots[i].op,
                                      .w = l->held[i]->logs,
                                      .g = l->held[i]->g_logs,
                                      .n = l->held[i]->n_steps};
        l->trained += l->held[i]->n_steps;
    }
    return n;
}

static struct gram_param steps_param(const char *name, const struct gram_fake *fake)
{
    return (struct gram_param){
        .name = name, .w = fake->logs, .g = fake->g_logs, .n = fake->n_steps};
}

static enum gram_status gather_params(struct gram_learner *l, const struct gram_learner_plan *plan,
                                      struct gram_error *err)
{
    struct gram_param *from =
        gram_arena_take(&l->arena, 2 * l->n_slots + l->ranges.n, sizeof *from);
    size_t n = 0;

    if (!from)
        return gram_fail_memory(err, "the weights that are trained");
    for (size_t i = 0; i < l->n_slots; i++) {
        const struct gram_weight *w = &l->bindings[i].weight;
        if (l->molds[i] && l->molds[i]->kind->has_steps) {
            from[n++] = steps_param(l->desc.slots[i].op, &l->molds[i]->fake);
            l->trained += l->molds[i]->fake.n_steps;
        }
        if (!l->weights[i])
            continue;
        from[n++] = (struct gram_param){.name = i < l->desc.n_slots ? l->desc.slots[i].op : "adapter",
                                        .w = l->weights[i],
                                        .g = l->grads[i],
                                        .n = w->rows * w->cols,
                                        .is_decayed = is_matrix(l, i) && !l->moves[i]};
        l->trained += count_moving(l->moves[i], w->rows) * w->cols;
        if (l->fakes[i])
            from[n++] = steps_param(l->desc.slots[i].op, l->fakes[i]);
    }
    n += gather_steps(l, from + n);
    if (plan->learns_ranges)
        n += gather_ranges(l, from + n);
    return gram_params_open(&l->params, from, n, plan->optimizer, l->rt->pool, err);
}

/* ---- the whole ---- */

static bool take_tables(struct gram_learner *l)
{
    const size_t n = l->n_slots;

    l->bindings = gram_arena_take(&l->arena, n, sizeof *l->bindings);
    l->weights = gram_arena_take(&l->arena, n, sizeof *l->weights);
    l->grads = gram_arena_take(&l->arena, n, sizeof *l->grads);
    l->fakes = gram_arena_take(&l->arena, n, sizeof *l->fakes);
    l->held = gram_arena_take(&l->arena, n, sizeof *l->held);
    l->moves = gram_arena_take(&l->arena, n, sizeof *l->moves);
    l->molds = gram_arena_take(&l->arena, n, sizeof *l->molds);
    return l->bindings && l->weights && l->grads && l->fakes && l->held && l->moves && l->molds;
}

/* With a mold, pairs are part of the weights and not of the graph. */
static enum gram_status make_adapter(struct gram_learner *l, const struct gram_learner_plan *plan,
                                     struct gram_error *err)
{
    GRAM_TRY(gram_lora_make(&l->lora, &l->desc, plan->lora, err));
    if (plan->mold)
        return GRAM_OK;
    l->low_ranks = gram_arena_take(&l->arena, l->lora.n_pairs, sizeof *l->low_ranks);
    if (!l->low_ranks)
        return gram_fail_memory(err, "a new adapter");
    gram_lora_low_ranks(&l->lora, &l->desc, (int)l->desc.n_slots, 1.0, l->low_ranks);
    l->desc.pairs = l->low_ranks;
    l->desc.n_pairs = l->lora.n_pairs;
    return GRAM_OK;
}

enum gram_status gram_learner_open(struct gram_learner *l, struct gram_runtime *rt,
                                   const struct gram_checkpoint *ck,
                                   const struct gram_learner_plan *plan, struct gram_error *err)
{
    *l = (struct gram_learner){.rt = rt, .ck = ck, .desc = ck->desc};
    gram_kernels_init(&l->kernels, rt->cpu_flags);
    if (plan->lora)
        GRAM_TRY(make_adapter(l, plan, err));
    GRAM_TRY(gram_arch_build(&l->desc, &l->graph, err));
    l->n_slots = l->desc.n_slots + 2 * l->lora.n_pairs;
    if (!take_tables(l))
        return gram_fail_memory(err, ck->path);
    for (size_t i = 0; i < l->desc.n_slots; i++)
        GRAM_TRY(plan->lora ? gram_bind_frozen(&l->bindings[i], ck, &ck->desc.slots[i], &l->arena, err)
                 : plan->is_steps ? move_steps(l, i, err)
                                  : move_weight(l, i, plan, err));
    for (size_t i = 0; i < l->lora.n_pairs; i++)
        GRAM_TRY(move_pair(l, i, err));
    if (plan->base)
        GRAM_TRY(gram_learner_freeze_bases(l, plan, err));
    if (plan->mold)
        GRAM_TRY(gram_learner_cast_molds(l, plan, err));
    else if (plan->layout) {
        GRAM_TRY(put_on_grids(l, plan->layout, err));
        GRAM_TRY(round_activations(l, plan->layout, err));
        GRAM_TRY(choose_channels(l, plan->channels, err));
    }
    return gather_params(l, plan, err);
}

void gram_learner_close(struct gram_learner *l)
{
    gram_params_close(&l->params);
    gram_graph_reset(&l->graph);
    gram_lora_reset(&l->lora);
    gram_arena_reset(&l->arena);
    *l = (struct gram_learner){0};
}

void gram_learner_prepare(struct gram_learner *l)
{
    for (size_t i = 0; i < l->n_slots; i++)
        if (l->fakes[i])
            gram_fake_fill(l->fakes[i], l->rt->pool);
        else if (l->molds[i])
            l->molds[i]->kind->fill(l->molds[i]);
    for (size_t i = 0; i < l->n_slots; i++) {
        if (!l->held[i])
            continue;
        gram_held_fill(l->held[i]);
        memset(l->grads[i], 0, (size_t)(l->held[i]->weight.rows * l->held[i]->weight.cols) * sizeof(float));
    }
    gram_ranges_prepare(&l->ranges);
}

/* Its gradient is no parameter's: it is cleared here, for the next step. */
static void pull_mold(struct gram_mold *mold, float *g)
{
    mold->kind->pull(mold, g);
    memset(g, 0, (size_t)(mold->base.rows * mold->base.cols) * sizeof *g);
}

void gram_learner_collect(struct gram_learner *l)
{
    for (size_t i = 0; i < l->n_slots; i++)
        if (l->held[i])
            gram_held_pull(l->held[i], l->grads[i], &l->kernels, l->rt->pool);
        else if (l->molds[i] && l->grads[i])
            pull_mold(l->molds[i], l->grads[i]);
}

void gram_learner_pull(struct gram_learner *l)
{
    for (size_t i = 0; i < l->n_slots; i++) {
        const struct gram_weight *w = &l->bindings[i].weight;
        if (l->fakes[i])
            gram_fake_pull(l->fakes[i], l->grads[i], l->rt->pool);
        if (l->moves[i])
            gram_channels_hold(l->grads[i], l->moves[i], w->rows, w->cols);
    }
    gram_ranges_pull(&l->ranges);
}

/* The steps that are stored as this tensor, if they were trained. */
static const struct gram_held *find_held(const struct gram_learner *l,
                                         const struct gram_tensor *source)
{
    for (size_t i = 0; i < l->ck->desc.n_slots; i++)
        if (l->held[i] && l->held[i]->stored == source)
            return l->held[i];
    return NULL;
}

enum gram_status gram_learner_values(void *context, const struct gram_unit *unit, int64_t slot,
                                     struct gram_export_values *values, struct gram_error *err)
{
    const struct gram_learner *l = context;
    const struct gram_held *held = find_held(l, unit->source);

    (void)err;
    if (held)
        values->floats = held->scales;
    if (held || slot == GRAM_EXPORT_NO_SLOT)
        return GRAM_OK;
    values->coded = l->fakes[slot]   ? &l->fakes[slot]->coded
                    : l->molds[slot] ? &l->molds[slot]->fake.coded
                                     : NULL;
    values->floats = l->weights[slot];
    if (l->bindings[slot].acts)
        values->act_scale = l->bindings[slot].acts->scale;
    return GRAM_OK;
}
