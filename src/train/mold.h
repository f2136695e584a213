/*
 * Linears that are multiplied by what is made of frozen codes or weights and of something smaller that is
 * trained: `weight` is made before a pass, and its gradient becomes theirs after it.
 *   lora-qat  the grid's nearest to W + s B A, whose steps are learned too (Bondarenko et al. 2024)
 *   qa-lora   (code - zero + round(s B A / scale)) scale, with B A by groups (Xu et al. 2023, with the
 *             rounding that whole zero points need: what is trained is what merging leaves)
 *   frozen    codes as they are, for linears without a pair
 * Rounding passes gradients on as if it were not there, except where it cuts off.
 */
#ifndef GRAM_TRAIN_MOLD_H
#define GRAM_TRAIN_MOLD_H

#include "engine/adapter.h"
#include "graph/matmul.h"
#include "train/fake.h"

struct gram_mold;

struct gram_mold_kind {
    const char *name;
    bool has_pair;   /* A and B are trained */
    bool has_steps;  /* the logs of `fake` are */
    bool is_pooled;  /* A reads sums over the groups of the grid */
    bool sums;       /* W + s B A is made and rounded; else codes stay what they are */
    void (*fill)(struct gram_mold *mold);
    /* g[rows][cols], of the weight, may be overwritten. */
    void (*pull)(struct gram_mold *mold, float *g);
};

struct gram_mold {
    const struct gram_mold_kind *kind;
    struct gram_fake fake;    /* codes and steps; fake.quantized is the weight that is multiplied */
    struct gram_weight base;  /* W, float or codes */
    const struct gram_lora *lora;
    const struct gram_lora_pair *pair; /* its halves move */
    float *g_a, *g_b;         /* their gradients, added to */
    float *sum;               /* [rows][cols]: W + s B A */
    int *zeros;               /* [rows][groups]: zero points of the base */
    float *product;           /* [rows][inputs of A]: B A, or the gradient of it */
    float *half;              /* as large as the larger half */
    struct gram_pool *pool;
    const struct gram_kernels *kernels;
    struct gram_matmul matmul;
};

/* NULL if there is none of that name. */
const struct gram_mold_kind *gram_mold_find(const char *name);

struct gram_mold_parts {
    const struct gram_grid *grid;
    int64_t span;
    bool is_one;                       /* one step for the tensor */
    struct gram_weight base;           /* codes on this very grid are begun with; floats are rounded to it */
    const struct gram_lora *lora;      /* with the pair, if the kind has one */
    const struct gram_lora_pair *pair;
    float *g_a, *g_b;
    struct gram_pool *pool;
    const struct gram_kernels *kernels;
};

/* Memory comes from `arena`. GRAM_ENOMEM. */
enum gram_status gram_mold_open(struct gram_mold *mold, const struct gram_mold_kind *kind,
                                const struct gram_mold_parts *parts, struct gram_arena *arena,
                                struct gram_error *err);

/*
 * A qa-lora pair as an adapter states it: whole steps times scale are what counts, and any matrix
 * [rows][groups] is the product of itself and the identity. The pair gets rank `groups`, alpha is that of
 * s = 1. GRAM_ENOMEM.
 */
enum gram_status gram_mold_unfold(const struct gram_mold *mold, struct gram_lora_pair *pair,
                                  struct gram_arena *arena, struct gram_error *err);

#endif
