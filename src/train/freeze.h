/* Bases that are quantized on the way: an adapter stands on codes in memory, whatever the file holds. */
#ifndef GRAM_TRAIN_FREEZE_H
#define GRAM_TRAIN_FREEZE_H

#include "engine/adapter.h"
#include "kernels/kernels.h"
#include "quant/coded.h"
#include "tensor/scheme.h"

/* One linear. */
struct gram_freeze {
    const char *name; /* for sentences */
    const struct gram_scheme *scheme;
    enum gram_dtype scale_dtype; /* where the scheme leaves the choice */
    int64_t rows, cols;
    struct gram_pool *pool;
    const struct gram_kernels *kernels;
};

/*
 * Quantize x[rows][cols] as gram_quantize does it by method rtn: *w gets the codes that its container
 * would hold, in memory of `arena`. coded (NULL: not wanted) gets them as they are written, from the same
 * arena. GRAM_ENOMEM.
 */
enum gram_status gram_freeze_linear(struct gram_weight *w, struct gram_coded *coded, const float *x,
                                    const struct gram_freeze *how, struct gram_arena *arena,
                                    struct gram_error *err);

/* How far W was from its codes, and is with the pair: sums of squares. */
struct gram_loftq_result {
    double squares, before, after;
};

/*
 * LoftQ (Li et al. 2023): `iterations` times, codes of W - s B A, then B A from the largest singular
 * values of what they miss. The pair's halves are overwritten; *w and *coded as above. One iteration
 * leaves the codes of W itself. x may be overwritten. GRAM_ENUMERIC, GRAM_ENOMEM.
 */
enum gram_status gram_freeze_loftq(struct gram_weight *w, struct gram_coded *coded, const float *x,
                                   const struct gram_freeze *how, const struct gram_lora *lora,
                                   struct gram_lora_pair *pair, int iterations,
                                   struct gram_loftq_result *result, struct gram_arena *arena,
                                   struct gram_error *err);

#endif
