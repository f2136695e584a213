/*
 * Training on the samples that matter most now (adaptive coreset selection, Huang et al. 2023, "Efficient
 * quantization-aware training with adaptive coreset selection"). Of a sample, meaned over its labels:
 *
 *     error vector score   |p(student) - label|          how far its gradient would move the model
 *     disagreement         |p(student) - p(teacher)|     how far rounding has moved it
 *
 * A share of the samples with the greatest beta * error + (1 - beta) * disagreement is taken, beta =
 * cos(pi t / 2E) in epoch t of E: first what is hard, at the end what the float model knows better. Without a
 * teacher, the error alone.
 */
#ifndef GRAM_TRAIN_CORESET_H
#define GRAM_TRAIN_CORESET_H

#include "train/batches.h"
#include "train/stepper.h"

struct gram_score {
    double error, disagreement, mixed;
    int64_t sample;
};

struct gram_coreset {
    double share;   /* of the samples; 1: all, and nothing is measured */
    int64_t every;  /* epochs between choices */
    int64_t epochs; /* in all */
    float *chosen;  /* [samples]: 1 or 0 */
    struct gram_score *scores;      /* [samples] */
    double (*rows)[2];              /* [rows of a batch]: error and disagreement of a token */
    struct gram_batches all;        /* all samples in their order */
    struct gram_minibatch batch;
    struct gram_arena arena;
};

/* share, every and epochs are the caller's; false if memory ran out. */
bool gram_coreset_open(struct gram_coreset *coreset, const struct gram_dataset *data, int64_t rows,
                       int64_t context);
void gram_coreset_close(struct gram_coreset *coreset);

/* Measure all samples with the stepper (and its teacher) and fill `chosen`, at the start of this epoch. */
void gram_coreset_renew(struct gram_coreset *coreset, struct gram_stepper *stepper, int64_t epoch);

/* scores[n].mixed decides: chosen[sample] is 1 for the share (rounded up) where it is greatest, the earlier
 * of equals, else 0. Sorts scores. */
void gram_coreset_choose(float *chosen, struct gram_score *scores, int64_t n, double share);

#endif
