/* The post-processors of tokenizer.json for one sequence; pairs are read only as far as needed to
 * refuse a malformed one. */
#include "tokenizer/postprocessor.h"

#include <string.h>

struct loading {
    const struct gram_source *source;
    const struct gram_vocab *vocab;
    struct gram_surround *surround;
};

enum gram_status gram_surround_add(struct gram_surround *surround, const struct gram_source *source,
                                   int32_t id, bool is_behind)
{
    int32_t **list = is_behind ? &surround->behind : &surround->before;
    size_t *n = is_behind ? &surround->n_behind : &surround->n_before;

    if (*n >= GRAM_STAGES)
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: post_processor: more than %d tokens around a text", source->where,
                         GRAM_STAGES);
    int32_t *grown = gram_arena_take(source->arena, *n + 1, sizeof *grown);
    if (!grown)
        return gram_fail_memory(source->err, source->where);
    if (*n > 0)
        memcpy(grown + !is_behind, *list, *n * sizeof *grown);
    grown[is_behind ? *n : 0] = id;
    *list = grown;
    (*n)++;
    return GRAM_OK;
}

static enum gram_status check_id(const struct loading *loading, const json_t *value, int32_t *id)
{
    const struct gram_source *source = loading->source;
    const int64_t wide = json_is_integer(value) ? json_integer_value(value) : -1;

    if (wide < 0 || wide >= loading->vocab->n || !loading->vocab->at[wide].text)
        return gram_fail(source->err, GRAM_EFORMAT,
                         "%s: post_processor: a token id that is not in the vocabulary",
                         source->where);
    *id = (int32_t)wide;
    return GRAM_OK;
}

/* The list of ids that special_tokens gives to a name. */
static enum gram_status special_ids(const struct loading *loading, const json_t *specials,
                                    const json_t *piece, const json_t **ids)
{
    const struct gram_source *source = loading->source;
    const char *name;

    GRAM_TRY(gram_json_str(piece, "id", "", &name, source->where, source->err));
    *ids = json_object_get(json_object_get(specials, name), "ids");
    if (!json_is_array(*ids))
        return gram_fail(source->err, GRAM_EFORMAT,
                         "%s: TemplateProcessing uses '%s', which special_tokens does not define",
                         source->where, name);
    int32_t id;
    for (size_t i = 0; i < json_array_size(*ids); i++)
        GRAM_TRY(check_id(loading, json_array_get(*ids, i), &id));
    return GRAM_OK;
}

/* Everything before the sequence A goes in front, nearest last, so it is added from right to left.
 */
static enum gram_status add_template(const struct loading *loading, const json_t *specials,
                                     const json_t *items, size_t middle)
{
    const size_t n = json_array_size(items);

    for (size_t step = 0; step < n; step++) {
        const bool behind = step >= middle;
        const json_t *item = json_array_get(items, behind ? step : middle - 1 - step);
        const json_t *piece = json_object_get(item, "SpecialToken"), *ids;

        if (!piece)
            continue;
        GRAM_TRY(special_ids(loading, specials, piece, &ids));
        const size_t count = json_array_size(ids);
        for (size_t i = 0; i < count; i++) {
            const json_t *id = json_array_get(ids, behind ? i : count - 1 - i);
            GRAM_TRY(gram_surround_add(loading->surround, loading->source,
                                       (int32_t)json_integer_value(id), behind));
        }
    }
    return GRAM_OK;
}

/* Every item names a defined token or a sequence; *middle is where sequence A stands. */
static enum gram_status check_template(const struct loading *loading, const json_t *specials,
                                       const json_t *items, size_t *middle, size_t *sequences)
{
    const struct gram_source *source = loading->source;

    *sequences = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i), *ids;
        const json_t *token = json_object_get(item, "SpecialToken");

        if (token) {
            GRAM_TRY(special_ids(loading, specials, token, &ids));
        } else if (json_is_object(json_object_get(item, "Sequence"))) {
            *middle = i;
            (*sequences)++;
        } else {
            return gram_fail(source->err, GRAM_EFORMAT,
                             "%s: TemplateProcessing: item %zu is neither a SpecialToken nor a "
                             "Sequence",
                             source->where, i);
        }
    }
    return GRAM_OK;
}

static enum gram_status load_template(const struct loading *loading, const json_t *node)
{
    const struct gram_source *source = loading->source;
    const json_t *specials = json_object_get(node, "special_tokens");
    const json_t *single = json_object_get(node, "single");
    size_t middle = 0, sequences;

    GRAM_TRY(check_template(loading, specials, json_object_get(node, "pair"), &middle, &sequences));
    GRAM_TRY(check_template(loading, specials, single, &middle, &sequences));
    if (sequences != 1)
        return gram_fail(source->err, GRAM_EFORMAT,
                         "%s: TemplateProcessing: single names %zu sequences, must name one",
                         source->where, sequences);
    return add_template(loading, specials, single, middle);
}

/* BERT and RoBERTa: "cls" in front, "sep" behind, both ["text", id]. */
static enum gram_status load_cls_sep(const struct loading *loading, const json_t *node)
{
    int32_t cls = 0, sep = 0;

    GRAM_TRY(check_id(loading, json_array_get(json_object_get(node, "cls"), 1), &cls));
    GRAM_TRY(check_id(loading, json_array_get(json_object_get(node, "sep"), 1), &sep));
    GRAM_TRY(gram_surround_add(loading->surround, loading->source, cls, false));
    return gram_surround_add(loading->surround, loading->source, sep, true);
}

static enum gram_status load_nothing(const struct loading *loading, const json_t *node)
{
    (void)loading;
    (void)node;
    return GRAM_OK;
}

static const struct kind {
    const char *name;
    enum gram_status (*load)(const struct loading *loading, const json_t *node);
} kinds[] = {
    {"TemplateProcessing", load_template}, {"ByteLevel", load_nothing}, /* trims offsets, which we
                                                                           do not have */
    {"RobertaProcessing", load_cls_sep},   {"BertProcessing", load_cls_sep}, {NULL, NULL},
};

static enum gram_status add_one(void *context, const char *type, const json_t *node)
{
    const struct loading *loading = context;
    const struct kind *kind = kinds;

    while (kind->name && strcmp(kind->name, type) != 0)
        kind++;
    return kind->name
               ? kind->load(loading, node)
               : gram_stage_unknown(loading->source, "post_processor", type, kinds, sizeof *kinds);
}

enum gram_status gram_postprocessor_load(struct gram_surround *surround,
                                         const struct gram_source *source,
                                         const struct gram_vocab *vocab, const json_t *node)
{
    struct loading loading = {source, vocab, surround};

    return gram_stage_walk(source, "post_processor", "processors", node, add_one, &loading);
}
