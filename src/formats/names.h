/* Objects that map names to strings, and lists of names: sorted, so that repetitions are found in n
 * log n whatever the names are. */
#ifndef GRAM_FORMATS_NAMES_H
#define GRAM_FORMATS_NAMES_H

#include <stddef.h>
#include "base/arena.h"
#include "base/json_cursor.h"

/* Sort by bytes. */
void gram_names_sort(const char **names, size_t n);
/* The first name that stands twice in a sorted list; NULL if none does. */
const char *gram_names_repeated(const char *const *names, size_t n);

/* Members of the object at the cursor, which stays where it is: how much room reading it takes.
 * Checks the JSON of the whole object. GRAM_EUNSUPPORTED if there are more than `most`. */
enum gram_status gram_names_count(const struct gram_json_cursor *c, size_t most, size_t *n);

/* {"name": "text", ...}; texts may hold NUL characters, names do not. */
struct gram_name_map {
    const char **names;           /* [n], in the order of the file */
    struct gram_json_text *texts; /* [n] */
    size_t n;
};

/* Read the object at the cursor, whose item must be set; a name that stands twice and a value that
 * is no string are refused. Memory comes from arena, characters from pool (as gram_cursor_string()
 * has it). */
enum gram_status gram_name_map_read(struct gram_name_map *map, struct gram_json_cursor *c,
                                    size_t most, char **pool, struct gram_arena *arena);

#endif
