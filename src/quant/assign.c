/* Holding a recipe against a model: all that cannot work is found here, before any work is done. */
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "quant/recipe.h"

/* Linears, and lm_head when it was asked for: by option, or by a rule that is its very name. */
static bool rule_takes(const struct gram_recipe *r, const struct gram_rule *rule,
                       const struct gram_weight_slot *slot)
{
    if (slot->kind == GRAM_KIND_LM_HEAD && !r->quantize_lm_head)
        return strcmp(rule->pattern, slot->op) == 0;
    return (slot->kind == GRAM_KIND_LINEAR || slot->kind == GRAM_KIND_LM_HEAD) &&
           fnmatch(rule->pattern, slot->op, 0) == 0;
}

static const struct gram_rule *last_rule(const struct gram_recipe *r,
                                         const struct gram_weight_slot *slot)
{
    for (size_t i = r->n_rules; i > 0; i--) {
        if (rule_takes(r, &r->rules[i - 1], slot))
            return &r->rules[i - 1];
    }
    return NULL;
}

static enum gram_status check_rules(const struct gram_recipe *r, const struct gram_model_desc *desc,
                                    struct gram_error *err)
{
    for (size_t i = 0; i < r->n_rules; i++) {
        size_t s = 0;
        while (s < desc->n_slots && !rule_takes(r, &r->rules[i], &desc->slots[s]))
            s++;
        if (s == desc->n_slots)
            return gram_fail(
                err, GRAM_EINVAL,
                "rule '%s' matches no linear of the model; its linears have names such "
                "as 'layers.0.attn.q' and 'layers.0.mlp.down'",
                r->rules[i].pattern);
    }
    return GRAM_OK;
}

/* "-g16, -g32 or -g64": the divisors of n from 16 on that are nearest to the wanted one; "" if
 * none. */
static void list_groups(struct gram_buf *text, int64_t n, int64_t wanted)
{
    enum { MOST = 4 };
    int64_t fits[MOST];
    int count = 0;

    for (int64_t g = gram_min_i64(n, 4 * wanted); g >= GRAM_MIN_GROUP && count < MOST; g--) {
        if (n % g == 0)
            fits[count++] = g;
    }
    while (count-- > 0)
        gram_buf_printf(text, "%s-g%" PRId64, text->len ? ", " : "", fits[count]);
}

/* Which groups would do: for all the linears that want this one, or else for this linear alone. */
static enum gram_status group_does_not_fit(const struct gram_model_desc *desc,
                                           const struct gram_assignment *all, size_t at,
                                           struct gram_error *err)
{
    const int64_t group = all[at].scheme.group, cols = desc->slots[at].cols;
    struct gram_buf fits = {0};
    int64_t common = 0;

    for (size_t i = 0; i < desc->n_slots; i++) {
        if (all[i].scheme.kind == GRAM_SCHEME_CODES && all[i].scheme.group == group)
            common = gram_gcd_i64(desc->slots[i].cols, common);
    }
    list_groups(&fits, common, group);
    const bool is_common = fits.len > 0;
    if (!is_common)
        list_groups(&fits, cols, group);
    gram_buf_str(&fits, fits.len ? " or -channel" : "-channel");
    const enum gram_status status = gram_fail(
        err, GRAM_EINVAL,
        "%s: its %" PRId64 " inputs do not divide into groups of %" PRId64 "; %s would take %s",
        desc->slots[at].op, cols, group, is_common ? "all linears of this scheme" : "this linear",
        fits.failed ? "-channel" : fits.at);
    gram_buf_reset(&fits);
    return status;
}

static enum gram_status check_groups(const struct gram_model_desc *desc,
                                     const struct gram_assignment *all, struct gram_error *err)
{
    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_scheme *s = &all[i].scheme;
        if (s->kind == GRAM_SCHEME_CODES &&
            desc->slots[i].cols % gram_scheme_span(s, desc->slots[i].cols))
            return group_does_not_fit(desc, all, i, err);
    }
    return GRAM_OK;
}

/* Other programs find codes of a linear as [out, in]: no container has them the other way. */
static enum gram_status check_storage(const struct gram_model_desc *desc,
                                      const struct gram_assignment *all, struct gram_error *err)
{
    for (size_t i = 0; i < desc->n_slots; i++) {
        if (all[i].scheme.kind == GRAM_SCHEME_CODES && desc->slots[i].is_transposed)
            return gram_fail(err, GRAM_EUNSUPPORTED,
                             "%s: models of this architecture store their linears as [in, out], which "
                             "no container holds as codes; f16 and bf16 can be written",
                             desc->slots[i].op);
    }
    return GRAM_OK;
}

