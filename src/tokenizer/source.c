/* Walking the nested "Sequence" lists of tokenizer.json, with a limit on their depth. */
#include "tokenizer/source.h"

#include <string.h>

#include "base/buf.h"

struct walk {
    const struct gram_source *source;
    const char *part, *list_key;
    gram_stage_fn *add;
    void *context;
    int stages;
};

static enum gram_status walk_node(struct walk *walk, const json_t *node, int depth)
{
    const struct gram_source *source = walk->source;
    const char *type;

    if (depth > GRAM_STAGE_DEPTH)
        return gram_fail(source->err, GRAM_EFORMAT, "%s: %s: Sequences nested deeper than %d",
                         source->where, walk->part, GRAM_STAGE_DEPTH);
    if (!json_is_object(node))
        return gram_fail(source->err, GRAM_EFORMAT, "%s: %s: expected an object with a type",
                         source->where, walk->part);
    GRAM_TRY(gram_json_str(node, "type", NULL, &type, source->where, source->err));
    if (!type)
        return gram_fail(source->err, GRAM_EFORMAT, "%s: %s: type is missing", source->where,
                         walk->part);
    if (strcmp(type, "Sequence") != 0 && ++walk->stages > GRAM_STAGES)
        return gram_fail(source->err, GRAM_EUNSUPPORTED, "%s: more than %d stages of %s",
                         source->where, GRAM_STAGES, walk->part);
    if (strcmp(type, "Sequence") != 0)
        return walk->add(walk->context, type, node);

    const json_t *list = json_object_get(node, walk->list_key);
    if (!json_is_array(list))
        return gram_fail(source->err, GRAM_EFORMAT, "%s: %s: a Sequence needs the list '%s'",
                         source->where, walk->part, walk->list_key);
    for (size_t i = 0; i < json_array_size(list); i++)
        GRAM_TRY(walk_node(walk, json_array_get(list, i), depth + 1));
    return GRAM_OK;
}

enum gram_status gram_stage_walk(const struct gram_source *source, const char *part,
                                 const char *list_key, const json_t *node, gram_stage_fn *add,
                                 void *context)
{
    struct walk walk = {source, part, list_key, add, context, 0};

    return !node || json_is_null(node) ? GRAM_OK : walk_node(&walk, node, 1);
}

enum gram_status gram_stage_unknown(const struct gram_source *source, const char *part,
                                    const char *type, const void *rows, size_t stride)
{
    struct gram_buf known = {0};
    const char *name;

    for (const char *row = rows; memcpy(&name, row, sizeof name), name; row += stride)
        gram_buf_printf(&known, "%s%s", known.len ? ", " : "", name);
    enum gram_status status = gram_fail(source->err, GRAM_EUNSUPPORTED,
                                        "%s: %s of type '%s' is not supported (known: %s)",
                                        source->where, part, type, known.at ? known.at : "");
    gram_buf_reset(&known);
    return status;
}
