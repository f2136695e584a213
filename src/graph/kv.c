/* Heads of all layers, each with memory of its own, so that a cache of any capacity grows page by page. */
#include "graph/kv.h"

#include <string.h>

#include "base/half.h"
#include "graph/op.h"

static void *take_bytes(struct gram_kv *kv, int64_t bytes)
{
    return gram_arena_take(&kv->arena, (size_t)bytes, 1);
}

static bool place_head(struct gram_kv *kv, struct gram_kv_head *head, int64_t dim)
{
    const int64_t scales = gram_attend_scales_bytes(kv->kind, kv->capacity);

    head->keys = take_bytes(kv, gram_attend_keys_bytes(kv->kind, kv->capacity, dim));
    head->values = take_bytes(kv, gram_attend_values_bytes(kv->kind, kv->capacity, dim));
    head->key_scales = scales > 0 ? take_bytes(kv, scales) : NULL;
    head->value_scales = scales > 0 ? take_bytes(kv, scales) : NULL;
    return head->keys && head->values && (scales == 0 || (head->key_scales && head->value_scales));
}

static bool place_layer(struct gram_kv *kv, const struct gram_node *node)
{
    struct gram_kv_layer *layer = &kv->layers[node->at.attend.kv_layer];

    layer->n_heads = node->at.attend.kv_heads;
    layer->dim = node->at.attend.head_dim;
    layer->heads = gram_arena_take(&kv->arena, (size_t)layer->n_heads, sizeof *layer->heads);
    if (!layer->heads)
        return false;
    for (int64_t h = 0; h < layer->n_heads; h++) {
        if (!place_head(kv, &layer->heads[h], layer->dim))
            return false;
    }
    return true;
}

/* Layers [0, n_layers), of which those that nodes [first, end) use get memory. */
static enum gram_status open_layers(struct gram_kv *kv, const struct gram_graph *graph, int first, int end,
                                    int n_layers, struct gram_error *err)
{
    kv->n_layers = n_layers;
    kv->layers = gram_arena_take(&kv->arena, (size_t)n_layers, sizeof *kv->layers);
    bool ok = kv->layers != NULL;
    for (int i = first; ok && i < end; i++) {
        const struct gram_node *node = &graph->nodes[i];
        if (node->op->forward == gram_attend_forward && node->at.attend.kv_layer < n_layers)
            ok = place_layer(kv, node);
    }
    if (ok)
        return GRAM_OK;
    gram_kv_close(kv);
    return gram_fail_memory(err, "the cache of a session");
}

enum gram_status gram_kv_open(struct gram_kv *kv, const struct gram_graph *graph,
                              enum gram_kv_kind kind, int64_t capacity, struct gram_error *err)
{
    return gram_kv_open_nodes(kv, graph, 0, graph->n_nodes, kind, capacity, err);
}

enum gram_status gram_kv_open_nodes(struct gram_kv *kv, const struct gram_graph *graph, int first, int end,
                                    enum gram_kv_kind kind, int64_t capacity, struct gram_error *err)
{
    *kv = (struct gram_kv){.kind = kind, .capacity = capacity};
    return open_layers(kv, graph, first, end, graph->kv_layers, err);
}

/* Layers are as wide as the first. */
static void share_layer(struct gram_kv *kv, int n_layers)
{
    kv->n_layers = n_layers;
    for (int i = 1; i < n_layers; i++)
        kv->layers[i] = kv->layers[0];
}

enum gram_status gram_kv_open_shared(struct gram_kv *kv, const struct gram_graph *graph,
                                     enum gram_kv_kind kind, int64_t capacity,
                                     struct gram_error *err)
{
    *kv = (struct gram_kv){.kind = kind, .capacity = capacity};
    GRAM_TRY(open_layers(kv, graph, 0, graph->n_nodes, 1, err));
    const struct gram_kv_layer one = kv->layers[0];
    kv->layers = gram_arena_take(&kv->arena, (size_t)graph->kv_layers, sizeof *kv->layers);
    if (!kv->layers) {
        gram_kv_close(kv);
        return gram_fail_memory(err, "the cache of a pass");
    }
    kv->layers[0] = one;
    share_layer(kv, graph->kv_layers);
    return GRAM_OK;
}

