/* Reading PEFT's LoRA. */
#include "engine/adapter.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "formats/store.h"
#include "tensor/dtype.h"

double gram_lora_scale(const struct gram_lora *lora, const struct gram_lora_pair *pair)
{
    const double rank = (double)pair->rank;
    return lora->alpha / (lora->is_rslora ? sqrt(rank) : rank);
}

void gram_lora_reset(struct gram_lora *lora)
{
    gram_arena_reset(&lora->arena);
    *lora = (struct gram_lora){0};
}

void gram_lora_adapters(const struct gram_lora *lora, const struct gram_model_desc *desc,
                        int first_param, struct gram_adapter *out)
{
    for (size_t i = 0; i < lora->n_pairs; i++) {
        const struct gram_lora_pair *pair = &lora->pairs[i];
        out[i] = (struct gram_adapter){.weight = (int)(pair->slot - desc->slots),
                                       .a = first_param + 2 * (int)i,
                                       .b = first_param + 2 * (int)i + 1,
                                       .rank = pair->rank,
                                       .scale = (float)gram_lora_scale(lora, pair)};
    }
}

/* ---- adapter_config.json ---- */

/* Keys that change what the pairs mean, and the only values of theirs that leave it alone. */
static bool is_set(const json_t *value)
{
    const bool is_empty = (json_is_array(value) && json_array_size(value) == 0) ||
                          (json_is_object(value) && json_object_size(value) == 0) ||
                          (json_is_string(value) && strcmp(json_string_value(value), "none") == 0);
    return value && !json_is_null(value) && !json_is_false(value) && !is_empty;
}

static enum gram_status check_config(const json_t *config, const char *where,
                                     struct gram_error *err)
{
    static const char *const strange[] = {
        "use_dora",
        "use_qalora",
        "lora_bias",
        "layer_replication",
        "bias",
        "alpha_pattern",
        "target_parameters",
        "trainable_token_indices",
        "modules_to_save",
        "fan_in_fan_out",
        "megatron_config",
    };
    const char *type;

    GRAM_TRY(gram_json_str(config, "peft_type", "", &type, where, err));
    if (strcmp(type, "LORA") != 0)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: peft_type is '%s', only LORA is supported",
                         where, type);
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        if (is_set(json_object_get(config, strange[i])))
            return gram_fail(err, GRAM_EUNSUPPORTED, "%s: %s is set, which is not supported", where,
                             strange[i]);
    return GRAM_OK;
}

static enum gram_status read_config(struct gram_lora *lora, const char *where,
                                    struct gram_error *err)
{
    json_t *config = NULL;
    enum gram_status status = gram_json_load(&config, where, err);

    if (status == GRAM_OK && !json_is_object(config))
        status = gram_fail(err, GRAM_EFORMAT, "%s: not an object", where);
    if (status == GRAM_OK)
        status = check_config(config, where, err);
    if (status == GRAM_OK)
        status = gram_json_int(config, "r", 1, 1 << 16, 8, &lora->rank, where, err);
    if (status == GRAM_OK)
        status = gram_json_real(config, "lora_alpha", 0.0, 1e9, 8.0, &lora->alpha, where, err);
    if (status == GRAM_OK)
        status = gram_json_bool(config, "use_rslora", false, &lora->is_rslora, where, err);
    json_decref(config);
    return status;
}

/* ---- adapter_model.safetensors ---- */

/* "base_model.model.<module>.lora_A.weight"; NULL if it is not there. */
static const struct gram_tensor *find_half(const struct gram_store *store, const char *module,
                                           const char *half)
{
    char name[512];
    snprintf(name, sizeof name, "base_model.model.%s.%s.weight", module, half);
    return gram_store_find(store, name);
}

static enum gram_status check_half(const struct gram_tensor *t, int64_t rows, int64_t cols,
                                   const char *path, struct gram_error *err)
{
    if (t->rank == 2 && t->shape[0] == rows && t->shape[1] == cols &&
        gram_dtype_info(t->dtype)->is_float)
        return GRAM_OK;
    return gram_fail(err, GRAM_EFORMAT,
                     "%s: '%s' must be a floating matrix of shape [%" PRId64 ", %" PRId64 "]", path,
                     t->name, rows, cols);
}

static float *copy_half(struct gram_lora *lora, const struct gram_tensor *t)
{
    float *to = gram_arena_take(&lora->arena, (size_t)t->count, sizeof *to);
    if (to)
        gram_read_f32(to, t->data, t->dtype, 0, t->count);
    return to;
}

static enum gram_status read_pair(struct gram_lora *lora, const struct gram_weight_slot *slot,
                                  const struct gram_tensor *a, const struct gram_tensor *b,
                                  const char *path, struct gram_error *err)
{
    struct gram_lora_pair *pair = &lora->pairs[lora->n_pairs];

    if (!a || !b)
        return gram_fail(err, GRAM_EFORMAT, "%s: %s has only one half of its pair", path,
                         slot->module);
    const int64_t rank = a->rank == 2 ? a->shape[0] : 0;
    if (rank < 1)
        return gram_fail(err, GRAM_EFORMAT, "%s: '%s' must be a matrix with a row per rank", path,
                         a->name);
    GRAM_TRY(check_half(a, rank, slot->cols, path, err));
    GRAM_TRY(check_half(b, slot->rows, rank, path, err));
    *pair = (struct gram_lora_pair){slot, rank, copy_half(lora, a), copy_half(lora, b)};
    if (!pair->a || !pair->b)
        return gram_fail_memory(err, path);
    lora->n_pairs++;
    return GRAM_OK;
}

static enum gram_status read_pairs(struct gram_lora *lora, const struct gram_model_desc *desc,
                                   const struct gram_store *store, const char *path,
                                   struct gram_error *err)
{
    lora->pairs = gram_arena_take(&lora->arena, desc->n_slots, sizeof *lora->pairs);
    if (!lora->pairs)
        return gram_fail_memory(err, path);
    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind != GRAM_KIND_LINEAR && slot->kind != GRAM_KIND_LM_HEAD)
            continue;
        const struct gram_tensor *a = find_half(store, slot->module, "lora_A");
        const struct gram_tensor *b = find_half(store, slot->module, "lora_B");
        if (a || b)
            GRAM_TRY(read_pair(lora, slot, a, b, path, err));
    }
    if (2 * lora->n_pairs == gram_store_count(store))
        return GRAM_OK;
    return gram_fail(
        err, GRAM_EUNSUPPORTED,
        "%s: holds %zu tensors, but only %zu are halves of pairs for linears of this model", path,
        gram_store_count(store), 2 * lora->n_pairs);
}

static enum gram_status read_weights(struct gram_lora *lora, const struct gram_model_desc *desc,
                                     const char *path, struct gram_error *err)
{
    struct gram_store *store = NULL;
    enum gram_status status = gram_store_open(&store, path, err);

    if (status == GRAM_OK)
        status = read_pairs(lora, desc, store, path, err);
    gram_store_close(&store);
    return status;
}

enum gram_status gram_lora_read(struct gram_lora *lora, const struct gram_model_desc *desc,
                                const char *path, struct gram_error *err)
{
    char *config = gram_path_join(path, "adapter_config.json");
    char *weights = gram_path_join(path, "adapter_model.safetensors");
    enum gram_status status =
        config && weights ? GRAM_OK : gram_fail_memory(err, "the paths of an adapter");

    *lora = (struct gram_lora){0};
    if (status == GRAM_OK)
        status = read_config(lora, config, err);
    if (status == GRAM_OK)
        status = read_weights(lora, desc, weights, err);
    free(config);
    free(weights);
    return status;
}
