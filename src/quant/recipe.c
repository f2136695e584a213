/* Reading recipes. */
#include "quant/recipe.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "tensor/dtype.h"

enum { MAX_RULES = 100000, MAX_PATTERN = 512 };

static enum gram_status set_method(struct gram_choosing *out, const char *name, const char *where,
                                   struct gram_error *err)
{
    struct gram_error inner;
    if (gram_method_read(&out->method, &out->options, name, &inner) != GRAM_OK)
        return gram_fail(err, GRAM_EINVAL, "%s%s", where, inner.message);
    return GRAM_OK;
}

static enum gram_status set_scheme(struct gram_scheme *out, const char *name, const char *where,
                                   struct gram_error *err)
{
    struct gram_error inner;
    if (gram_scheme_parse(out, name, &inner) != GRAM_OK)
        return gram_fail(err, GRAM_EINVAL, "%s%s", where, inner.message);
    return GRAM_OK;
}

/* "FILE: rule 3: ", or "rule 3: ". */
struct place {
    char text[512];
};

static struct place rule_at(const char *where, size_t i)
{
    struct place place;
    snprintf(place.text, sizeof place.text, "%s%srule %zu: ", where, where[0] ? ": " : "", i + 1);
    return place;
}

/* A rule without a method gets NULL here and the recipe's when all is read. */
static enum gram_status add_rule(struct gram_recipe *r, const char *pattern, const char *scheme,
                                 const char *method, const struct place *at,
                                 struct gram_arena *arena, struct gram_error *err)
{
    struct gram_rule *rule = &r->rules[r->n_rules];

    if (!pattern || !scheme)
        return gram_fail(err, GRAM_EINVAL, "%sneeds a pattern and a scheme", at->text);
    if (!pattern[0] || strlen(pattern) > MAX_PATTERN)
        return gram_fail(err, GRAM_EINVAL, "%sa pattern has from 1 to %d characters", at->text,
                         MAX_PATTERN);
    *rule = (struct gram_rule){.pattern = gram_arena_str(arena, pattern), .how.options = r->defaults};
    if (!rule->pattern)
        return gram_fail_memory(err, "the recipe");
    GRAM_TRY(set_scheme(&rule->scheme, scheme, at->text, err));
    if (method)
        GRAM_TRY(set_method(&rule->how, method, at->text, err));
    r->n_rules++;
    return GRAM_OK;
}

/* A misspelt key must not be a default taken in silence. */
static enum gram_status check_keys(const json_t *object, const char *const known[],
                                   const char *where, struct gram_error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return gram_fail(err, GRAM_EINVAL, "%s: unknown key '%.64s'", where, key);
    }
    return GRAM_OK;
}

static enum gram_status read_rule(struct gram_recipe *r, const json_t *object, size_t i,
                                  const char *where, struct gram_arena *arena,
                                  struct gram_error *err)
{
    static const char *const known[] = {"pattern", "scheme", "method", NULL};
    const struct place at = rule_at(where, i);
    const char *pattern, *scheme, *method;

    if (!json_is_object(object))
        return gram_fail(err, GRAM_EINVAL, "%sexpected an object", at.text);
    GRAM_TRY(check_keys(object, known, where, err));
    GRAM_TRY(gram_json_str(object, "pattern", NULL, &pattern, where, err));
    GRAM_TRY(gram_json_str(object, "scheme", NULL, &scheme, where, err));
    GRAM_TRY(gram_json_str(object, "method", NULL, &method, where, err));
    return add_rule(r, pattern, scheme, method, &at, arena, err);
}

static enum gram_status read_file(struct gram_recipe *r, const json_t *file, const char *where,
                                  size_t n_more, struct gram_arena *arena, struct gram_error *err)
{
    static const char *const known[] = {"scheme", "method", "rules", NULL};
    const json_t *rules = json_object_get(file, "rules");
    const char *scheme, *method;
    struct place at;

    if (!json_is_object(file))
        return gram_fail(err, GRAM_EINVAL, "%s: a recipe is a JSON object", where);
    if (rules && !json_is_array(rules))
        return gram_fail(err, GRAM_EINVAL, "%s: rules: expected a list", where);
    const size_t n = json_array_size(rules);
    if (n > MAX_RULES || n_more > MAX_RULES)
        return gram_fail(err, GRAM_EINVAL, "%s: more than %d rules", where, MAX_RULES);
    r->rules = gram_arena_take(arena, n + n_more, sizeof *r->rules);
    if (!r->rules)
        return gram_fail_memory(err, "the recipe");
    GRAM_TRY(check_keys(file, known, where, err));
    GRAM_TRY(gram_json_str(file, "scheme", NULL, &scheme, where, err));
    GRAM_TRY(gram_json_str(file, "method", NULL, &method, where, err));
    snprintf(at.text, sizeof at.text, "%s: ", where);
    r->has_scheme = scheme != NULL;
    if (scheme)
        GRAM_TRY(set_scheme(&r->scheme, scheme, at.text, err));
    if (method)
        GRAM_TRY(set_method(&r->how, method, at.text, err));
    for (size_t i = 0; i < n; i++)
        GRAM_TRY(read_rule(r, json_array_get(rules, i), i, where, arena, err));
    return GRAM_OK;
}

