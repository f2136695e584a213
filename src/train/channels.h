/*
 * Which output channels of a linear are trained, when not all are: those whose weights are largest on
 * average, by whose rounding most is lost (EfQAT, Bartan et al. 2024, the share of each layer: CWPL).
 */
#ifndef GRAM_TRAIN_CHANNELS_H
#define GRAM_TRAIN_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"

/* moves[rows]: the share (rounded up) of the rows of w[rows][cols] whose mean |w| is greatest, the earlier of
 * equals. NULL if memory ran out. */
bool *gram_channels_choose(const float *w, int64_t rows, int64_t cols, double share,
                           struct gram_arena *arena);
/* The gradient of the others becomes zero. */
void gram_channels_hold(float *g, const bool *moves, int64_t rows, int64_t cols);

#endif
