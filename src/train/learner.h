/*
 * A model whose weights can move: its graph, what stands behind each of its parameters, their gradients, and
 * which of them are trained. Everything in f32, except the base of an adapter, which stays as it is stored.
 */
#ifndef GRAM_TRAIN_LEARNER_H
#define GRAM_TRAIN_LEARNER_H

#include "base/runtime.h"
#include "engine/checkpoint.h"
#include "quant/layout.h"
#include "train/export.h"
#include "train/fake.h"
#include "train/freeze.h"
#include "train/held.h"
#include "train/lora.h"
#include "train/mold.h"
#include "train/params.h"
#include "train/ranges.h"
#include "train/stepper.h"

struct gram_learner {
    struct gram_runtime *rt;
    const struct gram_checkpoint *ck;
    struct gram_kernels kernels;
    struct gram_model_desc desc;    /* of ck, with the adapter */
    struct gram_graph graph;
    struct gram_lora lora;
    struct gram_low_rank *low_ranks;
    size_t n_slots;                 /* of the model, then the halves of the adapter's pairs */
    struct gram_binding *bindings;  /* [n_slots] */
    float **weights, **grads;       /* [n_slots]; NULL: frozen */
    struct gram_fake **fakes;       /* [n_slots]; NULL: multiplied as it is */
    struct gram_held **held;        /* [n_slots]: codes that stay, whose steps are trained; NULL: not so */
    bool **moves;                   /* [n_slots]: [rows] that are trained; NULL: all */
    struct gram_ranges ranges;      /* of activations that are rounded */
    struct gram_mold **molds;       /* [n_slots]: made of what is trained; NULL: not so */
    struct gram_coded *bases;       /* [slots]: codes that were made on the way, if they are to be kept */
    struct gram_loftq_result loftq; /* over all pairs */
    struct gram_params params;
    int64_t trained;                /* weights that are */
    struct gram_arena arena;
};

/* What is trained, and how. */
struct gram_learner_plan {
    const struct gram_lora_options *lora; /* train an adapter; NULL: the model's own weights */
    const struct gram_layout *layout;     /* linears with codes are trained on their grids; NULL: none */
    bool is_steps;     /* nothing but the steps of a quantized model */
    bool is_random;    /* the model's own weights begin anew, by `seed` */
    uint64_t seed;
    double channels;   /* share of the rows of linears on grids that is trained, above 0 to 1 */
    bool learns_ranges; /* of activations with one scale, once they are watched no longer */
    const struct gram_mold_kind *mold; /* linears with codes are made of something smaller; NULL: not */
    const struct gram_scheme *base;    /* of a float source: linears are frozen as codes; NULL: not */
    int loftq;         /* iterations that begin the pairs; 0: they begin as PEFT's do */
    bool keeps_base;   /* those codes are wanted: gram_learner_base_values */
    const struct gram_optimizer *optimizer;
};

/* States of the optimizer are not placed yet (gram_params_place). ck and rt must outlive it. Close it also
 * after a failure. GRAM_EINVAL, GRAM_EUNSUPPORTED, GRAM_ENOMEM. */
enum gram_status gram_learner_open(struct gram_learner *learner, struct gram_runtime *rt,
                                   const struct gram_checkpoint *ck,
                                   const struct gram_learner_plan *plan, struct gram_error *err);
void gram_learner_close(struct gram_learner *learner);

/* Before a pass: what linears are multiplied by follows the weights. */
void gram_learner_prepare(struct gram_learner *learner);
/* After the passes of a step, before the ranks of a job add up what they have: gradients of what is not
 * itself trained become those of what is. */
void gram_learner_collect(struct gram_learner *learner);
/* Behind that: gradients of what is multiplied become those of the weights. */
void gram_learner_pull(struct gram_learner *learner);

/* What moved, for gram_export_model(); the context is the learner. */
gram_export_fn gram_learner_values;
/* The base whose codes were made on the way. */
gram_export_fn gram_learner_base_values;

/* Parts of opening (learner_bases.c). */
enum gram_status gram_learner_freeze_bases(struct gram_learner *learner,
                                           const struct gram_learner_plan *plan,
                                           struct gram_error *err);
enum gram_status gram_learner_cast_molds(struct gram_learner *learner,
                                         const struct gram_learner_plan *plan, struct gram_error *err);

#endif
