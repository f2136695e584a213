/* Which architecture a config.json names, and its numbers, read by table and checked. */
#include "arch/arch.h"

#include <inttypes.h>
#include <string.h>

#include "arch/arch_slots.h"
#include "base/buf.h"

static const struct gram_arch *const archs[] = {
    &gram_arch_llama,
    &gram_arch_mistral,
    &gram_arch_qwen2,
    &gram_arch_qwen3,
    &gram_arch_gpt2,
    &gram_arch_bert,
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

const char *gram_arch_name(const struct gram_arch *arch)
{
    return arch->name;
}

static enum gram_status unknown(const char *what, const char *where, struct gram_error *err)
{
    struct gram_buf known = {0};
    for (int i = 0; i < N_ARCHS; i++)
        gram_buf_printf(&known, "%s%s", i ? ", " : "", archs[i]->hf_class);
    gram_fail(err, GRAM_EUNSUPPORTED, "%s: architecture '%s' is not one that gram knows (%s)", where,
              what, known.at ? known.at : "");
    gram_buf_reset(&known);
    return GRAM_EUNSUPPORTED;
}

/* architectures[0] where it exists, else model_type. */
static enum gram_status find_arch(const struct gram_arch **out, const json_t *config,
                                  const char *where, struct gram_error *err)
{
    const json_t *classes = json_object_get(config, "architectures");
    const json_t *first = json_array_get(classes, 0);
    const char *model_type;

    if (first && !json_is_string(first))
        return gram_fail(err, GRAM_EFORMAT, "%s: architectures[0] is not a string", where);
    GRAM_TRY(gram_json_str(config, "model_type", NULL, &model_type, where, err));
    if (!first && !model_type)
        return gram_fail(err, GRAM_EFORMAT, "%s: neither architectures nor model_type is there",
                         where);
    for (int i = 0; i < N_ARCHS; i++) {
        if (first ? strcmp(archs[i]->hf_class, json_string_value(first)) == 0
                  : strcmp(archs[i]->model_type, model_type) == 0) {
            *out = archs[i];
            return GRAM_OK;
        }
    }
    return unknown(first ? json_string_value(first) : model_type, where, err);
}

static enum gram_status read_key(struct gram_hparams *hp, const struct gram_config_key *key,
                                 const json_t *config, const char *where, struct gram_error *err)
{
    void *field = (char *)hp + key->offset;

    if (key->required && !gram_json_has(config, key->key))
        return gram_fail(err, GRAM_EFORMAT, "%s: %s is missing", where, key->key);
    switch (key->type) {
    case GRAM_KEY_INT:
        return gram_json_int(config, key->key, (int64_t)key->low, (int64_t)key->high,
                             (int64_t)key->fallback, field, where, err);
    case GRAM_KEY_REAL:
        return gram_json_real(config, key->key, key->low, key->high, key->fallback, field, where,
                              err);
    case GRAM_KEY_BOOL:
        return gram_json_bool(config, key->key, key->fallback != 0, field, where, err);
    }
    return GRAM_OK;
}

static enum gram_status derive_heads(struct gram_hparams *hp, const struct gram_arch *arch,
                                     const char *where, struct gram_error *err)
{
    if (hp->kv_heads == 0)
        hp->kv_heads = hp->heads;
    if (hp->ffn == 0)
        hp->ffn = 4 * hp->hidden;
    if (hp->heads % hp->kv_heads != 0)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: num_key_value_heads %" PRId64
                         " does not divide num_attention_heads %" PRId64,
                         where, hp->kv_heads, hp->heads);
    if (hp->head_dim == 0 && arch->default_head_dim)
        hp->head_dim = arch->default_head_dim;
    if (hp->head_dim == 0 && hp->hidden % hp->heads != 0)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: num_attention_heads %" PRId64 " does not divide hidden_size %" PRId64
                         " and there is no head_dim",
                         where, hp->heads, hp->hidden);
    if (hp->head_dim == 0)
        hp->head_dim = hp->hidden / hp->heads;
    if (hp->head_dim % 2 != 0 && !arch->has_learned_positions)
        return gram_fail(err, GRAM_EFORMAT, "%s: head_dim %" PRId64 " is odd: rotary needs pairs",
                         where, hp->head_dim);
    return GRAM_OK;
}

static enum gram_status read_biases(struct gram_hparams *hp, const struct gram_arch *arch,
                                    const json_t *config, const char *where, struct gram_error *err)
{
    hp->qkv_bias = arch->has_qkv_bias;
    hp->qk_norm = arch->has_qk_norm;
    if (arch->has_attention_bias_key) {
        GRAM_TRY(gram_json_bool(config, "attention_bias", false, &hp->qkv_bias, where, err));
        hp->output_bias = hp->qkv_bias;
    }
    if (arch->has_mlp_bias_key)
        GRAM_TRY(gram_json_bool(config, "mlp_bias", false, &hp->mlp_bias, where, err));
    return GRAM_OK;
}

/* layer_types, one word per layer, where newer configs have it. */
static enum gram_status read_layer_types(const struct gram_hparams *hp, bool *windowed,
                                         const json_t *types, const char *where,
                                         struct gram_error *err)
{
    if (!json_is_array(types) || (int64_t)json_array_size(types) != hp->layers)
        return gram_fail(err, GRAM_EFORMAT, "%s: layer_types must name each of the %" PRId64
                         " layers", where, hp->layers);
    for (int64_t i = 0; i < hp->layers; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        windowed[i] = type && strcmp(type, "sliding_attention") == 0;
        if (!windowed[i] && (!type || strcmp(type, "full_attention") != 0))
            return gram_fail(err, GRAM_EUNSUPPORTED, "%s: layer_types[%" PRId64
                             "] is '%s', neither full_attention nor sliding_attention", where, i,
                             type ? type : "(not a string)");
    }
    return GRAM_OK;
}

