/* The index of a sharded model. */
#include "formats/hf_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { MAX_SHARDS = 10000, MAX_TENSORS = 1000000, MAX_INDEX = 100 * 1000 * 1000 };

/* What is wrong with a shard's name; NULL if it can only mean a file in the model's own folder. */
static const char *name_problem(const char *name, size_t len)
{
    if (len == 0)
        return "is empty";
    if (strlen(name) != len)
        return "holds a NUL character";
    if (strchr(name, '/') || strchr(name, '\\'))
        return "holds a path separator";
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return "is a folder";
    return len > 255 ? "is longer than 255 bytes" : NULL;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Sort the names and drop repetitions; returns how many are left. */
static size_t sort_unique(const char **names, size_t n)
{
    size_t kept = 0;

    if (n > 0)
        qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    }
    return kept;
}

static enum gram_status collect(struct gram_hf_index *index, const char **files, json_t *map,
                                const char *path, struct gram_arena *arena, struct gram_error *err)
{
    const char *tensor;
    json_t *value;

    json_object_foreach(map, tensor, value)
    {
        const char *file = json_string_value(value);
        if (!file)
            return gram_fail(err, GRAM_EFORMAT, "%s: weight_map: the file of %s is not a string",
                             path, tensor);
        const char *problem = name_problem(file, json_string_length(value));
        if (problem)
            return gram_fail(err, GRAM_EFORMAT,
                             "%s: weight_map: the file name '%s' of %s %s; only names of files "
                             "beside the index are allowed",
                             path, file, tensor, problem);
        index->tensors[index->n] = gram_arena_str(arena, tensor);
        files[index->n] = gram_arena_str(arena, file);
        if (!index->tensors[index->n] || !files[index->n])
            return gram_fail_memory(err, path);
        index->n++;
    }
    return GRAM_OK;
}

static enum gram_status number_shards(struct gram_hf_index *index, const char **files,
                                      const char *path, struct gram_error *err)
{
    memcpy(index->shards, files, index->n * sizeof *files);
    const size_t n = sort_unique(index->shards, index->n);
    if (n > MAX_SHARDS)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: %zu shards, at most %d are supported", path,
                         n, MAX_SHARDS);
    index->n_shards = (int)n;
    for (size_t i = 0; i < index->n; i++) {
        const char **at = bsearch(&files[i], index->shards, n, sizeof *files, by_text);
        index->shard_of[i] = (int)(at - index->shards);
    }
    return GRAM_OK;
}

static enum gram_status read_map(struct gram_hf_index *index, json_t *root, const char *path,
                                 struct gram_arena *arena, struct gram_error *err)
{
    json_t *map = json_object_get(root, "weight_map");
    const size_t n = json_object_size(map);

    if (!json_is_object(map) || n == 0)
        return gram_fail(err, GRAM_EFORMAT, "%s: no weight_map with tensors in it", path);
    if (n > MAX_TENSORS)
        return gram_fail(err, GRAM_EUNSUPPORTED, "%s: %zu tensors, at most %d are supported", path,
                         n, MAX_TENSORS);
    const char **files = gram_arena_take(arena, n, sizeof *files);
    index->tensors = gram_arena_take(arena, n, sizeof *index->tensors);
    index->shards = gram_arena_take(arena, n, sizeof *index->shards);
    index->shard_of = gram_arena_take(arena, n, sizeof *index->shard_of);
    if (!files || !index->tensors || !index->shards || !index->shard_of)
        return gram_fail_memory(err, path);
    GRAM_TRY(collect(index, files, map, path, arena, err));
    return number_shards(index, files, path, err);
}

enum gram_status gram_hf_index_read(struct gram_hf_index *index, const struct gram_file *file,
                                    struct gram_arena *arena, struct gram_error *err)
{
    const char *path = gram_file_path(file);
    const uint64_t size = gram_file_size(file);
    json_t *root;

    *index = (struct gram_hf_index){0};
    if (size == 0 || size > MAX_INDEX)
        return gram_fail(err, GRAM_EFORMAT, "%s: %s", path,
                         size == 0 ? "the file is empty" : "an index of more than 100 MB");
    GRAM_TRY(gram_json_parse(&root, gram_file_view(file, 0, size), (size_t)size, path, err));
    const enum gram_status status = read_map(index, root, path, arena, err);
    json_decref(root);
    return status;
}
