/*
 * model.safetensors.index.json: which shard holds which tensor. Shard names are plain file names;
 * nothing that could lead out of the model's folder gets past here. metadata.total_size is advisory
 * and not looked at.
 */
#ifndef GRAM_FORMATS_HF_INDEX_H
#define GRAM_FORMATS_HF_INDEX_H

#include <stddef.h>
#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"

struct gram_hf_index {
    const char **shards; /* [n_shards] distinct file names, sorted */
    int n_shards;
    const char **tensors; /* [n] in the order of the file */
    int *shard_of;        /* [n] the shard of each tensor, 0..n_shards-1 */
    size_t n;
};

/* All memory of *index comes from arena. Returns GRAM_OK, GRAM_EFORMAT, GRAM_EUNSUPPORTED (more
 * than 10,000 shards or a million tensors), GRAM_ENOMEM. */
enum gram_status gram_hf_index_read(struct gram_hf_index *index, const struct gram_file *file,
                                    struct gram_arena *arena, struct gram_error *err);

#endif
