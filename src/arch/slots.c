/* The weights that one model must have: the architecture's specs, written out for every layer. */
#include <stdio.h>
#include <string.h>

#include "arch/arch_slots.h"

static int64_t dim_size(const struct gram_hparams *hp, enum gram_dim dim)
{
    const int64_t sizes[] = {
        [GRAM_DIM_ONE] = 1,           [GRAM_DIM_VOCAB] = hp->vocab,
        [GRAM_DIM_HIDDEN] = hp->hidden, [GRAM_DIM_FFN] = hp->ffn,
        [GRAM_DIM_Q] = hp->heads * hp->head_dim,
        [GRAM_DIM_KV] = hp->kv_heads * hp->head_dim, [GRAM_DIM_HEAD] = hp->head_dim,
        [GRAM_DIM_QKV] = (hp->heads + 2 * hp->kv_heads) * hp->head_dim,
        [GRAM_DIM_CONTEXT] = hp->context, [GRAM_DIM_TYPES] = hp->types,
        [GRAM_DIM_LABELS] = hp->labels,
    };
    return sizes[dim];
}

static bool is_present(const struct gram_hparams *hp, enum gram_presence presence)
{
    const bool answers[] = {
        [GRAM_ALWAYS] = true,
        [GRAM_BIAS] = true,
        [GRAM_IF_QKV_BIAS] = hp->qkv_bias,
        [GRAM_IF_OUTPUT_BIAS] = hp->output_bias,
        [GRAM_IF_MLP_BIAS] = hp->mlp_bias,
        [GRAM_IF_QK_NORM] = hp->qk_norm,
        [GRAM_IF_UNTIED] = !hp->tied,
    };
    return answers[presence];
}

/* The pattern with its %d, if any, replaced by the layer, and with `suffix` behind. */
static const char *expand(struct gram_arena *arena, const char *pattern, int layer,
                          const char *suffix)
{
    char name[160];
    const char *mark = strstr(pattern, "%d");

    if (mark)
        snprintf(name, sizeof name, "%.*s%d%s%s", (int)(mark - pattern), pattern, layer, mark + 2,
                 suffix);
    else
        snprintf(name, sizeof name, "%s%s", pattern, suffix);
    return gram_arena_str(arena, name);
}

static bool is_bias(const struct gram_weight_spec *spec)
{
    return spec->presence == GRAM_BIAS || spec->presence == GRAM_IF_QKV_BIAS ||
           spec->presence == GRAM_IF_OUTPUT_BIAS || spec->presence == GRAM_IF_MLP_BIAS;
}

/* Another name that the tensor may have. */
static const char *alias(const struct gram_arch *arch, const struct gram_weight_spec *spec,
                         const struct gram_hparams *hp, const char *tensor)
{
    const size_t n = arch->optional_prefix ? strlen(arch->optional_prefix) : 0;

    if (n > 0 && strncmp(tensor, arch->optional_prefix, n) == 0)
        return tensor + n;
    return spec->role == GRAM_W_EMBED && hp->tied ? "lm_head.weight" : NULL;
}

static bool fill(struct gram_weight_slot *slot, const struct gram_weight_spec *spec, int layer,
                 const struct gram_model_desc *desc, struct gram_arena *arena)
{
    const struct gram_hparams *hp = &desc->hp;

    *slot = (struct gram_weight_slot){
        .role = spec->role,
        .kind = spec->kind,
        .layer = layer,
        .op = expand(arena, spec->op, layer, ""),
        .module = expand(arena, spec->module, layer, ""),
        .tensor = expand(arena, spec->module, layer, is_bias(spec) ? ".bias" : ".weight"),
        .is_transposed = desc->arch->has_transposed_linears && spec->kind == GRAM_KIND_LINEAR,
        .rows = dim_size(hp, spec->rows),
        .cols = dim_size(hp, spec->cols),
    };
    if (slot->tensor)
        slot->alias = alias(desc->arch, spec, hp, slot->tensor);
    return slot->op && slot->module && slot->tensor;
}

static bool is_per_layer(const struct gram_weight_spec *spec)
{
    return strstr(spec->op, "%d") != NULL;
}

/* Specs [first, end) that the model has, for one layer. */
static bool fill_range(struct gram_model_desc *desc, struct gram_weight_slot *slots, size_t first,
                       size_t end, int layer, struct gram_arena *arena)
{
    for (size_t i = first; i < end; i++) {
        const struct gram_weight_spec *spec = &desc->arch->weights[i];
        if (is_present(&desc->hp, spec->presence) &&
            !fill(&slots[desc->n_slots++], spec, layer, desc, arena))
            return false;
    }
    return true;
}

enum gram_status gram_slots_fill(struct gram_model_desc *desc, struct gram_arena *arena,
                                 struct gram_error *err)
{
    const struct gram_arch *arch = desc->arch;
    size_t first = 0, end = arch->n_weights;

    while (!is_per_layer(&arch->weights[first]))
        first++;
    while (!is_per_layer(&arch->weights[end - 1]))
        end--;
    const size_t most = first + (end - first) * (size_t)desc->hp.layers + arch->n_weights - end;
    struct gram_weight_slot *slots = gram_arena_take(arena, most, sizeof *slots);
    bool ok = slots && fill_range(desc, slots, 0, first, -1, arena);
    for (int layer = 0; ok && layer < desc->hp.layers; layer++)
        ok = fill_range(desc, slots, first, end, layer, arena);
    ok = ok && fill_range(desc, slots, end, arch->n_weights, -1, arena);
    desc->slots = slots;
    return ok ? GRAM_OK : gram_fail_memory(err, "the list of weights");
}

/* The head comes last, so that all others keep their places. */
enum gram_status gram_arch_untie(struct gram_model_desc *desc, struct gram_arena *arena,
                                 struct gram_error *err)
{
    const size_t n = desc->n_slots, embed = (size_t)gram_slot_find(desc, GRAM_W_EMBED, -1);
    const struct gram_weight_spec *head = &desc->arch->weights[desc->arch->n_weights - 1];
    struct gram_weight_slot *slots;

    if (!desc->hp.tied)
        return GRAM_OK;
    GRAM_ASSERT(head->role == GRAM_W_LM_HEAD);
    slots = gram_arena_take(arena, n + 1, sizeof *slots);
    if (!slots || !fill(&slots[n], head, -1, desc, arena))
        return gram_fail_memory(err, "the list of weights");
    memcpy(slots, desc->slots, n * sizeof *slots);
    slots[n].alias = slots[embed].tensor;
    desc->slots = slots;
    desc->n_slots = n + 1;
    desc->hp.tied = false;
    return GRAM_OK;
}

int gram_slot_find(const struct gram_model_desc *desc, enum gram_role role, int layer)
{
    for (size_t i = 0; i < desc->n_slots; i++) {
        if (desc->slots[i].role == role && desc->slots[i].layer == layer)
            return (int)i;
    }
    return GRAM_NONE;
}