static bool same_codes(const struct gram_scheme *a, const struct gram_scheme *b)
{
    return a->codebook == b->codebook && a->is_nested == b->is_nested;
}

/* One model has one container, and that of bitsandbytes one way of coding. */
static enum gram_status check_container(const struct gram_model_desc *desc,
                                        const struct gram_assignment *all, struct gram_error *err)
{
    const struct gram_scheme *first = NULL;
    char one[GRAM_SCHEME_NAME], other[GRAM_SCHEME_NAME];

    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_scheme *s = &all[i].scheme;
        const char *container = gram_scheme_container(s);
        if (!container)
            continue;
        if (s->is_static && desc->slots[i].kind != GRAM_KIND_LINEAR)
            return gram_fail(err, GRAM_EUNSUPPORTED,
                             "%s: calibration does not see what it reads, so its activations cannot "
                             "be static; give it w8a8 by a rule",
                             desc->slots[i].op);
        first = first ? first : s;
        const bool is_same = strcmp(container, gram_scheme_container(first)) == 0;
        if (is_same && (strcmp(container, "bitsandbytes") != 0 || same_codes(s, first)))
            continue;
        gram_scheme_name(one, first);
        gram_scheme_name(other, s);
        return gram_fail(err, GRAM_EINVAL,
                         "%s: no container holds both %s and %s; choose one of them for all",
                         desc->slots[i].op, one, other);
    }
    return GRAM_OK;
}

static enum gram_status assign_linear(const struct gram_recipe *r,
                                      const struct gram_weight_slot *slot,
                                      struct gram_assignment *out, struct gram_error *err)
{
    const struct gram_rule *rule = last_rule(r, slot);

    if (!rule && !r->has_scheme)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: no scheme; name one for all, or a rule that covers it", slot->op);
    out->scheme = rule ? rule->scheme : r->scheme;
    out->method = rule ? rule->how.method : r->how.method;
    out->options = rule ? rule->how.options : r->how.options;
    if (out->scheme.kind == GRAM_SCHEME_CODES && !gram_method_takes(out->method, &out->scheme))
        return gram_fail(err, GRAM_EINVAL,
                         "%s: %s rounds to integer grids, and this scheme has another; take rtn or mse",
                         slot->op, out->method->about->name);
    return GRAM_OK;
}

/* What a cast of the whole model leaves to no rule, and a quantized one keeps. */
static struct gram_assignment rest_of(const struct gram_recipe *r)
{
    struct gram_assignment rest = {.scheme = {.kind = GRAM_SCHEME_KEEP}};
    if (r->has_scheme && r->scheme.kind == GRAM_SCHEME_CAST)
        rest.scheme = r->scheme;
    return rest;
}

static bool is_asked_for(const struct gram_recipe *r, const struct gram_weight_slot *slot)
{
    return slot->kind == GRAM_KIND_LINEAR ||
           (slot->kind == GRAM_KIND_LM_HEAD && (r->quantize_lm_head || last_rule(r, slot)));
}

static bool has_head(const struct gram_model_desc *desc)
{
    for (size_t i = 0; i < desc->n_slots; i++) {
        if (desc->slots[i].kind == GRAM_KIND_LM_HEAD)
            return true;
    }
    return false;
}

enum gram_status gram_recipe_assign(const struct gram_recipe *r, const struct gram_model_desc *desc,
                                    struct gram_assignment *out, struct gram_error *err)
{
    bool changes = false;

    if (r->quantize_lm_head && !has_head(desc))
        return gram_fail(err, GRAM_EINVAL,
                         "lm_head is tied to the embedding, which stays as it is, so it cannot be "
                         "quantized alone");
    GRAM_TRY(check_rules(r, desc, err));
    for (size_t i = 0; i < desc->n_slots; i++) {
        out[i] = rest_of(r);
        if (is_asked_for(r, &desc->slots[i]))
            GRAM_TRY(assign_linear(r, &desc->slots[i], &out[i], err));
        changes |= out[i].scheme.kind != GRAM_SCHEME_KEEP;
    }
    if (!changes)
        return gram_fail(err, GRAM_EINVAL, "the recipe keeps every tensor as it is");
    GRAM_TRY(check_container(desc, out, err));
    GRAM_TRY(check_storage(desc, out, err));
    return check_groups(desc, out, err);
}
