/*
 * A model's tensors by name, whatever files they lie in. Opening reads the headers only; data stay
 * mapped until they are looked at.
 */
#ifndef GRAM_FORMATS_STORE_H
#define GRAM_FORMATS_STORE_H

#include <stddef.h>
#include <gram/tensor.h>
#include "base/error.h"

/* Opaque, immutable, shared by threads. */
struct gram_store;

/*
 * path is a directory (model.safetensors.index.json with its shards, else model.safetensors, else the only
 * *.safetensors) or one .safetensors file. Returns GRAM_OK, GRAM_ENOENT, GRAM_EIO, GRAM_EFORMAT,
 * GRAM_EUNSUPPORTED (a dtype we do not know, pytorch_model.bin), GRAM_ENOMEM.
 */
enum gram_status gram_store_open(struct gram_store **out, const char *path, struct gram_error *err);
void gram_store_close(struct gram_store **store);

/*
 * The tensors at[n] (copied; names, data and file numbers as they are, sorted by file) as a store of their
 * own over the files of `of`, which must outlive it. Data may be NULL. GRAM_OK, GRAM_EFORMAT (a name
 * stands twice), GRAM_ENOMEM.
 */
enum gram_status gram_store_select(struct gram_store **out, const struct gram_store *of,
                                   const struct gram_tensor *at, size_t n, struct gram_error *err);

/* All tensors, in the order of files, then of data. Borrowed from the store, names too. */
size_t gram_store_count(const struct gram_store *store);
const struct gram_tensor *gram_store_at(const struct gram_store *store, size_t i);
/* By name, in O(1) or O(log n); NULL if there is none. */
const struct gram_tensor *gram_store_find(const struct gram_store *store, const char *name);

/* The files, for messages and hashes. */
int gram_store_files(const struct gram_store *store);
const char *gram_store_file_path(const struct gram_store *store, int file);
uint64_t gram_store_file_size(const struct gram_store *store, int file);

/* The pages of rows [begin, end) of the outermost dimension are wanted soon / not needed any more. */
void gram_store_willneed(const struct gram_store *store, const struct gram_tensor *t, int64_t begin,
                         int64_t end);
void gram_store_release(const struct gram_store *store, const struct gram_tensor *t, int64_t begin,
                        int64_t end);

/* Sum of the bytes of all tensors. */
uint64_t gram_store_bytes(const struct gram_store *store);

#endif