static enum gram_status read_window(struct gram_hparams *hp, const struct gram_arch *arch,
                                    const json_t *config, const char *where,
                                    struct gram_arena *arena, struct gram_error *err)
{
    const json_t *types = json_object_get(config, "layer_types");
    bool *windowed = gram_arena_take(arena, (size_t)hp->layers, sizeof *windowed);
    bool is_used = arch->window == GRAM_WINDOW_ALL;
    int64_t first = 0;

    if (!windowed)
        return gram_fail_memory(err, where);
    hp->windowed = windowed;
    if (arch->window == GRAM_WINDOW_NEVER)
        return GRAM_OK;
    GRAM_TRY(gram_json_int(config, "sliding_window", 1, 1 << 27, 0, &hp->window, where, err));
    if (arch->window == GRAM_WINDOW_QWEN) {
        GRAM_TRY(gram_json_bool(config, "use_sliding_window", false, &is_used, where, err));
        GRAM_TRY(gram_json_int(config, "max_window_layers", 0, 10000, 28, &first, where, err));
    }
    if (!is_used || hp->window == 0)
        return GRAM_OK;
    if (types && !json_is_null(types))
        return read_layer_types(hp, windowed, types, where, err);
    for (int64_t i = first; i < hp->layers; i++)
        windowed[i] = true;
    return GRAM_OK;
}

/* Names of config.json for the function of an MLP. */
static const struct {
    const char *name;
    bool is_gate;
    enum gram_activation function;
} activations[] = {
    {"silu", true, GRAM_N_ACTIVATION},
    {"swish", true, GRAM_N_ACTIVATION},
    {"gelu", false, GRAM_GELU},
    {"gelu_new", false, GRAM_GELU_TANH},
    {"gelu_pytorch_tanh", false, GRAM_GELU_TANH},
    {"relu", false, GRAM_RELU},
};

static enum gram_status read_activation(struct gram_hparams *hp, const struct gram_arch *arch,
                                        const json_t *config, const char *where,
                                        struct gram_error *err)
{
    const char *key = arch->activation_key ? arch->activation_key : "hidden_act", *name;

    GRAM_TRY(gram_json_str(config, key, arch->has_gated_mlp ? "silu" : "gelu", &name, where, err));
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        if (strcmp(name, activations[i].name) == 0 && activations[i].is_gate == arch->has_gated_mlp) {
            hp->activation = activations[i].function;
            return GRAM_OK;
        }
    }
    return gram_fail(err, GRAM_EUNSUPPORTED, "%s: %s '%s' is not %s", where, key, name,
                     arch->has_gated_mlp ? "silu" : "gelu, gelu_new, gelu_pytorch_tanh or relu");
}

/* Classes: as many as have names. */
static enum gram_status read_labels(struct gram_hparams *hp, const json_t *config,
                                    const char *where, struct gram_error *err)
{
    const json_t *names = json_object_get(config, "id2label");

    if (!names || json_is_null(names))
        return gram_json_int(config, "num_labels", 1, 1 << 20, 2, &hp->labels, where, err);
    if (!json_is_object(names) || json_object_size(names) == 0)
        return gram_fail(err, GRAM_EFORMAT, "%s: id2label is not an object of names", where);
    hp->labels = (int64_t)json_object_size(names);
    return GRAM_OK;
}

static enum gram_status read_positions(struct gram_hparams *hp, const struct gram_arch *arch,
                                       const json_t *config, const char *where,
                                       struct gram_error *err)
{
    hp->is_encoder = arch->is_encoder;
    hp->learned_positions = arch->has_learned_positions;
    return hp->learned_positions ? GRAM_OK
                                 : gram_rope_read(&hp->rope, config, hp->context, where, err);
}

enum gram_status gram_arch_describe(struct gram_model_desc *desc, const json_t *config,
                                    const char *where, struct gram_arena *arena,
                                    struct gram_error *err)
{
    struct gram_hparams *hp = &desc->hp;

    *desc = (struct gram_model_desc){0};
    if (!json_is_object(config))
        return gram_fail(err, GRAM_EFORMAT, "%s: not a JSON object", where);
    GRAM_TRY(find_arch(&desc->arch, config, where, err));
    for (const struct gram_config_key *key = desc->arch->keys; key->key; key++)
        GRAM_TRY(read_key(hp, key, config, where, err));
    GRAM_TRY(derive_heads(hp, desc->arch, where, err));
    GRAM_TRY(read_biases(hp, desc->arch, config, where, err));
    GRAM_TRY(read_window(hp, desc->arch, config, where, arena, err));
    GRAM_TRY(read_activation(hp, desc->arch, config, where, err));
    GRAM_TRY(read_positions(hp, desc->arch, config, where, err));
    if (hp->is_encoder)
        GRAM_TRY(read_labels(hp, config, where, err));
    if (desc->arch->check)
        GRAM_TRY(desc->arch->check(config, where, err));
    return gram_slots_fill(desc, arena, err);
}

enum gram_status gram_arch_build(const struct gram_model_desc *desc, struct gram_graph *graph,
                                 struct gram_error *err)
{
    return desc->arch->build(desc, graph, err);
}
