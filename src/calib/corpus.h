/*
 * What a model is calibrated on: windows of token ids, cut from a text file, from the records of a
 * JSONL file, or from the model's own generations.
 */
#ifndef GRAM_CALIB_CORPUS_H
#define GRAM_CALIB_CORPUS_H

#include <gram/job.h>
#include <gram/model.h>
#include <gram/tokenizer.h>
#include "base/arena.h"
#include "base/error.h"

struct gram_window {
    const int32_t *tokens;
    int64_t n; /* 2..context */
};

struct gram_corpus {
    struct gram_window *windows;
    size_t n_windows;
    int64_t tokens;      /* of all windows */
    int64_t records;     /* lines of a JSONL file that were used; 0 for plain text */
    char hash[65];       /* SHA-256 of the ids and the cuts: what the calibration was */
    struct gram_arena arena;
};

struct gram_corpus_options {
    /* *.jsonl: one record a line, in any of the forms of docs/methods.md; *.json: a list of them; else
     * text */
    const char *path;
    int64_t context;       /* tokens of a window, at least 2 */
    int64_t max_tokens;    /* stop after so many; 0: all there are */
    uint64_t seed;         /* of the order in which windows are taken */
};

/*
 * Windows do not overlap; a text is tokenized once with the tokenizer's own BOS at its start, a record
 * alone with its BOS, and records follow each other without a gap. GRAM_EFORMAT names the line of a bad
 * record; GRAM_EINVAL when there are fewer than two tokens. Release with gram_corpus_reset(), also
 * after a failure.
 */
enum gram_status gram_corpus_read(struct gram_corpus *corpus, const struct gram_tokenizer *tokenizer,
                                  const struct gram_corpus_options *options, struct gram_error *err);
void gram_corpus_reset(struct gram_corpus *corpus);

/* The model's own text: `tokens` of it (at least 2), sampled at temperature 1 from BOS, or from a
 * token of the seed's choice where there is none, until an EOS or the context ends a window. Same
 * errors; GRAM_ECANCELED. */
enum gram_status gram_corpus_generate(struct gram_corpus *corpus, const struct gram_model *model,
                                      const struct gram_tokenizer *tokenizer, int64_t context,
                                      int64_t tokens, uint64_t seed, const struct gram_job *job,
                                      struct gram_error *err);

/* The windows that a rank of `size` runs, in the order of all; borrowed, not to be reset. */
struct gram_corpus gram_corpus_share(const struct gram_corpus *corpus, int rank, int size);

/* Tokens of the longest window; 0 if there is none. */
int64_t gram_corpus_longest(const struct gram_corpus *corpus);
/* Fill in the hash, from the windows. */
void gram_corpus_hash(struct gram_corpus *corpus);

#endif
