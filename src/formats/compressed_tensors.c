/*
 * Reading quantization_config: which linears are quantized, and how. Whatever would change the
 * result and is not known here is refused by name; nothing is ignored in silence.
 */
#include "formats/compressed_tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats/compressed_targets.h"

enum { MAX_GROUPS = 10000 };

/* The last ones may stand for the whole file only: the groups then name their own, or none is
 * packed. Which tensors a linear has says the rest. */
static const char *const formats_read[] = {"pack-quantized",  "int-quantized", "naive-quantized",
                                           "float-quantized", "mixed-precision", "dense",
                                           "fakequant"};

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, list[i]) == 0)
            return true;
    }
    return false;
}

/* "a.b" of nested keys, for messages: "config.json: config_groups.group_0.weights". */
struct place {
    char text[512];
};

static struct place below(const char *where, const char *group, const char *key)
{
    struct place place;
    snprintf(place.text, sizeof place.text, "%s: config_groups.%s%s%s", where, group,
             key[0] ? "." : "", key);
    return place;
}

static enum gram_status get_object(const json_t *parent, const char *key, const json_t **out,
                                   const char *where, struct gram_error *err)
{
    *out = json_object_get(parent, key);
    if (!*out || json_is_null(*out)) {
        *out = NULL;
        return GRAM_OK;
    }
    if (!json_is_object(*out))
        return gram_fail(err, GRAM_EFORMAT, "%s: %s: expected an object", where, key);
    return GRAM_OK;
}

static enum gram_status unsupported(const char *where, const char *key, const char *value,
                                    const char *known, struct gram_error *err)
{
    return gram_fail(err, GRAM_EUNSUPPORTED, "%s: %s '%s' is not read; only %s is", where, key,
                     value, known);
}

/* How values are coded: the part of QuantArgs that weights and activations share. */
struct quant_args {
    int bits;
    bool is_float;
    bool symmetric;
    const char *strategy;
    int64_t group;
};

static enum gram_status read_args(const json_t *args, struct quant_args *out, const char *where,
                                  struct gram_error *err)
{
    const char *type;
    int64_t bits;

    GRAM_TRY(gram_json_str(args, "type", "int", &type, where, err));
    out->is_float = strcmp(type, "float") == 0;
    if (!out->is_float && strcmp(type, "int") != 0)
        return unsupported(where, "type", type, "int or float", err);
    GRAM_TRY(gram_json_int(args, "num_bits", 1, 32, 8, &bits, where, err));
    GRAM_TRY(gram_json_bool(args, "symmetric", true, &out->symmetric, where, err));
    GRAM_TRY(gram_json_int(args, "group_size", -1, INT32_MAX, 0, &out->group, where, err));
    if (gram_json_has(args, "group_size") && out->group == 0)
        return gram_fail(err, GRAM_EFORMAT, "%s: group_size is 0, must be -1 or positive", where);
    const char *implied = out->group > 0 ? "group" : out->group < 0 ? "channel" : "tensor";
    GRAM_TRY(gram_json_str(args, "strategy", implied, &out->strategy, where, err));
    out->bits = (int)bits;
    return GRAM_OK;
}

static enum gram_status read_granularity(const struct quant_args *args,
                                         struct gram_compressed_group *group, const char *where,
                                         struct gram_error *err)
{
    static const char *const names[] = {
        [GRAM_PER_TENSOR] = "tensor", [GRAM_PER_CHANNEL] = "channel", [GRAM_PER_GROUP] = "group"};

    for (int i = 0; i <= GRAM_PER_GROUP; i++) {
        if (strcmp(args->strategy, names[i]) != 0)
            continue;
        group->granularity = (enum gram_granularity)i;
        group->group = args->group;
        if (i == GRAM_PER_GROUP && args->group <= 0)
            return gram_fail(err, GRAM_EFORMAT, "%s: strategy group without a group_size", where);
        if (i != GRAM_PER_GROUP && args->group > 0)
            return gram_fail(err, GRAM_EFORMAT, "%s: strategy %s with group_size %" PRId64, where,
                             args->strategy, args->group);
        return GRAM_OK;
    }
    return unsupported(where, "strategy", args->strategy, "tensor, channel or group", err);
}

