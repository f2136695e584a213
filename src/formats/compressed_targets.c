/*
 * Which linear belongs to which group. Names are found by bisection, patterns are tried one after
 * the other, with a limit on the steps of each: they come from a file.
 */
#include "formats/compressed_targets.h"

#include <string.h>

#include "base/pattern.h"

enum { MAX_PATTERNS = 1000 };

/* The list that a target belongs to grows by one; room for all was taken before. */
static enum gram_status add_target(struct gram_compressed *ct, const char *text,
                                   const struct gram_compressed_group *group,
                                   struct gram_arena *arena, const char *where,
                                   struct gram_error *err)
{
    struct gram_compressed_target target = {
        .group = group,
        .order = ct->n_names + ct->n_patterns,
    };

    if (strcmp(text, "Linear") == 0) {
        ct->linears = group;
        return GRAM_OK;
    }
    if (!(target.name = gram_arena_str(arena, text)))
        return gram_fail_memory(err, where);
    if (strncmp(text, "re:", 3) != 0) {
        ct->names[ct->n_names++] = target;
        return GRAM_OK;
    }
    if (ct->n_patterns == MAX_PATTERNS)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: more than %d target patterns", where,
                         MAX_PATTERNS);
    GRAM_TRY(gram_pattern_compile(&target.pattern, text + 3, arena, where, err));
    ct->patterns[ct->n_patterns++] = target;
    return GRAM_OK;
}

enum gram_status gram_targets_add(struct gram_compressed *ct, const json_t *list,
                                  const struct gram_compressed_group *group,
                                  struct gram_arena *arena, const char *where,
                                  struct gram_error *err)
{
    if (!json_is_array(list))
        return gram_fail(err, GRAM_EFORMAT, "%s: targets: expected a list of names", where);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        const char *text = json_string_value(value);
        if (!text || strlen(text) != json_string_length(value))
            return gram_fail(err, GRAM_EFORMAT, "%s: targets: entry %zu is not a name", where, i);
        GRAM_TRY(add_target(ct, text, group, arena, where, err));
    }
    return GRAM_OK;
}

static size_t count_targets(const json_t *groups)
{
    const char *name;
    json_t *group;
    size_t n = 0;

    json_object_foreach((json_t *)(uintptr_t)groups, name, group) n +=
        json_array_size(json_object_get(group, "targets"));
    return n;
}

enum gram_status gram_targets_start(struct gram_compressed *ct, const json_t *groups,
                                    struct gram_arena *arena, struct gram_error *err)
{
    const size_t n = count_targets(groups);

    ct->names = gram_arena_take(arena, n, sizeof *ct->names);
    ct->patterns =
        gram_arena_take(arena, n < MAX_PATTERNS ? n : MAX_PATTERNS, sizeof *ct->patterns);
    return ct->names && ct->patterns ? GRAM_OK : gram_fail_memory(err, ct->where);
}

/* Alphabetically; of equal ones the last in the file first, as it replaces the others. */
static int by_name(const void *a, const void *b)
{
    const struct gram_compressed_target *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->order < y->order) - (x->order > y->order);
}

void gram_targets_finish(struct gram_compressed *ct)
{
    qsort(ct->names, ct->n_names, sizeof ct->names[0], by_name);
    qsort(ct->patterns, ct->n_patterns, sizeof ct->patterns[0], by_name);
}

static const struct gram_compressed_group *find_name(const struct gram_compressed *ct,
                                                     const char *module)
{
    size_t low = 0, high = ct->n_names;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(ct->names[middle].name, module) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    const bool is_there = low < ct->n_names && strcmp(ct->names[low].name, module) == 0;
    return is_there ? ct->names[low].group : NULL;
}

enum gram_status gram_compressed_find(const struct gram_compressed *ct, const char *module,
                                      const struct gram_compressed_group **group,
                                      struct gram_error *err)
{
    *group = find_name(ct, module);
    for (size_t i = 0; i < ct->n_patterns && !*group; i++) {
        bool yes;
        GRAM_TRY(gram_pattern_match(ct->patterns[i].pattern, module, false, &yes, ct->where, err));
        if (yes)
            *group = ct->patterns[i].group;
    }
    if (!*group)
        *group = ct->linears;
    return GRAM_OK;
}
