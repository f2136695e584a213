/*
 * Block reconstruction: codes and steps of all linears of a block are learned together, so that what
 * leaves the block comes near to what leaves the float model's (Li et al. 2021, BRECQ; Chen et al. 2024,
 * EfficientQAT, section 3.2). Methods look at one linear and take its error for a quadratic form; here one
 * linear makes up for another, through norms, softmax and activation. The parameters are the weights in front
 * of rounding and the steps (train/fake.h); they go down the gradient of the squared error by Adam, on
 * batches of calibration windows, with a rate that falls linearly to zero.
 */
#ifndef GRAM_QUANT_RECONSTRUCT_H
#define GRAM_QUANT_RECONSTRUCT_H

#include <gram/job.h>
#include "calib/boundary.h"
#include "calib/corpus.h"
#include "graph/exec.h"
#include "quant/coded.h"

/* A linear of the block. */
struct gram_reconstructed {
    int slot;
    const float *w;           /* [rows][cols]: where weights start, as far as they round to the codes */
    struct gram_coded *coded; /* by some method; better ones take their place */
};

struct gram_reconstruction {
    const struct gram_graph *graph;
    const struct gram_block *block;
    const struct gram_binding *bindings; /* [n_slots]: of the block; those of `linears` are not read */
    size_t n_slots;
    const struct gram_kernels *kernels;
    struct gram_pool *pool;
    const struct gram_corpus *corpus;
    const struct gram_boundary *inputs, *targets; /* what enters the block; what should leave it */
    struct gram_reconstructed *linears;
    int n;
    int64_t epochs;          /* over the corpus, at least 1 */
    uint64_t seed;           /* of the order of windows */
    const struct gram_job *job; /* may be NULL */
};

/* Squared error of the block's output, mean over tokens: with the codes that came, and that go. */
struct gram_reconstruction_result {
    double before, after;
};

/*
 * Codes are replaced if the error over all windows has become less. Deterministic for any number of threads.
 * GRAM_ENOMEM, GRAM_EIO (of a boundary in a file), GRAM_ECANCELED.
 */
enum gram_status gram_reconstruct(const struct gram_reconstruction *r,
                                  struct gram_reconstruction_result *result, struct gram_error *err);

#endif
