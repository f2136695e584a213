/*
 * Learning rate schedules: what share of the base rate each step takes. Formulas are those of
 * torch.optim.lr_scheduler and of transformers' optimization.py, which go by the same names.
 */
#ifndef GRAM_TRAIN_SCHEDULE_H
#define GRAM_TRAIN_SCHEDULE_H

#include <stdint.h>
#include "base/error.h"

/* Fields that a schedule does not name are not used. */
struct gram_schedule_options {
    int64_t warmup; /* steps in which the rate grows from 0; 0..total */
    int64_t total;  /* steps of the whole training; at least 1 */
    double final;   /* polynomial, cosine_annealing: last rate as a share of the base */
    double power;   /* polynomial */
    double cycles;  /* cosine: half [0.5]; cosine_restarts: whole ones [1] */
    double gamma;   /* step, exponential: factor */
    int64_t every;  /* step: steps between factors */
};
#define GRAM_SCHEDULE_OPTIONS_INIT                                                                 \
    {                                                                                              \
        0, 1, 0.0, 1.0, 0.5, 1.0, 1                                                                \
    }

struct gram_schedule {
    const char *name, *summary;
    /* For step 0, 1, ...; pure. */
    double (*share)(const struct gram_schedule_options *options, int64_t step);
};

/* All of them; a NULL name ends the table. */
const struct gram_schedule *gram_schedules(void);
/* GRAM_EINVAL, with the names that there are, for an unknown one. */
enum gram_status gram_schedule_find(const struct gram_schedule **out, const char *name,
                                    struct gram_error *err);

#endif
