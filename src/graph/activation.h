/* Functions of one number and their derivatives, and what else op_encoder.c and vjp_encoder.c share. */
#ifndef GRAM_GRAPH_ACTIVATION_H
#define GRAM_GRAPH_ACTIVATION_H

#include "graph/exec.h"

typedef float gram_activation_fn(float x);
struct gram_activation_row {
    gram_activation_fn *f, *derivative;
};
extern const struct gram_activation_row gram_activations[GRAM_N_ACTIVATION];

/* Row of the node's table that is added to row `row` of the call. */
int64_t gram_added_row(const struct gram_exec *exec, const struct gram_node *node, int64_t row);

/* Of a row: its mean, and 1 / sqrt(variance + eps). Sums in double. */
struct gram_moments {
    float mean, inverse;
};
struct gram_moments gram_row_moments(const float *x, int64_t n, float eps);

#endif
