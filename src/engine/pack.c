/*
 * Panels take the place of the file's layout: what is multiplied often is streamed in the order that the
 * kernels want it, and the file's own pages are given back. The embedding stays as it is too, because its
 * rows are looked up one by one.
 *
 * All panels lie in one block. Its layout is computed twice: without memory, to know its size, which a cached
 * block must have too; then with it.
 */
#include "engine/pack.h"

#include <inttypes.h>

#include "base/checked.h"
#include "engine/packed.h"
#include "kernels/panels.h"

enum { CHUNK = 4 }; /* panels repacked together */

/* The block being laid out; base is NULL while it is only measured. */
struct layout {
    char *base;
    size_t used;
};

/* The next `bytes` of the block, aligned so that a register never straddles cache lines. */
static void *reserve(struct layout *layout, size_t bytes)
{
    char *at = layout->base ? layout->base + layout->used : NULL;
    layout->used += (bytes + GRAM_PANEL_ALIGN - 1) / GRAM_PANEL_ALIGN * GRAM_PANEL_ALIGN;
    return at;
}

static void place_int(struct layout *layout, struct gram_binding *binding)
{
    const struct gram_weight *w = &binding->weight;
    size_t codes, scales, offsets;

    gram_int_panels_size(w, &codes, &scales, &offsets);
    void *codes_at = reserve(layout, codes), *scales_at = reserve(layout, scales);
    gram_int_panels_init(&binding->int_panels, w, codes_at, scales_at, reserve(layout, offsets));
}

static void place_float(struct layout *layout, struct gram_binding *binding)
{
    const struct gram_weight *w = &binding->weight;
    binding->float_panels = (struct gram_float_panels){
        w->rows, w->cols, w->dtype, reserve(layout, gram_float_panels_bytes(w))};
}

static void fill_int(void *context, int64_t begin, int64_t end, int worker)
{
    const struct gram_binding *binding = context;
    (void)worker;
    gram_int_panels_fill(&binding->int_panels, &binding->weight, begin, end);
}

static void fill_float(void *context, int64_t begin, int64_t end, int worker)
{
    const struct gram_binding *binding = context;
    (void)worker;
    gram_float_panels_fill((void *)(uintptr_t)binding->float_panels.data, &binding->weight, begin,
                           end);
}

/* What a linear is repacked to. */
struct way {
    void (*place)(struct layout *layout, struct gram_binding *binding);
    gram_pool_fn *fill;
};
static const struct way to_int = {place_int, fill_int}, to_float = {place_float, fill_float};

/* *way is NULL for what is decoded tile by tile. */
static enum gram_status choose_way(const struct way **way, const struct gram_runtime *rt,
                                   struct gram_binding *binding, const char *where,
                                   const char *name, struct gram_error *err)
{
    const struct gram_weight *w = &binding->weight;
    const bool fits = gram_int_panels_fit(w) && (w->group >= GRAM_MIN_GROUP || w->group == w->cols);

    *way = NULL;
    if (w->bits == 0) {
        *way = &to_float;
        return GRAM_OK;
    }
    if (w->act_bits == 8 && !fits)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: '%s' wants int8 activations with groups of %" PRId64
                         ", which must be a multiple of 4",
                         where, name, w->group);
    binding->act_parts = w->act_bits == 8 ? 1 : rt->activation_parts;
    if (fits && binding->act_parts > 0)
        *way = &to_int;
    return GRAM_OK;
}

enum gram_status gram_binding_pack(struct gram_binding *binding, const struct gram_runtime *rt,
                                   struct gram_arena *arena, const char *where, const char *name,
                                   struct gram_error *err)
{
    struct layout layout = {0};
    const struct way *way;

    GRAM_TRY(choose_way(&way, rt, binding, where, name, err));
    if (!way)
        return GRAM_OK;
    way->place(&layout, binding);
    layout = (struct layout){.base = gram_arena_take(arena, layout.used, 1)};
    if (!layout.base)
        return gram_fail_memory(err, name);
    way->place(&layout, binding);
    gram_pool_for(rt->pool, gram_panel_count(binding->weight.rows), CHUNK, way->fill, binding);
    return GRAM_OK;
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

static enum gram_status choose_ways(const struct way **ways, struct gram_model *model,
                                    struct gram_error *err)
{
    const struct gram_model_desc *desc = &model->ck.desc;

