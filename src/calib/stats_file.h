/*
 * Statistics kept in a file, to quantize again without running the model: one safetensors file with the
 * tensors "<op>.tokens", "<op>.low", "<op>.high", "<op>.absmax", "<op>.mean_abs" and "<op>.gram" of each
 * linear (those that share an input are listed under the first), "calibration.format", and
 * "calibration.corpus" and "calibration.model", the hashes of what they are of.
 */
#ifndef GRAM_CALIB_STATS_FILE_H
#define GRAM_CALIB_STATS_FILE_H

#include "calib/stats.h"
#include "formats/store.h"

/* What is kept of the input of one op. */
struct gram_kept_input {
    const char *op;
    int64_t cols;
    unsigned needs; /* enum gram_need: of GRAM_NEED_RANGE, _MEAN_ABS and _GRAM */
};

/*
 * Write a file, one input after the other, so that they need not be in memory together. inputs[n] are
 * borrowed; hashes are 64 hexadecimal digits. path is replaced when all is written, and until then nothing
 * happens to it. GRAM_EIO, GRAM_ENOSPC, GRAM_ENOENT (no such folder), GRAM_ENOMEM.
 */
struct gram_stats_writer;
enum gram_status gram_stats_writer_open(struct gram_stats_writer **writer, const char *path,
                                        const struct gram_kept_input *inputs, size_t n,
                                        const char *corpus_hash, const char *model_hash,
                                        struct gram_error *err);
/* The next input. */
enum gram_status gram_stats_writer_put(struct gram_stats_writer *writer, const struct gram_input_stats *stats,
                                       struct gram_error *err);
/* After the last one. The writer is gone in any case. */
enum gram_status gram_stats_writer_publish(struct gram_stats_writer **writer, struct gram_error *err);
/* Remove what was written. Accepts NULL. */
void gram_stats_writer_discard(struct gram_stats_writer **writer);

/* A file of statistics. Zero bytes are a closed one. */
struct gram_stats_file {
    struct gram_store *store;
    char corpus_hash[65];
};

/* GRAM_EINVAL when it is of another model than model_hash says, or of another version of gram; else as
 * gram_store_open(). */
enum gram_status gram_stats_file_open(struct gram_stats_file *file, const char *path,
                                      const char *model_hash, struct gram_error *err);
void gram_stats_file_close(struct gram_stats_file *file);

/*
 * Statistics of an op with `cols` inputs, for reading: arrays are borrowed from the file, those that it
 * lacks are NULL. GRAM_ENOENT when it has none of this op or lacks one of `needs` (a histogram always:
 * it is not kept), GRAM_EFORMAT when a shape is wrong or a value is not finite.
 */
enum gram_status gram_stats_file_find(const struct gram_stats_file *file, const char *op,
                                      int64_t cols, unsigned needs, struct gram_input_stats *stats,
                                      struct gram_error *err);

#endif
