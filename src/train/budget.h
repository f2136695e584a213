/*
 * What a training takes, planned before its first step: which values stay, how many rows go through
 * the model at a time and where the optimizer's states lie, so that a limit is kept. None of that
 * changes a bit of the result.
 */
#ifndef GRAM_TRAIN_BUDGET_H
#define GRAM_TRAIN_BUDGET_H

#include <gram/tune.h>

#include "train/learner.h"

struct gram_budget_ask {
    const char *what;             /* the model, for sentences */
    const struct gram_learner *learner;
    int64_t rows, context;        /* of a batch; tokens of a row */
    int64_t samples_per_row;      /* at most */
    uint64_t data;                /* bytes of tokens and labels, and of a teacher */
    uint64_t limit;               /* 0: none */
    bool is_paged;                /* asked for, whatever the limit */
    bool keeps_best;              /* a second copy of the weights */
    bool keeps_logits;            /* those of a whole batch stay, for a teacher or to choose samples by */
    enum gram_kv_kind kv;         /* what caches hold */
};

struct gram_budget {
    struct gram_tune_memory memory;
    struct gram_stepper_limits limits; /* of a pass */
};

/* Before anything is loaded: do the weights alone fit? They take `bytes`. GRAM_ENOMEM. */
enum gram_status gram_budget_check(const char *what, uint64_t bytes, uint64_t limit,
                                   struct gram_error *err);
/* The fastest way that fits. GRAM_ENOMEM: there is none. */
enum gram_status gram_budget_make(struct gram_budget *budget, const struct gram_budget_ask *ask,
                                  struct gram_error *err);

#endif
