/* Names and maps of names. */
#include "formats/names.h"

#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

void gram_names_sort(const char **names, size_t n)
{
    if (n > 0)
        qsort(names, n, sizeof *names, by_bytes);
}

const char *gram_names_repeated(const char *const *names, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            return names[i];
    }
    return NULL;
}

enum gram_status gram_names_count(const struct gram_json_cursor *c, size_t most, size_t *n)
{
    struct gram_json_cursor ahead = *c;

    *n = 0;
    GRAM_TRY(gram_cursor_enter(&ahead, '{'));
    for (bool more;;) {
        GRAM_TRY(gram_cursor_more(&ahead, &more));
        if (!more)
            return GRAM_OK;
        if (++*n > most)
            return gram_fail(c->err, GRAM_EUNSUPPORTED, "%s: more than %zu names in one object",
                             c->where, most);
        GRAM_TRY(gram_cursor_skip_key(&ahead));
        GRAM_TRY(gram_cursor_skip(&ahead));
    }
}

/* No name twice. */
static enum gram_status check_names(const struct gram_name_map *map,
                                    const struct gram_json_cursor *c)
{
    const char **sorted = calloc(map->n + 1, sizeof *sorted);
    if (!sorted)
        return gram_fail_memory(c->err, c->where);
    memcpy(sorted, map->names, map->n * sizeof *sorted);
    gram_names_sort(sorted, map->n);
    const char *twice = gram_names_repeated(sorted, map->n);
    free(sorted);
    return twice ? gram_fail(c->err, GRAM_EFORMAT, "%s: %s: '%s' is there twice", c->where, c->item,
                             twice)
                 : GRAM_OK;
}

enum gram_status gram_name_map_read(struct gram_name_map *map, struct gram_json_cursor *c,
                                    size_t most, char **pool, struct gram_arena *arena)
{
    struct gram_json_text key;
    size_t room = 0;

    *map = (struct gram_name_map){0};
    GRAM_TRY(gram_names_count(c, most, &room));
    map->names = gram_arena_take(arena, room, sizeof *map->names);
    map->texts = gram_arena_take(arena, room, sizeof *map->texts);
    if (!map->names || !map->texts)
        return gram_fail_memory(c->err, c->where);
    GRAM_TRY(gram_cursor_enter(c, '{'));
    for (bool more;;) {
        GRAM_TRY(gram_cursor_more(c, &more));
        if (!more)
            return check_names(map, c);
        GRAM_TRY(gram_cursor_key(c, pool, &key));
        GRAM_TRY(gram_cursor_string(c, pool, &map->texts[map->n]));
        map->names[map->n++] = key.at;
    }
}
