/* The index of a sharded model. */
#include "formats/hf_index.h"

#include <stdlib.h>
#include <string.h>

#include "formats/names.h"

enum {
    MAX_SHARDS = 10000,
    MAX_TENSORS = 1000000,
    MAX_INDEX = 100 * 1000 * 1000,
    MAX_FILE_NAME = 255
};

/* What is wrong with a shard's name; NULL if it can only mean a file in the model's own folder. */
static const char *name_problem(const struct gram_json_text *name)
{
    if (name->len == 0)
        return "is empty";
    if (strlen(name->at) != name->len)
        return "holds a NUL character";
    if (strchr(name->at, '/') || strchr(name->at, '\\'))
        return "holds a path separator";
    if (gram_json_text_is(name, ".") || gram_json_text_is(name, ".."))
        return "is a folder";
    return name->len > MAX_FILE_NAME ? "is too long" : NULL;
}

static enum gram_status check_files(const struct gram_name_map *map, const char *path,
                                    struct gram_error *err)
{
    for (size_t i = 0; i < map->n; i++) {
        const char *problem = name_problem(&map->texts[i]);
        if (problem)
            return gram_fail(err, GRAM_EFORMAT,
                             "%s: weight_map: '%.100s', the file of %.100s, %s; the name of a file "
                             "beside the index is needed",
                             path, map->texts[i].at, map->names[i], problem);
    }
    return GRAM_OK;
}

/* Drop repetitions from a sorted list; returns how many are left. */
static size_t unique(const char **names, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    }
    return kept;
}

static int find_name(const char *const *sorted, int n, const char *name)
{
    int low = 0, high = n - 1;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (strcmp(name, sorted[middle]) <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static enum gram_status number_shards(struct gram_hf_index *index, const struct gram_name_map *map,
                                      struct gram_arena *arena, const char *path,
                                      struct gram_error *err)
{
    index->tensors = map->names;
    index->n = map->n;
    index->shards = gram_arena_take(arena, map->n, sizeof *index->shards);
    index->shard_of = gram_arena_take(arena, map->n, sizeof *index->shard_of);
    if (!index->shards || !index->shard_of)
        return gram_fail_memory(err, path);
    for (size_t i = 0; i < map->n; i++)
        index->shards[i] = map->texts[i].at;
    gram_names_sort(index->shards, map->n);
    const size_t n = unique(index->shards, map->n);
    if (n > MAX_SHARDS)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: %zu shards, at most %d are supported", path,
                         n, MAX_SHARDS);
    index->n_shards = (int)n;
    for (size_t i = 0; i < map->n; i++)
        index->shard_of[i] = find_name(index->shards, index->n_shards, map->texts[i].at);
    return GRAM_OK;
}

/* The root object: weight_map is read, all else (metadata.total_size is only advice) passed over.
 */
static enum gram_status read_root(struct gram_name_map *map, struct gram_json_cursor *json,
                                  char *pool, struct gram_arena *arena)
{
    struct gram_json_text key;
    bool found = false;

    GRAM_TRY(gram_cursor_enter(json, '{'));
    for (bool more;;) {
        GRAM_TRY(gram_cursor_more(json, &more));
        if (!more)
            break;
        GRAM_TRY(gram_cursor_key(json, &pool, &key));
        if (!gram_json_text_is(&key, "weight_map")) {
            GRAM_TRY(gram_cursor_skip(json));
            continue;
        }
        if (found)
            return gram_cursor_fail(json, "weight_map is there twice");
        found = true;
        json->item = "weight_map";
        GRAM_TRY(gram_name_map_read(map, json, MAX_TENSORS, &pool, arena));
        json->item = NULL;
    }
    GRAM_TRY(gram_cursor_end(json));
    return found && map->n > 0 ? GRAM_OK
                               : gram_cursor_fail(json, "no weight_map with tensors in it");
}

enum gram_status gram_hf_index_read(struct gram_hf_index *index, const struct gram_file *file,
                                    struct gram_arena *arena, struct gram_error *err)
{
    const char *path = gram_file_path(file);
    const uint64_t size = gram_file_size(file);
    struct gram_json_cursor json;
    struct gram_name_map map = {0};

    *index = (struct gram_hf_index){0};
    if (size > MAX_INDEX)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: an index of more than %d bytes", path,
                         MAX_INDEX);
    char *pool = gram_arena_take(arena, (size_t)size + 1, 1);
    if (!pool)
        return gram_fail_memory(err, path);
    gram_cursor_init(&json, gram_file_view(file, 0, size), (size_t)size, path, err);
    GRAM_TRY(read_root(&map, &json, pool, arena));
    GRAM_TRY(check_files(&map, path, err));
    return number_shards(index, &map, arena, path, err);
}
