/*
 * One pass forward and back over a few sequences: the loss, and the gradients of what is trained.
 *
 * Either the values of all blocks stay until the way back; or blocks are run again there (Chen et al.
 * 2016, "Training deep nets with sublinear memory cost"), so that the values of one block and the
 * boundaries between all are what it holds. What follows the last block, with its row of logits for
 * every token, goes forward and back over some rows at a time; and what is more than a pass takes is
 * cut into passes. Results are the same, bit for bit, whatever is chosen.
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
    int64_t rows;      /* tokens of a pass: at least `length` */
    int64_t total;     /* tokens of a call, in several passes; 0: as `rows` */
    int64_t sequences; /* of a pass */
    int64_t length;    /* of a sequence */
    int64_t piece;     /* rows of logits at a time; 0: all */
    bool keeps_all;    /* the values of all blocks stay; not with caches that round */
    bool keeps_logits; /* those of all rows stay as they are, beside their gradients; piece is 0 */
    enum gram_kv_kind kv; /* what caches hold: gradients pass through their rounding */
};

struct gram_stepper {
    const struct gram_model_desc *desc;
    const struct gram_graph *graph;
    struct gram_exec exec;
    struct gram_grad grad;
    struct gram_kv cache;               /* shared by the sequences */
    struct gram_kv *views;              /* [sequences] */
    struct gram_exec_segment *segments; /* [sequences]: of the pass */
    struct gram_exec_segment *pieces;   /* [sequences]: of a piece of the tail */
    float **boundaries;                 /* [blocks]: what enters each; NULL: all values stay */
    float *entries;                     /* [total][cols]: gradients of what enters block 0, of all passes */
    float *logits;                      /* [piece][vocab] */
    float *d_logits;                    /* the same memory, unless logits stay */
    double *losses;                     /* [rows] */
    struct gram_stepper_limits limits;
    struct gram_teacher *teacher;    /* the caller's; NULL (as it is opened): none. Needs keeps_logits */
    struct gram_objective objective; /* with a teacher */
    struct gram_arena arena;
};

/* Bytes of its rows, without the scratch of threads; -1: more than can be counted. */
int64_t gram_stepper_bytes(const struct gram_graph *graph, struct gram_stepper_limits limits);

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