    for (size_t i = 0; i < desc->n_slots; i++) {
        if (is_multiplied(model, &desc->slots[i]))
            GRAM_TRY(choose_way(&ways[i], model->rt, &model->bindings[i], model->ck.path,
                                desc->slots[i].op, err));
    }
    return GRAM_OK;
}

static size_t place_all(const struct way *const *ways, struct gram_model *model, char *base)
{
    struct layout layout = {.base = base};

    for (size_t i = 0; i < model->ck.desc.n_slots; i++) {
        if (ways[i])
            ways[i]->place(&layout, &model->bindings[i]);
    }
    return layout.used;
}

static void fill_all(const struct way *const *ways, struct gram_model *model)
{
    for (size_t i = 0; i < model->ck.desc.n_slots; i++) {
        struct gram_binding *binding = &model->bindings[i];
        if (!ways[i])
            continue;
        gram_pool_for(model->rt->pool, gram_panel_count(binding->weight.rows), CHUNK, ways[i]->fill,
                      binding);
        release_source(model->ck.store, &binding->weight);
    }
}

/* What the block depends on: the checkpoint, and what its linears are repacked to. */
static enum gram_status make_key(char hex[GRAM_SHA256_HEX], const struct way *const *ways,
                                 const struct gram_model *model, struct gram_error *err)
{
    struct gram_sha256 key;

    gram_sha256_init(&key);
    GRAM_TRY(gram_packed_identify(&key, &model->ck, err));
    for (size_t i = 0; i < model->ck.desc.n_slots; i++) {
        const char way = ways[i] == &to_int ? 'i' : ways[i] == &to_float ? 'f' : '-';
        gram_sha256_add(&key, &way, 1);
    }
    gram_sha256_hex(&key, hex);
    return GRAM_OK;
}

static enum gram_status map_new(const struct way *const *ways, struct gram_model *model,
                                struct gram_error *err)
{
    model->packed = gram_arena_take(&model->arena, model->packed_bytes, 1);
    if (!model->packed)
        return gram_fail_memory(err, model->ck.path);
    gram_prefer_large_pages(model->packed, model->packed_bytes);
    place_all(ways, model, model->packed);
    fill_all(ways, model);
    return GRAM_OK;
}

static void warn(const struct gram_runtime *rt, const struct gram_error *why, const char *what)
{
    struct gram_error sentence;

    if (!rt->warn)
        return;
    gram_fail(&sentence, GRAM_OK, "%s%s", why->message, what);
    rt->warn(rt->warn_user, sentence.message);
}

/* Failures here are told and cost time, nothing else. */
static enum gram_status map_cached(const struct way *const *ways, struct gram_model *model,
                                   struct gram_error *err)
{
    char key[GRAM_SHA256_HEX];
    struct gram_error why;

    GRAM_TRY(make_key(key, ways, model, err));
    if (gram_packed_open(&model->packed_file, &model->ck, key, model->packed_bytes, &why) !=
        GRAM_OK)
        warn(model->rt, &why, "; it is written anew");
    if (model->packed_file) {
        place_all(ways, model, (char *)(uintptr_t)gram_packed_block(model->packed_file));
        return GRAM_OK;
    }
    GRAM_TRY(map_new(ways, model, err));
    if (gram_packed_write(&model->ck, key, model->packed, model->packed_bytes, &why) != GRAM_OK)
        warn(model->rt, &why, "; packed weights are not kept");
    return GRAM_OK;
}

enum gram_status gram_model_pack(struct gram_model *model, struct gram_error *err)
{
    const struct way **ways = gram_arena_take(&model->arena, model->ck.desc.n_slots, sizeof *ways);

    if (!ways)
        return gram_fail_memory(err, model->ck.path);
    GRAM_TRY(choose_ways(ways, model, err));
    model->packed_bytes = place_all(ways, model, NULL);
    if (model->packed_bytes == 0)
        return GRAM_OK;
    return model->rt->cache_packed ? map_cached(ways, model, err) : map_new(ways, model, err);
}

void gram_model_unpack(struct gram_model *model)
{
    gram_file_close(&model->packed_file);
}
