/*
 * What is learned from: samples of token ids, each with the label that should follow. A text is cut every
 * `context` tokens; a record is one sample, and only its answers are labels.
 */
#ifndef GRAM_TRAIN_DATASET_H
#define GRAM_TRAIN_DATASET_H

#include <gram/job.h>
#include <gram/runtime.h>
#include <gram/tokenizer.h>
#include "base/arena.h"
#include "base/error.h"

struct gram_sample {
    const int32_t *tokens, *labels; /* [n]; labels[t] should follow tokens[t], or GRAM_IGNORE */
    int64_t n;                      /* 1..context */
    int64_t counted;                /* labels that count, at least 1 */
};

struct gram_dataset {
    struct gram_sample *samples;
    size_t n, cap;
    int64_t tokens, counted; /* of all samples */
    int64_t records;         /* that were used; 0 for plain text */
    int64_t skipped;         /* bad ones, passed over */
    int64_t empty;           /* without a label that counts (within the context), left out */
    int64_t cut;             /* longer than the context: what lies behind it is not learned */
    struct gram_error first_skipped;
    char hash[65];           /* SHA-256 of all samples */
    struct gram_arena arena;
};

struct gram_dataset_options {
    const char *path; /* as calib/record_file.h takes it */
    int64_t context;  /* tokens of a sample, at least 2 */
    bool skip_bad;    /* pass over records that cannot be used, and count them */
};

/*
 * Tokens are those of the whole record with the tokenizer's own special ones; its end-of-text token follows
 * an answer that ends the record. GRAM_EFORMAT names the line of a bad record; GRAM_EINVAL when there is
 * nothing to learn. Release with gram_dataset_reset(), also after a failure.
 */
enum gram_status gram_dataset_read(struct gram_dataset *data, const struct gram_tokenizer *tokenizer,
                                   const struct gram_dataset_options *options,
                                   struct gram_error *err);
/*
 * The model's own text (LLM-QAT, Liu et al. 2023) is added: samples of up to `context` tokens that the model
 * at `path` says, `tokens` in all (calib/corpus.h). GRAM_ECANCELED, and what opening a model returns.
 */
enum gram_status gram_dataset_generate(struct gram_dataset *data, struct gram_runtime *rt,
                                       const char *path, const struct gram_tokenizer *tokenizer,
                                       int64_t context, int64_t tokens, uint64_t seed,
                                       const struct gram_job *job, struct gram_error *err);
void gram_dataset_reset(struct gram_dataset *data);

/* For those who fill one: a copy of ids[0..n] as n tokens and labels; of each id of 1..n, is_answer says
 * whether it is a label (NULL: all are). what: for the sentence. Then the hash. GRAM_ENOMEM. */
enum gram_status gram_dataset_add(struct gram_dataset *data, const int32_t *ids, const bool *is_answer,
                                  int64_t n, const char *what, struct gram_error *err);
void gram_dataset_hash(struct gram_dataset *data);

/* Move a share of the samples (at least one, never all), chosen by the seed, to `held`, which borrows them.
 * Their order stays. GRAM_EINVAL when there is only one, GRAM_ENOMEM. */
enum gram_status gram_dataset_hold_out(struct gram_dataset *data, struct gram_dataset *held,
                                       double share, uint64_t seed, struct gram_error *err);

/* 0..n-1 in an order that the seed and the number of the epoch choose. */
void gram_shuffled(int64_t *order, int64_t n, uint64_t seed, int64_t epoch);

#endif
