#include "engine/adapter_config.h"

#include <string.h>

#include "base/buf.h"
#include "base/pattern.h"

enum { MOST_RANK = 1 << 16 };
static const double most_alpha = 1e9;

/* ---- what is not supported ---- */

static bool is_set(const json_t *value)
{
    const bool is_empty = (json_is_array(value) && json_array_size(value) == 0) ||
                          (json_is_object(value) && json_object_size(value) == 0) ||
                          (json_is_string(value) && strcmp(json_string_value(value), "none") == 0);
    return value && !json_is_null(value) && !json_is_false(value) && !is_empty;
}

/* Keys that change what the pairs mean, when they are set. fan_in_fan_out does not: it says how the
 * base stores its weights, and pairs are stored the same way in either case. */
static enum gram_status check_keys(const json_t *root, const char *where, struct gram_error *err)
{
    static const struct {
        const char *key, *why;
    } strange[] = {
        {"modules_to_save", "modules that were trained whole are not read; train pairs alone"},
        {"use_dora", "magnitudes (DoRA) are not supported"},
        {"bias", "trained biases are not supported; train with bias 'none'"},
        {"lora_bias", "biases of pairs are not supported"},
        {"layer_replication", "layers that stand more than once are not supported"},
        {"target_parameters", "pairs for parameters that are no linears are not supported"},
        {"trainable_token_indices", "trained tokens are not supported"},
        {"megatron_config", "Megatron's parallel linears are not supported"},
        {"alora_invocation_tokens", "adapters that begin at a token (aLoRA) are not supported"},
        {"arrow_config", "routed adapters (Arrow) are not supported"},
    };

    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        if (is_set(json_object_get(root, strange[i].key)))
            return gram_fail(err, GRAM_EUNSUPPORTED, "%s: %s is set: %s", where, strange[i].key,
                             strange[i].why);
    return GRAM_OK;
}

/* These leave a base that is not the one of the hub. */
static enum gram_status check_beginning(const json_t *root, const char *where,
                                        struct gram_error *err)
{
    static const char *const changing[] = {"pissa", "olora", "corda", "loftq"};
    const char *begun = json_string_value(json_object_get(root, "init_lora_weights"));

    for (size_t i = 0; begun && i < sizeof changing / sizeof changing[0]; i++)
        if (strncmp(begun, changing[i], strlen(changing[i])) == 0)
            return gram_fail(
                err, GRAM_EUNSUPPORTED,
                "%s: init_lora_weights is '%s', which changes the base; save the adapter with "
                "path_initial_model_for_weight_conversion",
                where, begun);
    return GRAM_OK;
}

/* ---- reading ---- */

static enum gram_status check_patterns(const json_t *root, const char *key, double high,
                                       const char *where, struct gram_error *err)
{
    json_t *patterns = json_object_get(root, key), *value;
    const char *name;

    if (!patterns || json_is_null(patterns))
        return GRAM_OK;
    if (!json_is_object(patterns))
        return gram_fail(err, GRAM_EFORMAT, "%s: %s is not an object", where, key);
    json_object_foreach(patterns, name, value)
    {
        const double x = json_number_value(value);
        if (!(x > 0.0 && x <= high))
            return gram_fail(err, GRAM_EFORMAT,
                             "%s: %s of '%s' must be a number above 0 and at most %g", where, key,
                             name, high);
    }
    return GRAM_OK;
}

static enum gram_status check_targets(const json_t *root, const char *where, struct gram_error *err)
{
    const json_t *targets = json_object_get(root, "target_modules");

    for (size_t i = 0; json_is_array(targets) && i < json_array_size(targets); i++)
        if (!json_is_string(json_array_get(targets, i)))
            return gram_fail(err, GRAM_EFORMAT, "%s: target_modules: entry %zu is not a name",
                             where, i);
    if (targets && !json_is_null(targets) && !json_is_array(targets) && !json_is_string(targets))
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: target_modules must be a list of names or a pattern", where);
    return GRAM_OK;
}

static enum gram_status check_kind(const json_t *root, const char *where, struct gram_error *err)
{
    const char *type;

    if (!json_is_object(root))
        return gram_fail(err, GRAM_EFORMAT, "%s: not an object", where);
    GRAM_TRY(gram_json_str(root, "peft_type", "", &type, where, err));
    if (strcmp(type, "LORA") != 0)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: peft_type is '%s', only LORA is supported",
                         where, type);
    GRAM_TRY(check_keys(root, where, err));
    GRAM_TRY(check_beginning(root, where, err));
    GRAM_TRY(check_targets(root, where, err));
    GRAM_TRY(check_patterns(root, "rank_pattern", MOST_RANK, where, err));
    return check_patterns(root, "alpha_pattern", most_alpha, where, err);
}

