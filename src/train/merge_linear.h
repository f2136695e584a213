/*
 * Merging the pairs of one linear: W + s B A, and what storing it loses. On a grid every group of
 * weights may keep its step, shift its zero point, or get a step that is searched anew: what loses
 * least is taken.
 */
#ifndef GRAM_TRAIN_MERGE_LINEAR_H
#define GRAM_TRAIN_MERGE_LINEAR_H

#include "base/runtime.h"
#include "engine/adapter.h"
#include "kernels/kernels.h"
#include "quant/coded.h"
#include "tensor/scheme.h"

/* A pair of the linear, and how much it counts. */
struct gram_merge_pair {
    const struct gram_lora *lora;
    const struct gram_lora_pair *pair;
    double weight;
};

/* What is merged, and how it is to be stored. */
struct gram_merge_linear {
    const char *name;          /* for sentences */
    struct gram_weight weight; /* as it is */
    const struct gram_merge_pair *pairs;
    size_t n_pairs;
    const struct gram_scheme *scheme; /* codes; or else floats of type `dtype` */
    enum gram_dtype dtype;            /* of floats, or of scales */
    bool is_same_grid;                /* the scheme is the weight's own: its steps may stay */
    struct gram_pool *pool;
    const struct gram_kernels *kernels;
};

struct gram_merged {
    float *target;           /* [rows][cols]: W + s B A */
    struct gram_coded coded; /* of codes; codes is NULL for floats */
    double squares, change,
        error; /* sums of squares: of the target, of s B A, of what storing loses */
};

/* Memory comes from the arena. GRAM_ENONFINITE if the sum is not finite, GRAM_ENOMEM. */
enum gram_status gram_merge_linear(struct gram_merged *merged,
                                   const struct gram_merge_linear *linear, struct gram_arena *arena,
                                   struct gram_error *err);

#endif
