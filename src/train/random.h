/* Weights to begin with, when nothing was learned yet. */
#ifndef GRAM_TRAIN_RANDOM_H
#define GRAM_TRAIN_RANDOM_H

#include "arch/arch.h"

/*
 * w[rows][cols] of slot `at` of the model: matrices normal with deviation 0.02, those whose outputs are added
 * to what passes by over sqrt(2 blocks) of it (Radford et al. 2019, GPT-2); norms one, biases zero. The same
 * for the same seed, whatever else is filled.
 */
void gram_random_weight(float *w, const struct gram_model_desc *desc, size_t at, uint64_t seed);

#endif