/* actorder "weight" (alias "static", or false) leaves the layout as it is; "group" permutes
 * columns. */
static enum gram_status check_actorder(const json_t *args, const char *where,
                                       struct gram_error *err)
{
    const json_t *order = json_object_get(args, "actorder");
    if (!order || json_is_null(order) || json_is_false(order))
        return GRAM_OK;
    const char *name = json_is_true(order) ? "group" : json_string_value(order);
    if (!name)
        return gram_fail(err, GRAM_EFORMAT, "%s: actorder: expected a string", where);
    if (strcmp(name, "weight") == 0 || strcmp(name, "static") == 0)
        return GRAM_OK;
    return unsupported(where, "actorder", name, "weight", err);
}

static enum gram_status read_weights(const json_t *args, struct gram_compressed_group *group,
                                     const char *where, struct gram_error *err)
{
    struct quant_args q;
    bool dynamic;

    GRAM_TRY(read_args(args, &q, where, err));
    if (q.bits < 2 || q.bits == 7 || q.bits > 8)
        return gram_fail(err, q.bits > 8 ? GRAM_EFORMAT : GRAM_EUNSUPPORTED,
                         "%s: num_bits is %d; 2, 3, 4, 5, 6 and 8 are read", where, q.bits);
    GRAM_TRY(gram_json_bool(args, "dynamic", false, &dynamic, where, err));
    if (dynamic)
        return gram_fail(err, GRAM_EFORMAT, "%s: dynamic weights are not stored weights", where);
    if (q.is_float && (q.bits != 8 || !q.symmetric))
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: of float weights only symmetric ones of 8 bits are read", where);
    GRAM_TRY(check_actorder(args, where, err));
    GRAM_TRY(read_granularity(&q, group, where, err));
    group->bits = q.bits;
    group->is_float = q.is_float;
    group->symmetric = q.symmetric;
    return GRAM_OK;
}

/*
 * int8 per token, found as they come, or by one stored scale. Float activations are computed in f32, which
 * is at least as exact as what they ask for.
 */
static enum gram_status read_activations(const json_t *args, struct gram_compressed_group *group,
                                         const char *where, struct gram_error *err)
{
    struct quant_args q;

    GRAM_TRY(read_args(args, &q, where, err));
    if (q.is_float)
        return GRAM_OK;
    const bool is_dynamic = json_is_true(json_object_get(args, "dynamic"));
    const char *runs = is_dynamic ? "token" : "tensor";
    if (q.bits != 8 || !q.symmetric || strcmp(q.strategy, runs) != 0)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: %s %s activations of %d bits per %s are not run; only "
                         "symmetric ones of 8 bits are, dynamic per token or static per tensor",
                         where, is_dynamic ? "dynamic" : "static",
                         q.symmetric ? "symmetric" : "asymmetric", q.bits, q.strategy);
    group->act_bits = 8;
    group->is_static = !is_dynamic;
    return GRAM_OK;
}

static enum gram_status check_format(const json_t *object, const char *where, const char *fallback,
                                     struct gram_error *err)
{
    const char *format;

    GRAM_TRY(gram_json_str(object, "format", fallback, &format, where, err));
    if (is_one_of(format, formats_read, sizeof formats_read / sizeof formats_read[0]))
        return GRAM_OK;
    return unsupported(where, "format", format, "pack-quantized, int-quantized or naive-quantized",
                       err);
}

static enum gram_status read_group(const char *name, const json_t *object,
                                   struct gram_compressed *ct, struct gram_arena *arena,
                                   struct gram_error *err)
{
    const char *where = ct->where;
    struct gram_compressed_group *group = gram_arena_take(arena, 1, sizeof *group);
    const struct place here = below(where, name, "");
    const struct place weights_at = below(where, name, "weights");
    const struct place inputs_at = below(where, name, "input_activations");
    const json_t *weights, *inputs, *outputs;

