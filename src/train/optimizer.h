/*
 * Optimizers: how a run of weights moves along its gradient. One row of a table each; states are so
 * many f32 per weight, zero at the start, kept by the caller, who may keep them in codes between the
 * steps (states.h). Semantics are those of torch.optim's classes of the same names.
 */
#ifndef GRAM_TRAIN_OPTIMIZER_H
#define GRAM_TRAIN_OPTIMIZER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

enum { GRAM_MAX_STATES = 3 };

struct gram_optimizer_options {
    double lr;
    double beta1, beta2, eps; /* Adam's */
    double weight_decay;      /* decoupled for adamw, else added to the gradient */
    double momentum, dampening;
    double alpha; /* rmsprop: decay of the mean square */
    bool nesterov;
};
#define GRAM_OPTIMIZER_OPTIONS_INIT                                                                \
    {                                                                                              \
        1e-3, 0.9, 0.999, 1e-8, 0.0, 0.0, 0.0, 0.99, false                                  \
    }

/* n weights, their gradients and states, at step t = 1, 2, ... */
struct gram_update {
    const struct gram_optimizer_options *options;
    int64_t step;
    float *w;
    const float *g;
    float *state[GRAM_MAX_STATES];
    int64_t n;
};

struct gram_optimizer {
    const char *name, *summary;
    int n_states;
    void (*update)(const struct gram_update *u);
    bool is_coded;                   /* states are kept in 8 bits between steps */
    bool is_signed[GRAM_MAX_STATES]; /* ... may they be below 0? */
};

const struct gram_optimizer *gram_optimizers(void); /* a NULL name ends the table */
enum gram_status gram_optimizer_find(const struct gram_optimizer **out, const char *name,
                                     struct gram_error *err);

#endif
