#include "train/lora.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/buf.h"
#include "formats/safetensors.h"

/* ---- beginning ---- */

/* "q_proj" of "model.layers.3.self_attn.q_proj" */
static const char *last_part(const char *module)
{
    const char *dot = strrchr(module, '.');
    return dot ? dot + 1 : module;
}

static bool make_pair(struct gram_lora *lora, const struct gram_weight_slot *slot,
                      const struct gram_lora_options *options, struct gram_rng *rng)
{
    struct gram_lora_pair *pair = &lora->pairs[lora->n_pairs++];

    *pair = (struct gram_lora_pair){.slot = slot,
                                    .rank = gram_lora_rank(options, slot),
                                    .alpha = gram_lora_alpha(options, slot)};
    const int64_t inputs = gram_lora_inputs(lora, pair), n = pair->rank * inputs;
    const double bound = 1.0 / sqrt((double)inputs);
    pair->a = gram_arena_take(&lora->arena, (size_t)n, sizeof(float));
    pair->b = gram_arena_take(&lora->arena, (size_t)slot->rows, (size_t)pair->rank * sizeof(float));
    for (int64_t i = 0; pair->a && i < n; i++)
        pair->a[i] = (float)(bound * (2.0 * gram_rng_unit(rng) - 1.0));
    return pair->a && pair->b;
}

enum gram_status gram_lora_make(struct gram_lora *lora, const struct gram_model_desc *desc,
                                const struct gram_lora_options *options, struct gram_error *err)
{
    struct gram_rng rng = {options->seed};

    *lora = (struct gram_lora){.rank = options->rank,
                               .alpha = options->alpha,
                               .is_rslora = options->is_rslora,
                               .group = options->group,
                               .dropout = options->dropout};
    GRAM_TRY(gram_lora_check_options(options, desc, err));
    lora->pairs = gram_arena_take(&lora->arena, desc->n_slots, sizeof *lora->pairs);
    bool ok = lora->pairs != NULL;
    for (size_t i = 0; ok && i < desc->n_slots; i++)
        if (gram_lora_is_target(options, &desc->slots[i]))
            ok = make_pair(lora, &desc->slots[i], options, &rng);
    return ok ? GRAM_OK : gram_fail_memory(err, "a new adapter");
}

/* ---- PEFT's files ---- */

static json_t *list_targets(const struct gram_lora *lora)
{
    json_t *targets = json_array();

    for (size_t i = 0; i < lora->n_pairs; i++) {
        const char *name = last_part(lora->pairs[i].slot->module);
        bool is_there = false;
        for (size_t k = 0; k < json_array_size(targets); k++)
            is_there |= strcmp(json_string_value(json_array_get(targets, k)), name) == 0;
        if (!is_there)
            json_array_append_new(targets, json_string(name));
    }
    return targets;
}

/* What differs from the numbers for all, by the module's whole name; no other name ends with it. */
static json_t *list_differing(const struct gram_lora *lora, bool of_ranks)
{
    json_t *patterns = json_object();

    for (size_t i = 0; i < lora->n_pairs; i++) {
        const struct gram_lora_pair *p = &lora->pairs[i];
        struct gram_buf name = {0};
        for (const char *at = p->slot->module; *at; at++)
            gram_buf_printf(&name, *at == '.' ? "\\%c" : "%c", *at);
        if (of_ranks && p->rank != lora->rank)
            json_object_set_new(patterns, name.at, json_integer((json_int_t)p->rank));
        if (!of_ranks && p->alpha != lora->alpha)
            json_object_set_new(patterns, name.at, json_real(p->alpha));
        gram_buf_reset(&name);
    }
    return patterns;
}

static json_t *print_config(const struct gram_lora *lora, const char *base)
{
    json_t *config = json_pack(
        "{s:s, s:s, s:s?, s:I, s:f, s:f, s:s, s:b, s:b, s:b, s:b, s:b, s:n, s:o, s:o, s:o}", "peft_type",
        "LORA", "task_type", "CAUSAL_LM", "base_model_name_or_path", base, "r", (json_int_t)lora->rank,
        "lora_alpha", lora->alpha, "lora_dropout", lora->dropout, "bias", "none", "fan_in_fan_out", false,
        "inference_mode", true, "init_lora_weights", true, "use_rslora", lora->is_rslora, "use_dora", false,
        "modules_to_save", "target_modules", list_targets(lora), "rank_pattern", list_differing(lora, true),
        "alpha_pattern", list_differing(lora, false));

    if (config && lora->group)
        json_object_update_new(config, json_pack("{s:b, s:I}", "use_qalora", true, "qalora_group_size",
                                                 (json_int_t)lora->group));
    return config;
}

static enum gram_status write_config(struct gram_written *written, const struct gram_output *output,
                                     const struct gram_lora *lora, const char *base,
                                     struct gram_error *err)
{
    json_t *config = print_config(lora, base);
    char *text = config ? json_dumps(config, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    const enum gram_status status =
        text ? gram_sidecar_put(written, output, "adapter_config.json", text, strlen(text), err)
             : gram_fail_memory(err, "adapter_config.json");

    free(text);
    json_decref(config);
    return status;
}

static bool describe_half(struct gram_tensor *t, const struct gram_lora *lora,
                          const struct gram_lora_pair *pair, bool is_b, struct gram_arena *arena)
{
    struct gram_buf name = {0};

    gram_buf_printf(&name, "base_model.model.%s.lora_%c.weight", pair->slot->module, is_b ? 'B' : 'A');
    *t = (struct gram_tensor){.name = name.failed ? NULL : gram_arena_str(arena, name.at),
                              .dtype = GRAM_F32,
                              .rank = 2,
                              .shape = {is_b ? pair->slot->rows : pair->rank,
                                        is_b ? pair->rank : gram_lora_inputs(lora, pair)},
                              .data = is_b ? pair->b : pair->a};
    t->count = t->shape[0] * t->shape[1];
    t->bytes = (uint64_t)t->count * sizeof(float);
    gram_buf_reset(&name);
    return t->name != NULL;
}

static bool assemble(struct gram_buf *file, const struct gram_lora *lora, struct gram_arena *arena)
{
    const size_t n = 2 * lora->n_pairs;
    struct gram_tensor *tensors = gram_arena_take(arena, n, sizeof *tensors);
    bool ok = tensors != NULL;

    for (size_t i = 0; ok && i < n; i++)
        ok = describe_half(&tensors[i], lora, &lora->pairs[i / 2], i % 2 == 1, arena);
    ok = ok && gram_safetensors_header(file, tensors, n);
    for (size_t i = 0; ok && i < n; i++)
        gram_buf_add(file, tensors[i].data, (size_t)tensors[i].bytes);
    return ok && !file->failed;
}

enum gram_status gram_lora_write(struct gram_written *written, const struct gram_output *output,
                                 const struct gram_lora *lora, const char *base,
                                 struct gram_error *err)
{
    struct gram_arena arena = {0};
    struct gram_buf file = {0};
    enum gram_status status = assemble(&file, lora, &arena)
                                  ? gram_sidecar_put(written, output, "adapter_model.safetensors",
                                                     file.at, file.len, err)
                                  : gram_fail_memory(err, "adapter_model.safetensors");

    if (status == GRAM_OK)
        status = write_config(written, output, lora, base, err);
    gram_buf_reset(&file);
    gram_arena_reset(&arena);
    return status;
}
