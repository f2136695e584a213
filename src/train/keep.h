/*
 * Checkpoints of a training: weights, states of the optimizer, and where it stood. Two files take turns in
 * the output's folder; a line of its journal, written when the file is safe on disk, makes one the last.
 */
#ifndef GRAM_TRAIN_KEEP_H
#define GRAM_TRAIN_KEEP_H

#include "base/output.h"
#include "train/batches.h"
#include "train/params.h"

/* Where a training stands. */
struct gram_standing {
    int64_t step;                  /* steps done */
    struct gram_position position; /* of the data */
    double first_loss, last_loss;  /* of steps */
    double held_before, held;      /* mean loss on what was held out: at the start, last */
    double best;                   /* the least of these */
    int64_t best_step, waited;     /* its step; measurements since */
    int64_t tokens;
};

/* Numbers that a checkpoint holds beside the parameters. */
struct gram_kept {
    float *at; /* [n]; the caller's */
    int64_t n;
};

struct gram_keeper {
    struct gram_output *output; /* NULL: another rank keeps */
    const struct gram_params *params;
    const struct gram_kept *extras; /* [n_extras] */
    size_t n_extras;
    float **best;   /* [params]: weights of the best step; NULL: not kept */
    int turn;       /* 0 or 1: the file that is written next */
    int64_t kept;   /* step of the last checkpoint; 0: none */
};

/* The journal's first line: which job this is. */
enum gram_status gram_keeper_begin(struct gram_keeper *keeper, const char *job,
                                   struct gram_error *err);
/* What an interrupted run left. */
enum gram_found {
    GRAM_FOUND_NOTHING,
    GRAM_FOUND_OTHER_JOB,
    GRAM_FOUND_LAST,  /* its last checkpoint */
    GRAM_FOUND_OLDER, /* the last is damaged: the one before it */
};

/*
 * Read what an interrupted run of the same job left: standing, weights, states. GRAM_EIO if it left
 * checkpoints and all of them are damaged.
 */
enum gram_status gram_keeper_resume(struct gram_keeper *keeper, const char *job,
                                    struct gram_standing *standing, enum gram_found *found,
                                    struct gram_error *err);
enum gram_status gram_keeper_save(struct gram_keeper *keeper, const struct gram_standing *standing,
                                  struct gram_error *err);
/* Remove both files: before the folder becomes the result. */
void gram_keeper_clear(const struct gram_keeper *keeper);

#endif