static enum gram_status load_file(struct gram_recipe *r,
                                  const struct gram_quantize_options *options,
                                  struct gram_arena *arena, struct gram_error *err)
{
    json_t *file;

    if (options->recipe)
        GRAM_TRY(gram_json_load(&file, options->recipe, err));
    else if (!(file = json_object()))
        return gram_fail_memory(err, "the recipe");
    const enum gram_status status = read_file(r, file, options->recipe ? options->recipe : "recipe",
                                              options->n_rules, arena, err);
    json_decref(file);
    return status;
}

/* What there is before anything is read. */
static enum gram_status start(struct gram_recipe *r, struct gram_error *err)
{
    r->how.options = r->defaults;
    return gram_method_find(&r->how.method, "rtn", err);
}

static void fill_in_methods(struct gram_recipe *r)
{
    for (size_t i = 0; i < r->n_rules; i++) {
        if (!r->rules[i].how.method)
            r->rules[i].how = r->how;
    }
}

enum gram_status gram_recipe_parse(struct gram_recipe *r, const json_t *file, const char *where,
                                   struct gram_arena *arena, struct gram_error *err)
{
    *r = (struct gram_recipe){.scale_dtype = GRAM_N_DTYPE, .defaults = GRAM_METHOD_OPTIONS_INIT};
    GRAM_TRY(start(r, err));
    GRAM_TRY(read_file(r, file, where, 0, arena, err));
    fill_in_methods(r);
    return GRAM_OK;
}

static enum gram_status read_scale_dtype(struct gram_recipe *r, const char *name,
                                         struct gram_error *err)
{
    r->scale_dtype = GRAM_N_DTYPE;
    if (!name)
        return GRAM_OK;
    if (gram_dtype_from_name(&r->scale_dtype, name) &&
        (r->scale_dtype == GRAM_F32 || r->scale_dtype == GRAM_F16 || r->scale_dtype == GRAM_BF16))
        return GRAM_OK;
    return gram_fail(err, GRAM_EINVAL, "scale dtype '%.32s' must be f32, f16 or bf16", name);
}

static struct gram_method_options defaults_of(const struct gram_quantize_options *o)
{
    struct gram_method_options defaults = GRAM_METHOD_OPTIONS_INIT;

    defaults.damping = o->damping;
    defaults.act_order = o->act_order;
    defaults.iterations = o->iterations;
    defaults.seed = o->seed;
    if (o->as_reference) {
        defaults.static_groups = defaults.mse_steps = false;
        defaults.iterations = -1;
    }
    return defaults;
}

enum gram_status gram_recipe_read(struct gram_recipe *r,
                                  const struct gram_quantize_options *options,
                                  struct gram_arena *arena, struct gram_error *err)
{
    *r = (struct gram_recipe){.quantize_lm_head = options->quantize_lm_head,
                              .defaults = defaults_of(options)};
    GRAM_TRY(start(r, err));
    GRAM_TRY(read_scale_dtype(r, options->scale_dtype, err));
    GRAM_TRY(load_file(r, options, arena, err));
    if (options->scheme) {
        GRAM_TRY(set_scheme(&r->scheme, options->scheme, "", err));
        r->has_scheme = true;
    }
    if (options->method) {
        r->how.options = r->defaults;
        GRAM_TRY(set_method(&r->how, options->method, "", err));
    }
    for (size_t i = 0; i < options->n_rules; i++) {
        const struct gram_recipe_rule *rule = &options->rules[i];
        const struct place at = rule_at("", i);
        GRAM_TRY(add_rule(r, rule->pattern, rule->scheme, rule->method, &at, arena, err));
    }
    fill_in_methods(r);
    return GRAM_OK;
}
