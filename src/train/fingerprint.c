#include "train/fingerprint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/xxh64.h"

enum { CHUNK = 4 << 20, SAMPLE = 64 << 10 }; /* bytes */

/* A part of a tensor, and what became of it. */
struct chunk {
    const char *at;
    size_t bytes;
    uint64_t sum;
};

static void sum_chunks(void *context, int64_t begin, int64_t end, int worker)
{
    struct chunk *chunks = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        struct gram_xxh64 sum;
        gram_xxh64_init(&sum);
        gram_xxh64_add(&sum, chunks[i].at, chunks[i].bytes);
        chunks[i].sum = gram_xxh64_value(&sum);
    }
}

static size_t count_chunks(const struct gram_store *store)
{
    size_t n = 0;

    for (size_t i = 0; i < gram_store_count(store); i++)
        n += (size_t)gram_store_at(store, i)->bytes / CHUNK + 1;
    return n;
}

/* Chunks of the tensor; how many. */
static size_t cut(struct chunk *chunks, const struct gram_tensor *t, bool is_sampled)
{
    size_t n = 0;

    for (uint64_t at = 0; at < t->bytes; at += CHUNK) {
        const uint64_t left = t->bytes - at, most = is_sampled ? SAMPLE : CHUNK;
        chunks[n++] = (struct chunk){(const char *)t->data + at, (size_t)(left < most ? left : most), 0};
    }
    return n;
}

static void add_times(struct gram_sha256 *hash, const struct gram_store *store)
{
    for (int i = 0; i < gram_store_files(store); i++) {
        struct stat file;
        if (stat(gram_store_file_path(store, i), &file) == 0)
            gram_sha256_add(hash, &file.st_mtim, sizeof file.st_mtim);
    }
}

enum gram_status gram_fingerprint_add(struct gram_sha256 *hash, const struct gram_store *store,
                                      struct gram_pool *pool, struct gram_error *err)
{
    const bool is_sampled = gram_store_bytes(store) > GRAM_FINGERPRINT_WHOLE;
    struct chunk *chunks = calloc(count_chunks(store) + 1, sizeof *chunks);
    size_t n = 0;

    if (!chunks)
        return gram_fail_memory(err, "the fingerprint of the model");
    for (size_t i = 0; i < gram_store_count(store); i++) {
        const struct gram_tensor *t = gram_store_at(store, i);
        gram_sha256_add(hash, t->name, strlen(t->name) + 1);
        gram_sha256_add(hash, &t->dtype, sizeof t->dtype);
        gram_sha256_add(hash, t->shape, sizeof t->shape);
        n += cut(chunks + n, t, is_sampled);
    }
    gram_pool_for(pool, (int64_t)n, 1, sum_chunks, chunks);
    for (size_t i = 0; i < n; i++)
        gram_sha256_add(hash, &chunks[i].sum, sizeof chunks[i].sum);
    for (size_t i = 0; i < gram_store_count(store); i++)
        gram_store_release(store, gram_store_at(store, i), 0, gram_store_at(store, i)->shape[0]);
    if (is_sampled)
        add_times(hash, store);
    free(chunks);
    return GRAM_OK;
}
