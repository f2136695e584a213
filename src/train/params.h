/*
 * What is trained: named runs of f32 weights with their gradients and the optimizer's states, and
 * one step of all of them. Sums have one order, whatever the number of threads.
 */
#ifndef GRAM_TRAIN_PARAMS_H
#define GRAM_TRAIN_PARAMS_H

#include "base/arena.h"
#include "base/pool.h"
#include "train/optimizer.h"

struct gram_param {
    const char *name; /* borrowed */
    float *w, *g;     /* [n]; the caller's */
    int64_t n;
    bool is_decayed; /* does weight decay act on it? */
    float *state[GRAM_MAX_STATES];
};

struct gram_params {
    struct gram_param *at;
    size_t n;
    const struct gram_optimizer *optimizer;
    struct gram_pool *pool;
    double *sums; /* of pieces */
    int64_t most; /* weights of the longest */
    struct gram_arena arena;
};

/* Zeroed states for n parameters, which are copied. GRAM_ENOMEM. */
enum gram_status gram_params_open(struct gram_params *params, const struct gram_param *from,
                                  size_t n, const struct gram_optimizer *optimizer,
                                  struct gram_pool *pool, struct gram_error *err);
void gram_params_close(struct gram_params *params);

void gram_params_clear(struct gram_params *params);
/* The length of all gradients as one vector; not finite if one of them is not. */
double gram_params_norm(const struct gram_params *params);
/* Gradients whose length is above `most` are brought to it (torch's clip_grad_norm_). */
void gram_params_clip(struct gram_params *params, double norm, double most);
/* Step number 1, 2, ... */
void gram_params_step(struct gram_params *params, const struct gram_optimizer_options *options,
                      int64_t step);

#endif
