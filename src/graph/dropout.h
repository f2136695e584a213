/*
 * Which elements a dropout drops (Srivastava et al. 2014): drawn anew from the noise of the pass, the node
 * and the row wherever they are needed, so that the way back finds those of the way forward and nothing is
 * stored.
 */
#ifndef GRAM_GRAPH_DROPOUT_H
#define GRAM_GRAPH_DROPOUT_H

#include "base/rng.h"
#include "graph/exec.h"

struct gram_dropout {
    struct gram_rng rng;
    uint64_t draws; /* of 16 bits, the lowest next */
    int left;
    uint32_t limit; /* draws below it drop */
    float scale;    /* of what stays */
};

/* For the elements of one row, from the first on. */
static inline struct gram_dropout gram_dropout_begin(const struct gram_exec *exec,
                                                     const struct gram_node *node, int64_t row)
{
    const float rate = exec->noise ? node->at.dropout.rate : 0.0f;
    struct gram_rng place = {exec->noise ^ (uint64_t)node->output << 40 ^
                             (uint64_t)(row + exec->noise_row)};

    return (struct gram_dropout){.rng = {gram_rng_u64(&place)},
                                 .limit = (uint32_t)(rate * 65536.0f),
                                 .scale = 1.0f / (1.0f - rate)};
}

/* What the next element is multiplied by: 0, or 1 / (1 - rate). */
static inline float gram_dropout_next(struct gram_dropout *d)
{
    if (d->left == 0) {
        d->draws = gram_rng_u64(&d->rng);
        d->left = 4;
    }
    const uint32_t draw = (uint32_t)(d->draws & 0xffff);
    d->draws >>= 16;
    d->left--;
    return draw < d->limit ? 0.0f : d->scale;
}

#endif
