/* Which file of a model's folder to start from. */
#ifndef GRAM_FORMATS_HF_FOLDER_H
#define GRAM_FORMATS_HF_FOLDER_H

#include <stdbool.h>
#include "base/error.h"

/*
 * model.safetensors.index.json, else model.safetensors, else the only *.safetensors of the folder.
 * *path is yours, free() it; *is_index says which kind it is. Returns GRAM_OK, GRAM_ENOENT (naming
 * what was looked for), GRAM_EIO, GRAM_EUNSUPPORTED (weights of another format only), GRAM_ENOMEM.
 */
enum gram_status gram_hf_folder_find(char **path, bool *is_index, const char *dir,
                                     struct gram_error *err);

/* The format that a weight file's name speaks of when it is one we do not read ("PyTorch", "GGUF");
 * else NULL. */
const char *gram_foreign_weights(const char *name);

#endif
