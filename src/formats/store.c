/*
 * Tensors by name. A model is one file or an index with its shards; either way a list of mapped
 * files, the tensors of each in the order of their data, and one list of all of them sorted by
 * name.
 */
#include "formats/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/file.h"
#include "formats/hf_folder.h"
#include "formats/hf_index.h"
#include "formats/safetensors.h"

struct gram_store {
    struct gram_file **files; /* [n_files] */
    int n_files;
    bool borrows_files;
    struct gram_tensor **all; /* [n] files in order, then data in order */
    struct gram_tensor **by_name;
    size_t n, cap;
    uint64_t bytes;
    struct gram_arena arena;
};

/* Map one file and append its tensors. */
static enum gram_status add_file(struct gram_store *store, const char *path, struct gram_error *err)
{
    struct gram_tensor *tensors;
    size_t n, need;
    const int index = store->n_files;
    void *all = store->all;

    GRAM_TRY(gram_file_open(&store->files[index], path, err));
    store->n_files++;
    GRAM_TRY(gram_safetensors_read(store->files[index], &store->arena, &tensors, &n, err));
    if (!gram_add_size(&need, store->n, n) ||
        !gram_grow(&all, &store->cap, need, sizeof(struct gram_tensor *)))
        return gram_fail_memory(err, path);
    store->all = all;
    for (size_t i = 0; i < n; i++) {
        tensors[i].file = index;
        store->bytes += tensors[i].bytes;
        store->all[store->n++] = &tensors[i];
    }
    return GRAM_OK;
}

