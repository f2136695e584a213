/* Any bytes as a model.safetensors.index.json; no shard name may lead out of the folder. */
#include <string.h>

#include "formats/hf_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gram_hf_index *index)
{
    GRAM_ASSERT(index->n > 0 && index->n_shards > 0 && (size_t)index->n_shards <= index->n);
    for (int i = 0; i < index->n_shards; i++) {
        const char *name = index->shards[i];
        GRAM_ASSERT(name[0] && !strpbrk(name, "/\\") && strcmp(name, ".") && strcmp(name, ".."));
        GRAM_ASSERT(i == 0 || strcmp(index->shards[i - 1], name) < 0);
    }
    for (size_t i = 0; i < index->n; i++)
        GRAM_ASSERT(index->shard_of[i] >= 0 && index->shard_of[i] < index->n_shards);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gram_arena arena = {0};
    struct gram_hf_index index;
    struct gram_file *file;
    struct gram_error err;

    if (gram_file_from_bytes(&file, data, size, "fuzz", &err) != GRAM_OK)
        return 0;
    if (gram_hf_index_read(&index, file, &arena, &err) == GRAM_OK)
        check(&index);
    gram_file_close(&file);
    gram_arena_reset(&arena);
    return 0;
}
