/*
 * The order in which samples are learned. A row of a batch is filled with as many samples as it has room for;
 * they do not see each other. Every epoch has an order of its own.
 */
#ifndef GRAM_TRAIN_BATCHES_H
#define GRAM_TRAIN_BATCHES_H

#include "train/dataset.h"
#include "train/stepper.h"

enum { GRAM_ROW_SAMPLES = 16 }; /* at most, in one row */

/* Where the next batch begins. */
struct gram_position {
    int64_t epoch, at; /* samples of the epoch that were taken */
};

struct gram_batches {
    const struct gram_dataset *data;
    int64_t rows, context; /* of a batch; tokens of a row */
    uint64_t seed;
    bool is_shuffled;
    struct gram_position position;
    int64_t ordered; /* the epoch that `order` is of; -1: none yet */
    int64_t *order;  /* [samples]: those of the epoch first, */
    int64_t n_ordered; /* so many */
    const float *chosen; /* [samples]: those that are not 0 make an epoch; NULL: all */
    struct gram_arena arena;
};

/* The memory of one batch. */
struct gram_minibatch {
    int32_t *tokens, *labels; /* [rows * context] */
    int64_t *lengths;         /* [rows * GRAM_ROW_SAMPLES] */
    int64_t n, tokens_n, counted;
};

bool gram_batches_open(struct gram_batches *batches, const struct gram_dataset *data, int64_t rows,
                       int64_t context, uint64_t seed, bool is_shuffled);
void gram_batches_close(struct gram_batches *batches);
bool gram_minibatch_open(struct gram_minibatch *batch, const struct gram_batches *batches,
                     struct gram_arena *arena);

/* From here on, epochs are made of these. `chosen` stays the caller's. */
void gram_batches_choose(struct gram_batches *batches, const float *chosen);
/* Will the next batch be the first of an epoch? *epoch is the number of its epoch. */
bool gram_batches_begins(const struct gram_batches *batches, int64_t *epoch);

/* The next batch; one that ends an epoch may be smaller. Moves the position. */
void gram_batches_next(struct gram_batches *batches, struct gram_minibatch *batch);
/* Batches in so many epochs, from the beginning; the position is left at their end. */
int64_t gram_batches_count(struct gram_batches *batches, int64_t epochs);

static inline struct gram_sequences gram_minibatch_sequences(const struct gram_minibatch *batch)
{
    return (struct gram_sequences){batch->tokens, batch->labels, batch->lengths, batch->n};
}

#endif
