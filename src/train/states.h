/*
 * The memory of an optimizer for one run of weights: some numbers per weight, all zero at the start,
 * as f32, or as codes of 8 bits in blocks (Dettmers et al. 2022, "8-bit optimizers via block-wise
 * quantization"). In one piece, so that it can be written to a checkpoint or lie in a mapped file.
 */
#ifndef GRAM_TRAIN_STATES_H
#define GRAM_TRAIN_STATES_H

#include <stddef.h>
#include "train/optimizer.h"

enum {
    GRAM_STATES_BLOCK = 256,  /* weights that share a scale */
    GRAM_STATES_LEAST = 4096, /* weights: runs with fewer keep f32, as norms and biases should */
};

struct gram_states {
    const struct gram_optimizer *optimizer;
    char *at;
    int64_t n; /* weights */
};

/* The values that codes stand for, and the way back. About 70 KB; one serves all runs and threads. */
struct gram_state_map {
    float values[256], middles[256]; /* ascending; between neighbours, infinity behind the last */
    uint8_t first[1 << 15];          /* by the upper bits of an f32: least code that it may have */
    uint8_t zero;
};
struct gram_state_maps {
    struct gram_state_map any, positive; /* for numbers of both signs, and for those not below 0 */
};

void gram_state_maps_init(struct gram_state_maps *maps);

size_t gram_states_bytes(const struct gram_optimizer *optimizer, int64_t n);

/*
 * The step of weights [first, first + u->n), which u->w and u->g point to; u->state is filled in
 * here. first is a multiple of GRAM_STATES_BLOCK, and so is u->n, unless it ends the run. maps may be
 * NULL for an optimizer in f32.
 */
void gram_states_step(const struct gram_states *states, const struct gram_state_maps *maps,
                      struct gram_update *u, int64_t first);

#endif