enum gram_status gram_kv_view_open(struct gram_kv *view, const struct gram_kv *shared,
                                   struct gram_error *err)
{
    const struct gram_kv_layer *layer = &shared->layers[0];

    *view = (struct gram_kv){.kind = shared->kind};
    view->layers = gram_arena_take(&view->arena, (size_t)shared->n_layers, sizeof *view->layers);
    struct gram_kv_head *heads =
        gram_arena_take(&view->arena, (size_t)layer->n_heads, sizeof *heads);
    if (!view->layers || !heads) {
        gram_kv_close(view);
        return gram_fail_memory(err, "the cache of a pass");
    }
    view->layers[0] = (struct gram_kv_layer){layer->n_heads, layer->dim, heads};
    share_layer(view, shared->n_layers);
    return GRAM_OK;
}

void gram_kv_view_move(struct gram_kv *view, const struct gram_kv *shared, int64_t first,
                       int64_t capacity)
{
    const struct gram_kv_layer *layer = &shared->layers[0];

    GRAM_ASSERT(first % GRAM_PANEL == 0 && capacity <= shared->capacity - first);
    view->capacity = capacity;
    for (int64_t h = 0; h < layer->n_heads; h++) {
        const struct gram_kv_head *from = &layer->heads[h];
        view->layers[0].heads[h] = (struct gram_kv_head){
            .keys = (char *)from->keys + gram_attend_keys_bytes(shared->kind, first, layer->dim),
            .values =
                (char *)from->values + gram_attend_values_bytes(shared->kind, first, layer->dim),
            .key_scales = from->key_scales ? from->key_scales + first : NULL,
            .value_scales = from->value_scales ? from->value_scales + first : NULL,
        };
    }
}

void gram_kv_close(struct gram_kv *kv)
{
    gram_arena_reset(&kv->arena);
    *kv = (struct gram_kv){0};
}

/* The last panel of keys is copied whole: what lies behind the last key is never used. */
static void copy_head(const struct gram_kv_head *to, const struct gram_kv_head *from,
                      enum gram_kv_kind kind, int64_t dim, int64_t length)
{
    const size_t scales = (size_t)gram_attend_scales_bytes(kind, length);

    memcpy(to->keys, from->keys, (size_t)gram_attend_keys_bytes(kind, length, dim));
    memcpy(to->values, from->values, (size_t)gram_attend_values_bytes(kind, length, dim));
    if (scales > 0) {
        memcpy(to->key_scales, from->key_scales, scales);
        memcpy(to->value_scales, from->value_scales, scales);
    }
}

void gram_kv_copy(struct gram_kv *to, const struct gram_kv *from, int64_t length)
{
    GRAM_ASSERT(to->kind == from->kind && to->n_layers == from->n_layers);
    GRAM_ASSERT(length <= to->capacity && length <= from->capacity);
    for (int i = 0; i < to->n_layers; i++) {
        const struct gram_kv_layer *layer = &from->layers[i];
        for (int64_t h = 0; h < layer->n_heads; h++)
            copy_head(&to->layers[i].heads[h], &layer->heads[h], to->kind, layer->dim, length);
    }
}

static float element(const void *from, enum gram_kv_kind kind, int64_t i)
{
    return kind == GRAM_KV_I8    ? (float)((const int8_t *)from)[i]
           : kind == GRAM_KV_F16 ? gram_f32_from_f16(((const uint16_t *)from)[i])
                                 : ((const float *)from)[i];
}

void gram_kv_read(const struct gram_kv_head *head, enum gram_kv_kind kind, int64_t dim, int64_t n,
                  float *k, float *v)
{
    const int64_t width = gram_attend_width(dim);

    for (int64_t t = 0; t < n; t++) {
        const float k_scale = head->key_scales ? head->key_scales[t] : 1.0f;
        const float v_scale = head->value_scales ? head->value_scales[t] : 1.0f;
        const int64_t panel = t / GRAM_PANEL * dim;
        for (int64_t d = 0; d < dim; d++) {
            k[t * dim + d] =
                k_scale * element(head->keys, kind, (panel + d) * GRAM_PANEL + t % GRAM_PANEL);
            v[t * dim + d] = v_scale * element(head->values, kind, t * width + d);
        }
    }
}