    if (!json_is_object(object))
        return gram_fail(err, json_is_array(object) ? GRAM_EUNSUPPORTED : GRAM_EFORMAT,
                         "%s: expected an object (preset names with a list are not read)",
                         here.text);
    if (!group)
        return gram_fail_memory(err, where);
    GRAM_TRY(get_object(object, "weights", &weights, here.text, err));
    GRAM_TRY(get_object(object, "input_activations", &inputs, here.text, err));
    GRAM_TRY(get_object(object, "output_activations", &outputs, here.text, err));
    if (!weights)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: a group without weights is not read",
                         here.text);
    if (outputs)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: output_activations are not run", here.text);
    GRAM_TRY(read_weights(weights, group, weights_at.text, err));
    if (inputs)
        GRAM_TRY(read_activations(inputs, group, inputs_at.text, err));
    GRAM_TRY(check_format(object, here.text, formats_read[0], err));
    return gram_targets_add(ct, json_object_get(object, "targets"), group, arena, here.text, err);
}

/* "0.17.1" is before 0.18; anything that is not two numbers counts as new. */
static bool packs_sparsely(const char *version)
{
    if (strncmp(version, "0.", 2) != 0 || version[2] < '0' || version[2] > '9')
        return false;
    int minor = 0;
    for (const char *at = version + 2; *at >= '0' && *at <= '9' && minor < 18; at++)
        minor = 10 * minor + (*at - '0');
    return minor < 18;
}

/* Keys that change what the weights mean and that gram does not know. */
static enum gram_status check_extras(const json_t *config, const char *where,
                                     struct gram_error *err)
{
    const json_t *extra;

    GRAM_TRY(get_object(config, "kv_cache_scheme", &extra, where, err));
    if (extra)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: kv_cache_scheme: a quantized cache is not run", where);
    GRAM_TRY(get_object(config, "transform_config", &extra, where, err));
    if (extra && json_object_size(extra) > 0)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: transform_config is not read", where);
    GRAM_TRY(get_object(config, "sparsity_config", &extra, where, err));
    const char *format = extra ? json_string_value(json_object_get(extra, "format")) : NULL;
    if (format && strcmp(format, "dense") != 0)
        return unsupported(where, "sparsity_config.format", format, "dense", err);
    return GRAM_OK;
}

static enum gram_status read_groups(struct gram_compressed *ct, const json_t *groups,
                                    struct gram_arena *arena, struct gram_error *err)
{
    const char *name;
    json_t *group;

    GRAM_TRY(gram_targets_start(ct, groups, arena, err));
    json_object_foreach((json_t *)(uintptr_t)groups, name, group)
        GRAM_TRY(read_group(name, group, ct, arena, err));
    gram_targets_finish(ct);
    return GRAM_OK;
}

enum gram_status gram_compressed_open(const json_t *config, const char *where,
                                      struct gram_arena *arena, void **state,
                                      struct gram_error *err)
{
    const json_t *groups;
    const char *version;

    *state = NULL;
    if (!json_is_object(config))
        return gram_fail(err, GRAM_EFORMAT, "%s: quantization_config: expected an object", where);
    GRAM_TRY(check_format(config, where, formats_read[0], err));
    GRAM_TRY(gram_json_str(config, "version", "", &version, where, err));
    GRAM_TRY(check_extras(config, where, err));
    GRAM_TRY(get_object(config, "config_groups", &groups, where, err));
    const size_t n = groups ? json_object_size(groups) : 0;
    if (n == 0 || n > MAX_GROUPS)
        return gram_fail(err, GRAM_EFORMAT, "%s: config_groups: expected 1 to %d groups, found %zu",
                         where, MAX_GROUPS, n);
    struct gram_compressed *ct = gram_arena_take(arena, 1, sizeof *ct);
    if (!ct || !(ct->where = gram_arena_str(arena, where)))
        return gram_fail_memory(err, where);
    ct->sparse_packing = packs_sparsely(version);
    GRAM_TRY(read_groups(ct, groups, arena, err));
    *state = ct;
    return GRAM_OK;
}
