/* The small files of the output folder: config.json, the index of shards, and what is copied from
 * the source. */
#ifndef GRAM_QUANT_SIDECAR_H
#define GRAM_QUANT_SIDECAR_H

#include "quant/layout.h"

/* A file of the output, for the certificate. Strings live in the list's arena. */
struct gram_written_file {
    const char *name;
    uint64_t bytes;
    char hash[GRAM_SHA256_HEX];
};
struct gram_written {
    struct gram_written_file *at;
    size_t n, cap;
    struct gram_arena arena;
};
void gram_written_reset(struct gram_written *written);
bool gram_written_add(struct gram_written *written, const char *name, uint64_t bytes,
                      const char *hash);

/* Write one of gram's own making. */
enum gram_status gram_sidecar_put(struct gram_written *written, const struct gram_output *output,
                                  const char *name, const char *bytes, size_t n,
                                  struct gram_error *err);

/* config.json with the quantization_config or the dtype of a cast. */
enum gram_status gram_sidecar_config(struct gram_written *written, const struct gram_output *output,
                                     const struct gram_checkpoint *ck,
                                     const struct gram_assignment *assigned,
                                     struct gram_error *err);
/* model.safetensors.index.json, when there is more than one shard. */
enum gram_status gram_sidecar_index(struct gram_written *written, const struct gram_output *output,
                                    const struct gram_layout *layout, struct gram_error *err);
/*
 * Tokenizer, generation, preprocessor and template files, licences and notices, as they are. Not
 * copied: the model card (it describes other weights), anything in subfolders, and what gram does
 * not know.
 */
enum gram_status gram_sidecar_copy(struct gram_written *written, const struct gram_output *output,
                                   const char *folder, struct gram_error *err);
/* Their size, for the estimate. */
uint64_t gram_sidecar_bytes(const char *folder);

#endif
