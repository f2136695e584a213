/*
 * Transforms: rewrites of a block's weights that leave the function of the float model as it is and
 * make it easier to quantize. They work on one block in memory; what they do to the values between
 * blocks (rotation) they do to every block alike.
 */
#ifndef GRAM_QUANT_TRANSFORM_H
#define GRAM_QUANT_TRANSFORM_H

#include <gram/quantize.h>
#include "arch/arch.h"
#include "calib/runner.h"
#include "quant/layout.h"
#include "quant/recipe.h"

/* Weights in memory as f32, by slot; those that are not at hand are NULL. Matrices [rows][cols]. */
struct gram_weights {
    const struct gram_model_desc *desc;
    float **values; /* [slots] */
};

struct gram_transform_options {
    double alpha;     /* smoothquant: share of the difficulty that weights take over; < 0: searched in each
                         place, 0.5 as_reference [-1] */
    int64_t grid;     /* awq: ratios tried [20] */
    bool clip;        /* awq: search for clipping too, which is no longer the same function [true] */
    uint64_t seed;    /* rotate: of the signs */
    bool as_reference; /* no more places than the reference implementation: smoothquant behind norms alone,
                          awq not where heads share values; awq clips whatever the method [false] */
};
#define GRAM_TRANSFORM_OPTIONS_INIT {-1, 20, true, 0, false}

/* A block at work. */
struct gram_transform_call {
    struct gram_weights *weights;             /* all of this layer; -1: embedding, final norm and head */
    int layer;
    const struct gram_graph *graph;
    const struct gram_block *block;           /* NULL for layer -1 */
    const struct gram_block_stats *stats;     /* with what the transform needs; NULL if nothing */
    const struct gram_assignment *assigned;   /* [slots]: the schemes that weights will have */
    const struct gram_transform_options *options;
    struct gram_pool *pool;
    char note[GRAM_NOTE_SIZE];                /* out: what was chosen, for the report; "" */
};

/* Refuse a model that it cannot rewrite, with a sentence. */
typedef enum gram_status gram_transform_check_fn(const struct gram_model_desc *desc, struct gram_error *err);
/* Rewrite the weights at hand and fill the note. GRAM_ENOMEM. */
typedef enum gram_status gram_transform_apply_fn(struct gram_transform_call *call, struct gram_error *err);

struct gram_transform {
    const struct gram_choice *about;
    unsigned needs; /* enum gram_need, at every linear of the block */
    bool rewrites_outside; /* is applied to layer -1 too, before the blocks */
    bool unties; /* a head that is the embedding becomes a weight of its own, filled from it: desc, graph and
                    weights are those of an untied model (gram_arch_untie()) */
    int64_t (*tries)(const struct gram_transform_options *options); /* trials of each place; NULL: none */
    gram_transform_check_fn *check;
    gram_transform_apply_fn *apply;
};

gram_transform_check_fn gram_smoothquant_check, gram_awq_check, gram_rotate_check;
gram_transform_apply_fn gram_smoothquant_apply, gram_awq_apply, gram_rotate_apply;

/* GRAM_EINVAL, with the names that there are, for an unknown one. "none" gives NULL. */
enum gram_status gram_transform_find(const struct gram_transform **out, const char *name,
                                     struct gram_error *err);
/* The same with options behind the name, which are set in *options: "smoothquant:alpha=0.7". */
enum gram_status gram_transform_read(const struct gram_transform **out,
                                     struct gram_transform_options *options, const char *text,
                                     struct gram_error *err);
extern const struct gram_spec_table gram_transform_table; /* of struct gram_transform_options */

#endif