static enum gram_status read_numbers(struct gram_adapter_config *c, struct gram_error *err)
{
    bool is_pooled;

    GRAM_TRY(gram_json_int(c->root, "r", 1, MOST_RANK, 8, &c->rank, c->where, err));
    GRAM_TRY(gram_json_real(c->root, "lora_alpha", 0.0, most_alpha, 8.0, &c->alpha, c->where, err));
    GRAM_TRY(gram_json_bool(c->root, "use_rslora", false, &c->is_rslora, c->where, err));
    GRAM_TRY(gram_json_real(c->root, "lora_dropout", 0.0, 1.0, 0.0, &c->dropout, c->where, err));
    GRAM_TRY(gram_json_bool(c->root, "use_qalora", false, &is_pooled, c->where, err));
    if (is_pooled)
        GRAM_TRY(
            gram_json_int(c->root, "qalora_group_size", 1, 1 << 24, 16, &c->group, c->where, err));
    return GRAM_OK;
}

enum gram_status gram_adapter_config_open(struct gram_adapter_config *c, const char *where,
                                          struct gram_error *err)
{
    *c = (struct gram_adapter_config){.where = where};
    GRAM_TRY(gram_json_load(&c->root, where, err));
    GRAM_TRY(check_kind(c->root, where, err));
    return read_numbers(c, err);
}

void gram_adapter_config_close(struct gram_adapter_config *c)
{
    json_decref(c->root);
    *c = (struct gram_adapter_config){0};
}

/* ---- what it says of a module ---- */

static enum gram_status matches(const char *pattern, const char *module, bool *yes,
                                const char *where, struct gram_error *err)
{
    struct gram_arena arena = {0};
    void *compiled;
    enum gram_status status = gram_pattern_compile(&compiled, pattern, &arena, where, err);

    if (status == GRAM_OK)
        status = gram_pattern_match(compiled, module, true, yes, where, err);
    gram_arena_reset(&arena);
    return status;
}

/* "(.*\.)?(key)", as PEFT matches the keys of patterns. */
static enum gram_status matches_end(const char *key, const char *module, bool *yes,
                                    const char *where, struct gram_error *err)
{
    struct gram_buf pattern = {0};

    gram_buf_printf(&pattern, "(.*\\.)?(%s)", key);
    const enum gram_status status = pattern.failed ? gram_fail_memory(err, where)
                                                   : matches(pattern.at, module, yes, where, err);
    gram_buf_reset(&pattern);
    return status;
}

static enum gram_status look_up(const struct gram_adapter_config *c, const char *patterns_key,
                                const char *module, double *out, struct gram_error *err)
{
    json_t *patterns = json_object_get(c->root, patterns_key), *value;
    const char *key;

    json_object_foreach(patterns, key, value)
    {
        bool yes;
        GRAM_TRY(matches_end(key, module, &yes, c->where, err));
        if (yes) {
            *out = json_number_value(value);
            break;
        }
    }
    return GRAM_OK;
}

static bool ends_with(const char *module, const char *name)
{
    const size_t n = strlen(module), m = strlen(name);
    return n >= m && strcmp(module + n - m, name) == 0 && (n == m || module[n - m - 1] == '.');
}

static enum gram_status find_target(const struct gram_adapter_config *c, const char *module,
                                    bool *yes, struct gram_error *err)
{
    const json_t *targets = json_object_get(c->root, "target_modules");
    const char *pattern = json_string_value(targets);

    *yes = !targets || json_is_null(targets) || (pattern && strcmp(pattern, "all-linear") == 0);
    for (size_t i = 0; json_is_array(targets) && i < json_array_size(targets); i++)
        *yes |= ends_with(module, json_string_value(json_array_get(targets, i)));
    return *yes || !pattern ? GRAM_OK : matches(pattern, module, yes, c->where, err);
}

enum gram_status gram_adapter_config_find(const struct gram_adapter_config *c, const char *module,
                                          bool *is_target, int64_t *rank, double *alpha,
                                          struct gram_error *err)
{
    double wanted = (double)c->rank;

    *alpha = c->alpha;
    GRAM_TRY(find_target(c, module, is_target, err));
    GRAM_TRY(look_up(c, "rank_pattern", module, &wanted, err));
    GRAM_TRY(look_up(c, "alpha_pattern", module, alpha, err));
    *rank = (int64_t)wanted;
    return GRAM_OK;
}
