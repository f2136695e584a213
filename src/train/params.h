/*
 * What is trained: named runs of f32 weights with their gradients and the optimizer's states, and
 * one step of all of them. Sums have one order, whatever the number of threads.
 */
#ifndef GRAM_TRAIN_PARAMS_H
#define GRAM_TRAIN_PARAMS_H

#include "base/arena.h"
#include "base/pool.h"
#include "train/paged.h"
#include "train/states.h"

struct gram_param {
    const char *name; /* borrowed */
    float *w, *g;     /* [n]; the caller's */
    int64_t n;
    bool is_decayed; /* does weight decay act on it? */
    struct gram_states states;
};

struct gram_params {
    struct gram_param *at;
    size_t n;
    const struct gram_optimizer *optimizer;
    struct gram_pool *pool;
    double *sums; /* of pieces */
    struct gram_state_maps *maps; /* or NULL */
    struct gram_paged paged;      /* where states lie, or closed: in the arena */
    int64_t most; /* weights of the longest */
    struct gram_arena arena;
};

/* Bytes of the states of n parameters. */
size_t gram_params_states_bytes(const struct gram_param *at, size_t n,
                                const struct gram_optimizer *optimizer);
/* Of n parameters, which are copied; without states yet. GRAM_ENOMEM. */
enum gram_status gram_params_open(struct gram_params *params, const struct gram_param *from,
                                  size_t n, const struct gram_optimizer *optimizer,
                                  struct gram_pool *pool, struct gram_error *err);
/* Zeroed states: in a file in the folder `paged`, or in memory if it is NULL. GRAM_ENOMEM, GRAM_ENOSPC,
 * GRAM_EIO. */
enum gram_status gram_params_place(struct gram_params *params, const char *paged,
                                   struct gram_error *err);
void gram_params_close(struct gram_params *params);

void gram_params_clear(struct gram_params *params);
/* The length of all gradients as one vector; not finite if one of them is not. */
double gram_params_norm(const struct gram_params *params);
/* Gradients whose length is above `most` are brought to it (torch's clip_grad_norm_). */
void gram_params_clip(struct gram_params *params, double norm, double most);
/* Paged states of a parameter may leave memory. */
void gram_params_release(const struct gram_params *params, const struct gram_param *p);
/* Step number 1, 2, ... */
void gram_params_step(struct gram_params *params, const struct gram_optimizer_options *options,
                      int64_t step);

#endif
