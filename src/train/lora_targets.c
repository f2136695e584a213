#include "train/lora_targets.h"

#include <string.h>

#include "base/json.h"
#include "base/pattern.h"

enum { MOST_RANK = 1 << 14 };

static bool is_linear(const struct gram_weight_slot *slot)
{
    return slot->kind == GRAM_KIND_LINEAR || slot->kind == GRAM_KIND_LM_HEAD;
}

/* Does the module's name end with these n characters, from a dot on? */
static bool ends_with(const char *module, const char *name, size_t n)
{
    const size_t m = strlen(module);
    return m >= n && strncmp(module + m - n, name, n) == 0 && (m == n || module[m - n - 1] == '.');
}

/* ---- lists between commas ---- */

/* The entry at `list`: its name, and (where there is a '=') its number. */
struct entry {
    const char *name, *number;
    size_t n;
};

static const char *next_entry(const char *list, struct entry *e)
{
    const size_t whole = strcspn(list, ",");

    e->name = list;
    e->n = strcspn(list, ",=");
    e->number = e->n < whole ? list + e->n + 1 : NULL;
    return list[whole] == ',' ? list + whole + 1 : NULL;
}

/* 0 for what is no number. */
static double number_of(const struct entry *e)
{
    json_t *value =
        e->number ? json_loadb(e->number, strcspn(e->number, ","), JSON_DECODE_ANY, NULL) : NULL;
    const double x = json_number_value(value);

    json_decref(value);
    return x;
}

static enum gram_status check_name(const struct entry *e, const struct gram_model_desc *desc,
                                   struct gram_error *err)
{
    for (size_t i = 0; i < desc->n_slots; i++)
        if (is_linear(&desc->slots[i]) && ends_with(desc->slots[i].module, e->name, e->n))
            return GRAM_OK;
    return gram_fail(err, GRAM_EINVAL,
                     "the model has no linear '%.*s'; its linears have names such as 'q_proj' and "
                     "'down_proj'",
                     (int)e->n, e->name);
}

static enum gram_status check_numbers(const char *list, double high,
                                      const struct gram_model_desc *desc, struct gram_error *err)
{
    struct entry e;

    while (list) {
        list = next_entry(list, &e);
        GRAM_TRY(check_name(&e, desc, err));
        const double x = number_of(&e);
        if (!(x > 0.0 && x <= high))
            return gram_fail(err, GRAM_EINVAL,
                             "'%.*s' needs a number above 0 and at most %g, as in q_proj=8",
                             (int)e.n, e.name, high);
    }
    return GRAM_OK;
}

static double find_number(const char *list, const struct gram_weight_slot *slot, double fallback)
{
    struct entry e;

    while (list) {
        list = next_entry(list, &e);
        if (ends_with(slot->module, e.name, e.n))
            return number_of(&e);
    }
    return fallback;
}

/* ---- targets ---- */

static bool is_pattern(const char *targets)
{
    return strpbrk(targets, "()[]{}|*+?\\^$") != NULL;
}

static bool matches(const char *targets, const char *module)
{
    struct gram_arena arena = {0};
    struct gram_error ignored;
    bool yes = false;
    void *pattern;

    if (gram_pattern_compile(&pattern, targets, &arena, "targets", &ignored) == GRAM_OK)
        gram_pattern_match(pattern, module, true, &yes, "targets", &ignored);
    gram_arena_reset(&arena);
    return yes;
}

bool gram_lora_is_target(const struct gram_lora_options *o, const struct gram_weight_slot *slot)
{
    struct entry e;

    if (!o->targets || strcmp(o->targets, "all-linear") == 0)
        return slot->kind == GRAM_KIND_LINEAR;
    if (!is_linear(slot))
        return false;
    if (is_pattern(o->targets))
        return matches(o->targets, slot->module);
    for (const char *list = o->targets; list;) {
        list = next_entry(list, &e);
        if (ends_with(slot->module, e.name, e.n))
            return true;
    }
    return false;
}

int64_t gram_lora_rank(const struct gram_lora_options *o, const struct gram_weight_slot *slot)
{
    return (int64_t)find_number(o->rank_pattern, slot, (double)o->rank);
}

double gram_lora_alpha(const struct gram_lora_options *o, const struct gram_weight_slot *slot)
{
    return find_number(o->alpha_pattern, slot, o->alpha);
}

static enum gram_status check_pattern(const char *targets, struct gram_error *err)
{
    struct gram_arena arena = {0};
    void *pattern;
    const enum gram_status status =
        gram_pattern_compile(&pattern, targets, &arena, "--targets", err);

    gram_arena_reset(&arena);
    return status;
}

static enum gram_status check_any(const struct gram_lora_options *o,
                                  const struct gram_model_desc *desc, struct gram_error *err)
{
    for (size_t i = 0; i < desc->n_slots; i++)
        if (gram_lora_is_target(o, &desc->slots[i]))
            return GRAM_OK;
    return gram_fail(err, GRAM_EINVAL, "the model has no linear whose whole name matches '%s'",
                     o->targets);
}

enum gram_status gram_lora_check_options(const struct gram_lora_options *o,
                                         const struct gram_model_desc *desc, struct gram_error *err)
{
    struct entry e;

    GRAM_TRY(check_numbers(o->rank_pattern, MOST_RANK, desc, err));
    GRAM_TRY(check_numbers(o->alpha_pattern, 1e6, desc, err));
    if (!o->targets || strcmp(o->targets, "all-linear") == 0)
        return GRAM_OK;
    if (is_pattern(o->targets)) {
        GRAM_TRY(check_pattern(o->targets, err));
        return check_any(o, desc, err);
    }
    for (const char *list = o->targets; list;) {
        list = next_entry(list, &e);
        GRAM_TRY(check_name(&e, desc, err));
    }
    return GRAM_OK;
}
