/*
 * Panels take the place of the file's layout: what is multiplied often is streamed in the order that the
 * kernels want it, and the file's own pages are given back. The embedding stays as it is too, because its
 * rows are looked up one by one.
 */
#include "engine/pack.h"

#include <inttypes.h>

#include "kernels/panels.h"

/* Memory for panels, aligned so that a register never straddles cache lines; NULL for zero bytes is fine. */
static void *take(struct gram_model *model, size_t bytes)
{
    return bytes ? gram_arena_take(&model->arena, bytes, 1) : NULL;
}

struct fill {
    struct gram_binding *binding;
    void *floats;
};

static void fill_int(void *context, int64_t begin, int64_t end, int worker)
{
    const struct fill *fill = context;
    (void)worker;
    gram_int_panels_fill(&fill->binding->int_panels, &fill->binding->weight, begin, end);
}

static void fill_float(void *context, int64_t begin, int64_t end, int worker)
{
    const struct fill *fill = context;
    (void)worker;
    gram_float_panels_fill(fill->floats, &fill->binding->weight, begin, end);
}

enum { CHUNK = 4 }; /* panels repacked together */

static enum gram_status pack_int(struct gram_model *model, struct gram_binding *binding,
                                 const char *name, struct gram_error *err)
{
    const struct gram_weight *w = &binding->weight;
    struct fill fill = {.binding = binding};
    size_t codes, scales, offsets;

    gram_int_panels_size(w, &codes, &scales, &offsets);
    void *codes_at = take(model, codes), *scales_at = take(model, scales);
    void *offsets_at = take(model, offsets);
    if (!codes_at || !scales_at || (offsets && !offsets_at))
        return gram_fail_memory(err, name);
    gram_int_panels_init(&binding->int_panels, w, codes_at, scales_at, offsets_at);
    binding->act_parts = w->act_bits == 8 ? 1 : model->rt->activation_parts;
    gram_pool_for(model->rt->pool, gram_panel_count(w->rows), CHUNK, fill_int, &fill);
    return GRAM_OK;
}

static enum gram_status pack_float(struct gram_model *model, struct gram_binding *binding,
                                   const char *name, struct gram_error *err)
{
    const struct gram_weight *w = &binding->weight;
    struct fill fill = {binding, take(model, gram_float_panels_bytes(w))};

    if (!fill.floats)
        return gram_fail_memory(err, name);
    gram_pool_for(model->rt->pool, gram_panel_count(w->rows), CHUNK, fill_float, &fill);
    binding->float_panels = (struct gram_float_panels){w->rows, w->cols, w->dtype, fill.floats};
    return GRAM_OK;
}

static enum gram_status pack_linear(struct gram_model *model, struct gram_binding *binding,
                                    const char *name, struct gram_error *err)
{
    const struct gram_weight *w = &binding->weight;
    const bool fits = gram_int_panels_fit(w) && (w->group >= GRAM_MIN_GROUP || w->group == w->cols);

    if (w->bits == 0)
        return pack_float(model, binding, name, err);
    if (w->act_bits == 8 && !fits)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: '%s' wants int8 activations with groups of %" PRId64
                         ", which must be a multiple of 4",
                         model->ck.path, name, w->group);
    if (fits && (w->act_bits == 8 || model->rt->activation_parts > 0))
        return pack_int(model, binding, name, err);
    return GRAM_OK; /* decoded tile by tile */
}

/* Is the slot's matrix multiplied (and not only looked up)? */
static bool is_multiplied(const struct gram_model *model, const struct gram_weight_slot *slot)
{
    return slot->kind == GRAM_KIND_LINEAR || slot->kind == GRAM_KIND_LM_HEAD ||
           (slot->kind == GRAM_KIND_EMBEDDING && model->ck.desc.hp.tied);
}

/* The pages that w was repacked from are not needed any more. */
static void release_source(const struct gram_store *store, const struct gram_weight *w)
{
    for (size_t i = 0; i < gram_store_count(store); i++) {
        const struct gram_tensor *t = gram_store_at(store, i);
        if (t->data == w->data && t->rank > 0)
            gram_store_release(store, t, 0, t->shape[0]);
    }
}

enum gram_status gram_model_pack(struct gram_model *model, struct gram_error *err)
{
    const struct gram_model_desc *desc = &model->ck.desc;

    for (size_t i = 0; i < desc->n_slots; i++) {
        if (!is_multiplied(model, &desc->slots[i]))
            continue;
        GRAM_TRY(pack_linear(model, &model->bindings[i], desc->slots[i].op, err));
        release_source(model->ck.store, &model->bindings[i].weight);
    }
    return GRAM_OK;
}
