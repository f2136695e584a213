/*
 * Reading the sources once, from front to back, a few megabytes at a time: what is done with the
 * rows of a piece runs on the pool beside the hash of the same bytes, and the pages are given back
 * after. The order and the pieces are always the same, so results do not depend on the number of
 * threads.
 */
#ifndef GRAM_QUANT_STREAM_H
#define GRAM_QUANT_STREAM_H

#include <stdbool.h>
#include <gram/job.h>
#include "base/hash.h"
#include "base/pool.h"
#include "formats/store.h"

struct gram_stream {
    const struct gram_store *store;
    struct gram_pool *pool;
    const struct gram_job *job;         /* may be NULL */
    bool is_hashing;                    /* off when tensors are read again */
    struct gram_sha256 hash;            /* of `file` so far */
    int file;                           /* -1 before the first */
    size_t next_tensor;                 /* the first one that lies behind `file` */
    char (*file_hash)[GRAM_SHA256_HEX]; /* [files]; valid for those that were left behind */
    const char *item;                   /* for progress reports */
    uint64_t done, total;               /* bytes */
};

/* A piece of a tensor: rows [begin, end) of its outermost dimension. */
struct gram_piece {
    const struct gram_tensor *tensor;
    int64_t begin, end;
    int64_t row_bytes;
    const char *data;
};

/* file_hash has room for gram_store_files(store). */
void gram_stream_init(struct gram_stream *stream, const struct gram_store *store,
                      struct gram_pool *pool, const struct gram_job *job,
                      char (*file_hash)[GRAM_SHA256_HEX], uint64_t total);

/* Before the first piece of a tensor; tensors come in the order of the store. `label` is borrowed.
 * Also takes in what stands before the first tensor of a file. */
enum gram_status gram_stream_start(struct gram_stream *stream, const struct gram_tensor *tensor,
                                   const char *label, struct gram_error *err);

/* The piece of `tensor` that starts at row `begin`; false at the end. */
bool gram_stream_piece(const struct gram_tensor *tensor, int64_t begin, struct gram_piece *piece);

/*
 * fn(context, i, i + 1, worker) for i in 0..count-1, while the piece's bytes are hashed if
 * `is_first_time`; then give its pages back. GRAM_ECANCELED when the job is to stop.
 */
enum gram_status gram_stream_run(struct gram_stream *stream, const struct gram_piece *piece,
                                 bool is_first_time, int64_t count, gram_pool_fn *fn, void *context,
                                 struct gram_error *err);
/* Pass over a tensor for its hash only. */
enum gram_status gram_stream_skip(struct gram_stream *stream, const struct gram_tensor *tensor,
                                  struct gram_error *err);

/* The hash of the current file so far. */
void gram_stream_mark(const struct gram_stream *stream, char hex[GRAM_SHA256_HEX]);
/* After the last tensor: the hashes of all files, also of those without tensors. */
enum gram_status gram_stream_finish(struct gram_stream *stream, struct gram_error *err);

/* Is the job to stop? Fails with GRAM_ECANCELED then. */
enum gram_status gram_stream_poll(const struct gram_stream *stream, struct gram_error *err);

#endif
