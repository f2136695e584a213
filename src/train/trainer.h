/*
 * The loop of a training: batches, accumulated gradients, clipping, the optimizer's steps, measurements on
 * what was held out, checkpoints. Ranks of one job (base/comm.h) each run a share of every batch and take the
 * same step by the sum of their gradients. Same data, options and seed: same weights, for any number of
 * threads, and whether or not it was interrupted.
 */
#ifndef GRAM_TRAIN_TRAINER_H
#define GRAM_TRAIN_TRAINER_H

#include <gram/job.h>
#include <gram/tune.h>
#include "train/batches.h"
#include "train/coreset.h"
#include "train/keep.h"
#include "train/learner.h"
#include "train/schedule.h"

struct gram_trainer_options {
    int64_t steps;      /* in all */
    int64_t accumulate; /* batches of a step */
    int64_t rows, context; /* of a batch; tokens of a row */
    struct gram_stepper_limits limits; /* of a pass */
    double clip;        /* longest gradient; 0: any */
    struct gram_optimizer_options optimizer;
    const struct gram_schedule *schedule;
    struct gram_schedule_options schedule_options;
    int64_t eval_every; /* steps; 0: at the start and the end alone */
    int64_t patience;   /* measurements without a new best one; 0: go on; else the best weights are kept */
    int64_t keep_every; /* steps between checkpoints; 0: none */
    enum gram_kv_kind kv; /* what caches hold */
    struct gram_teacher *teacher; /* open; or NULL */
    struct gram_objective objective; /* with a teacher */
    int64_t watch_steps; /* in which ranges of activations follow what is seen */
    double coreset; /* share of the samples that is trained on, above 0 to 1 */
    int64_t coreset_every, epochs; /* epochs between choices; in all */
    void (*on_step)(void *user, const struct gram_tune_step *step);
    void *user;
};

struct gram_trainer {
    struct gram_learner *learner;
    struct gram_batches batches, held; /* held.data is NULL: nothing was held out */
    struct gram_minibatch *batch;          /* [accumulate], and one for measuring */
    struct gram_coreset coreset;
    struct gram_kept *extras;          /* of the keeper: ranges of activations, and the coreset */
    struct gram_stepper stepper;
    struct gram_keeper *keeper;
    struct gram_trainer_options options;
    const struct gram_job *job;        /* or NULL */
    struct gram_standing standing;
    bool is_early;                     /* it ended before the last step, by patience */
    struct gram_arena arena;
};

/* held may be NULL. Everything must outlive the trainer. Close it also after a failure. */
enum gram_status gram_trainer_open(struct gram_trainer *trainer, struct gram_learner *learner,
                                   const struct gram_dataset *data, const struct gram_dataset *held,
                                   struct gram_keeper *keeper,
                                   const struct gram_trainer_options *options, uint64_t seed,
                                   const struct gram_job *job, struct gram_error *err);
void gram_trainer_close(struct gram_trainer *trainer);

/*
 * From `standing` to the end. GRAM_ECANCELED leaves a checkpoint; GRAM_ENUMERIC (a loss or a gradient that is
 * not finite) leaves the last one.
 */
enum gram_status gram_trainer_run(struct gram_trainer *trainer, struct gram_error *err);

#endif