static int by_name(const void *left, const void *right)
{
    const struct gram_tensor *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

static enum gram_status sort_names(struct gram_store *store, const char *path,
                                   struct gram_error *err)
{
    struct gram_tensor **sorted = calloc(store->n + 1, sizeof(struct gram_tensor *));
    if (!sorted)
        return gram_fail_memory(err, path);
    store->by_name = sorted;
    if (store->n == 0)
        return GRAM_OK;
    memcpy(sorted, store->all, store->n * sizeof *sorted);
    qsort(sorted, store->n, sizeof *sorted, by_name);
    for (size_t i = 1; i < store->n; i++) {
        const struct gram_tensor *a = sorted[i - 1], *b = sorted[i];
        if (strcmp(a->name, b->name) == 0)
            return gram_fail(err, GRAM_EFORMAT, "%s: %s is in two files, %s and %s", path, a->name,
                             gram_store_file_path(store, a->file),
                             gram_store_file_path(store, b->file));
    }
    return GRAM_OK;
}

static enum gram_status open_single(struct gram_store *store, const char *path,
                                    struct gram_error *err)
{
    store->files = calloc(1, sizeof(struct gram_file *));
    if (!store->files)
        return gram_fail_memory(err, path);
    GRAM_TRY(add_file(store, path, err));
    return sort_names(store, path, err);
}

/* Each tensor that the index names lies in the shard that it names. */
static enum gram_status check_index(const struct gram_store *store,
                                    const struct gram_hf_index *index, const char *path,
                                    struct gram_error *err)
{
    for (size_t i = 0; i < index->n; i++) {
        const struct gram_tensor *t = gram_store_find(store, index->tensors[i]);
        const char *shard = index->shards[index->shard_of[i]];
        if (!t)
            return gram_fail(err, GRAM_EFORMAT, "%s: %s should be in %s, but is in no shard", path,
                             index->tensors[i], shard);
        if (t->file != index->shard_of[i])
            return gram_fail(err, GRAM_EFORMAT, "%s: %s should be in %s, but is in %s", path,
                             t->name, shard, index->shards[t->file]);
    }
    return GRAM_OK;
}

static enum gram_status add_shard(struct gram_store *store, const char *dir, const char *name,
                                  struct gram_error *err)
{
    char *path = gram_path_join(dir, name);
    if (!path)
        return gram_fail_memory(err, dir);
    enum gram_status status = add_file(store, path, err);
    if (status == GRAM_ENOENT)
        gram_fail(err, status,
                  "%s: the index names this file, but it is not there; is the model whole?", path);
    free(path);
    return status;
}

static enum gram_status add_shards(struct gram_store *store, const char *dir,
                                   const struct gram_hf_index *index, struct gram_error *err)
{
    store->files = calloc((size_t)index->n_shards, sizeof(struct gram_file *));
    if (!store->files)
        return gram_fail_memory(err, dir);
    for (int i = 0; i < index->n_shards; i++)
        GRAM_TRY(add_shard(store, dir, index->shards[i], err));
    return GRAM_OK;
}

static enum gram_status open_sharded(struct gram_store *store, const char *dir, const char *path,
                                     struct gram_error *err)
{
    struct gram_arena scratch = {0};
    struct gram_hf_index index;
    struct gram_file *file;

    GRAM_TRY(gram_file_open(&file, path, err));
    enum gram_status status = gram_hf_index_read(&index, file, &scratch, err);
    if (status == GRAM_OK)
        status = add_shards(store, dir, &index, err);
    if (status == GRAM_OK)
        status = sort_names(store, path, err);
    if (status == GRAM_OK)
        status = check_index(store, &index, path, err);
    gram_arena_reset(&scratch);
    gram_file_close(&file);
    return status;
}

static enum gram_status open_folder(struct gram_store *store, const char *dir,
                                    struct gram_error *err)
{
    char *path = NULL;
    bool is_index = false;

    GRAM_TRY(gram_hf_folder_find(&path, &is_index, dir, err));
    const enum gram_status status =
        is_index ? open_sharded(store, dir, path, err) : open_single(store, path, err);
    free(path);
    return status;
}

static enum gram_status open_path(struct gram_store *store, const char *path,
                                  struct gram_error *err)
{
    if (gram_path_is_dir(path))
        return open_folder(store, path, err);
    const char *format = gram_foreign_weights(path);
    if (format && gram_path_exists(path))
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: %s weights are not read; convert them to safetensors", path, format);
    return open_single(store, path, err);
}

enum gram_status gram_store_open(struct gram_store **out, const char *path, struct gram_error *err)
{
    *out = NULL;
    struct gram_store *store = calloc(1, sizeof *store);
    if (!store)
        return gram_fail_memory(err, path);
    const enum gram_status status = open_path(store, path, err);
    if (status != GRAM_OK) {
        gram_store_close(&store);
        return status;
    }
    *out = store;
    return GRAM_OK;
}

static enum gram_status select_tensors(struct gram_store *store, const struct gram_store *of,
                                       const struct gram_tensor *at, size_t n, struct gram_error *err)
{
    struct gram_tensor *copies = gram_arena_take(&store->arena, n, sizeof *copies);

    store->files = of->files;
    store->n_files = of->n_files;
    store->borrows_files = true;
    store->all = calloc(n + 1, sizeof(struct gram_tensor *));
    if (!copies || !store->all)
        return gram_fail_memory(err, "a selection of tensors");
    for (store->n = 0; store->n < n; store->n++) {
        copies[store->n] = at[store->n];
        store->all[store->n] = &copies[store->n];
        store->bytes += at[store->n].bytes;
    }
    return sort_names(store, "a selection of tensors", err);
}

enum gram_status gram_store_select(struct gram_store **out, const struct gram_store *of,
                                   const struct gram_tensor *at, size_t n, struct gram_error *err)
{
    *out = NULL;
    struct gram_store *store = calloc(1, sizeof *store);
    if (!store)
        return gram_fail_memory(err, "a selection of tensors");
    const enum gram_status status = select_tensors(store, of, at, n, err);
    if (status != GRAM_OK) {
        gram_store_close(&store);
        return status;
    }
    *out = store;
    return GRAM_OK;
}

void gram_store_close(struct gram_store **store_at)
{
    if (!store_at || !*store_at)
        return;
    struct gram_store *store = *store_at;

    for (int i = 0; i < store->n_files && !store->borrows_files; i++)
        gram_file_close(&store->files[i]);
    if (!store->borrows_files)
        free(store->files);
    free(store->all);
    free(store->by_name);
    gram_arena_reset(&store->arena);
    free(store);
    *store_at = NULL;
}

size_t gram_store_count(const struct gram_store *store)
{
    return store->n;
}

const struct gram_tensor *gram_store_at(const struct gram_store *store, size_t i)
{
    GRAM_ASSERT(i < store->n);
    return store->all[i];
}

const struct gram_tensor *gram_store_find(const struct gram_store *store, const char *name)
{
    size_t low = 0, high = store->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(name, store->by_name[middle]->name);
        if (order == 0)
            return store->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int gram_store_files(const struct gram_store *store)
{
    return store->n_files;
}

const char *gram_store_file_path(const struct gram_store *store, int file)
{
    return gram_file_path(store->files[file]);
}

uint64_t gram_store_file_size(const struct gram_store *store, int file)
{
    return gram_file_size(store->files[file]);
}

typedef void advise_fn(const struct gram_file *file, uint64_t off, uint64_t len);

/* Call advise on the bytes of rows [begin, end) of the outermost dimension; a scalar is one row. */
static void advise_rows(const struct gram_store *store, const struct gram_tensor *t, int64_t begin,
                        int64_t end, advise_fn *advise)
{
    const struct gram_file *file = store->files[t->file];
    const int64_t rows = t->rank > 0 ? t->shape[0] : 1;

    GRAM_ASSERT(0 <= begin && begin <= end && end <= rows);
    if (t->bytes == 0)
        return;
    const uint64_t at =
        (uint64_t)((const uint8_t *)t->data - (const uint8_t *)gram_file_view(file, 0, 0));
    const uint64_t row = t->bytes / (uint64_t)rows;
    advise(file, at + (uint64_t)begin * row, (uint64_t)(end - begin) * row);
}

void gram_store_willneed(const struct gram_store *store, const struct gram_tensor *t, int64_t begin,
                         int64_t end)
{
    advise_rows(store, t, begin, end, gram_file_willneed);
}

void gram_store_release(const struct gram_store *store, const struct gram_tensor *t, int64_t begin,
                        int64_t end)
{
    advise_rows(store, t, begin, end, gram_file_release);
}

uint64_t gram_store_bytes(const struct gram_store *store)
{
    return store->bytes;
}
