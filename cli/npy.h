/* NumPy's .npy files: token ids in, activations out. */
#ifndef GRAM_CLI_NPY_H
#define GRAM_CLI_NPY_H

#include <stddef.h>
#include <stdint.h>
#include <gram/status.h>

/* Token ids of shape [T] (then B is 1) or [B, T]. */
struct npy_ids {
    int64_t batch, length;
    int32_t *at; /* [batch, length], row-major */
};

/*
 * Version 1.0 or 2.0, type <i4 or <i8, C order, rank 1 or 2, neither axis 0, at most 2^28 ids,
 * nothing behind them; ids below 0 or beyond int32 are refused. Free with npy_ids_reset(). Returns
 * GRAM_OK, GRAM_EFORMAT, GRAM_EUNSUPPORTED, GRAM_ENOMEM, and for the file GRAM_ENOENT, GRAM_EIO.
 */
enum gram_status npy_parse(struct npy_ids *ids, const void *bytes, size_t n, const char *where,
                           struct gram_error *err);
enum gram_status npy_read(struct npy_ids *ids, const char *path, struct gram_error *err);
void npy_ids_reset(struct npy_ids *ids);

enum { NPY_HEADER = 128 };
/* The header of an f32 array, version 1.0, padded to NPY_HEADER bytes. 1 <= rank <= 4. */
void npy_header(char out[NPY_HEADER], const int64_t *shape, int rank);

#endif
