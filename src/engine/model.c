/* Binding a checkpoint to a graph and kernels. */
#include "engine/model.h"

#include <stdlib.h>
#include <string.h>

#include "engine/pack.h"
#include "graph/op.h"
#include "tensor/dtype.h"

/* The scheme of the most linears; the first among equals. */
static void name_scheme(struct gram_model *model)
{
    const struct gram_model_desc *desc = &model->ck.desc;
    size_t most = 0;

    for (size_t i = 0; i < desc->n_slots; i++) {
        char mine[GRAM_SCHEME_NAME], other[GRAM_SCHEME_NAME];
        size_t same = 0;
        if (desc->slots[i].kind != GRAM_KIND_LINEAR || desc->slots[i].layer > 0)
            continue; /* the first block stands for all: recipes by layer keep the majority */
        gram_weight_scheme(mine, &model->bindings[i].weight);
        for (size_t k = 0; k < desc->n_slots; k++) {
            if (desc->slots[k].kind != GRAM_KIND_LINEAR)
                continue;
            gram_weight_scheme(other, &model->bindings[k].weight);
            same += strcmp(mine, other) == 0;
        }
        if (same > most) {
            most = same;
            memcpy(model->scheme, mine, sizeof mine);
        }
    }
}

/* Norms and biases as f32, whatever they are stored in. */
static enum gram_status bind_vector(struct gram_model *model, struct gram_binding *binding,
                                    struct gram_error *err)
{
    const struct gram_weight *w = &binding->weight;
    float *vector = gram_arena_take(&model->arena, (size_t)w->rows, sizeof *vector);
    if (!vector)
        return gram_fail_memory(err, model->ck.path);
    gram_read_f32(vector, w->data, w->dtype, 0, w->rows);
    binding->vector = vector;
    return GRAM_OK;
}

static enum gram_status bind_slots(struct gram_model *model, struct gram_error *err)
{
    const struct gram_model_desc *desc = &model->ck.desc;

    model->bindings = gram_arena_take(&model->arena, desc->n_slots, sizeof *model->bindings);
    if (!model->bindings)
        return gram_fail_memory(err, model->ck.path);
    for (size_t i = 0; i < desc->n_slots; i++) {
        struct gram_binding *binding = &model->bindings[i];
        GRAM_TRY(gram_checkpoint_bind(&model->ck, &desc->slots[i], &model->arena, &binding->weight,
                                      err));
        if (desc->slots[i].kind == GRAM_KIND_VECTOR)
            GRAM_TRY(bind_vector(model, binding, err));
    }
    name_scheme(model);
    return GRAM_OK;
}

static enum gram_status open_parts(struct gram_model *model, const char *path,
                                   struct gram_error *err)
{
    GRAM_TRY(gram_checkpoint_open(&model->ck, path, err));
    GRAM_TRY(gram_arch_build(&model->ck.desc, &model->graph, err));
    GRAM_TRY(bind_slots(model, err));
    return gram_model_pack(model, err);
}

enum gram_status gram_model_open(struct gram_model **out, struct gram_runtime *rt, const char *path,
                                 struct gram_error *err)
{
    *out = NULL;
    struct gram_model *model = calloc(1, sizeof *model);
    if (!model)
        return gram_fail_memory(err, path);
    model->rt = rt;
    gram_kernels_init(&model->kernels, rt->cpu_flags);
    const enum gram_status status = open_parts(model, path, err);
    if (status != GRAM_OK) {
        gram_model_close(&model);
        return status;
    }
    *out = model;
    return GRAM_OK;
}

void gram_model_close(struct gram_model **model)
{
    if (!model || !*model)
        return;
    gram_arena_reset(&(*model)->arena);
    gram_graph_reset(&(*model)->graph);
    if (!(*model)->base) {
        gram_model_unpack(*model);
        gram_checkpoint_reset(&(*model)->ck);
    }
    free(*model);
    *model = NULL;
}

static uint64_t count_parameters(const struct gram_model_desc *desc)
{
    uint64_t parameters = 0;
    for (size_t i = 0; i < desc->n_slots; i++)
        parameters += (uint64_t)desc->slots[i].rows * (uint64_t)desc->slots[i].cols;
    return parameters;
}

/* What one token takes in the linears. */
static void count_work(const struct gram_model *model, struct gram_model_info *info)
{
    const struct gram_graph *g = &model->graph;
    double by_codes = 0;

    for (int i = 0; i < g->n_nodes; i++) {
        const struct gram_node *node = &g->nodes[i];
        if (node->op->forward != gram_linear_forward)
            continue;
        const struct gram_binding *binding = &model->bindings[node->params[0]];
        const double products =
            (double)node->at.linear.out * (double)g->values[node->inputs[0]].cols;
        info->multiply_adds += (uint64_t)products;
        if (binding->int_panels.codes) {
            by_codes += products;
            info->parts = binding->act_parts;
        }
    }
    info->multiplies_codes = 2 * by_codes > (double)info->multiply_adds;
}

void gram_model_info(const struct gram_model *model, struct gram_model_info *info)
{
    const struct gram_hparams *hp = &model->ck.desc.hp;

    *info = (struct gram_model_info){
        .path = model->ck.path,
        .architecture = gram_arch_name(model->ck.desc.arch),
        .scheme = model->scheme,
        .n_layers = hp->layers,
        .hidden = hp->hidden,
        .ffn = hp->ffn,
        .n_heads = hp->heads,
        .n_kv_heads = hp->kv_heads,
        .head_dim = hp->head_dim,
        .vocab = hp->vocab,
        .context = hp->context,
        .parameters = count_parameters(&model->ck.desc),
        .weight_bytes = gram_store_bytes(model->ck.store),
    };
    info->streamed_bytes = model->packed_bytes;
    count_work(model, info);
    info->bits_per_weight = 8.0 * (double)info->weight_bytes / (double)info->parameters;
}
