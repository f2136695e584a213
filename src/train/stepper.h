/*
 * One pass forward and back over a few sequences: the loss, and the gradients of what is trained.
 * Blocks are run again on the way back (Chen et al. 2016, "Training deep nets with sublinear memory
 * cost"), so that the values of one block and the boundaries between all are what it holds.
 */
#ifndef GRAM_TRAIN_STEPPER_H
#define GRAM_TRAIN_STEPPER_H

#include "arch/arch.h"
#include "graph/grad.h"
#include "train/objective.h"

struct gram_teacher;

/* Sequences, one after the other. labels[t] is the token that should follow tokens[t], or
 * GRAM_IGNORE. */
struct gram_sequences {
    const int32_t *tokens, *labels; /* [sum of lengths] */
    const int64_t *lengths;         /* [n] */
    int64_t n;
};

struct gram_stepper_limits {
    int64_t rows;      /* tokens of a pass */
    int64_t sequences; /* of a pass */
    int64_t length;    /* of a sequence */
    enum gram_kv_kind kv; /* what caches hold: gradients pass through their rounding */
};

struct gram_stepper {
    const struct gram_model_desc *desc;
    const struct gram_graph *graph;
    struct gram_exec exec;
    struct gram_grad grad;
    struct gram_kv *caches;             /* [sequences] */
    struct gram_exec_segment *segments; /* [sequences] */
    float **boundaries;                 /* [blocks]: what enters each */
    float *logits, *d_logits;           /* [rows][vocab] */
    double *losses;                     /* [rows] */
    struct gram_stepper_limits limits;
    struct gram_teacher *teacher;    /* the caller's; NULL (as it is opened): none */
    struct gram_objective objective; /* with a teacher */
    struct gram_arena arena;
};

/*
 * bindings [slots] and grads [slots] are the caller's and must outlive it; a gradient that is NULL
 * is not wanted. Returns GRAM_OK or GRAM_ENOMEM; close it also after a failure.
 */
enum gram_status gram_stepper_open(struct gram_stepper *stepper, const struct gram_model_desc *desc,
                                   const struct gram_graph *graph,
                                   const struct gram_binding *bindings, float **grads,
                                   const struct gram_kernels *kernels, struct gram_pool *pool,
                                   struct gram_stepper_limits limits, struct gram_error *err);
void gram_stepper_close(struct gram_stepper *stepper);

/* The objective: without a teacher, the cross entropy of all labels that count, summed and divided by
 * divisor. Its gradients are added to grads. */
double gram_stepper_run(struct gram_stepper *stepper, const struct gram_sequences *sequences,
                        double divisor);
/* The cross entropy, without gradients. */
double gram_stepper_loss(struct gram_stepper *stepper, const struct gram_sequences *sequences,
                         double divisor);

#endif
