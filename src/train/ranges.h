/*
 * How activations are rounded in training: one rule for each value of the graph that linears of a scheme
 * with int8 activations read. One scale for all tokens is watched for a while; then it stands, or is
 * learned by its logarithm, as the steps of weights are.
 */
#ifndef GRAM_TRAIN_RANGES_H
#define GRAM_TRAIN_RANGES_H

#include "base/arena.h"
#include "graph/fake_acts.h"
#include "tensor/scheme.h"

struct gram_trained_range {
    struct gram_fake_acts acts;
    int value;             /* of the graph */
    enum gram_dtype dtype; /* that its scale will be stored in */
};

/* Zero bytes are a valid empty one. */
struct gram_ranges {
    struct gram_trained_range *at; /* at most one for each value */
    size_t n, cap;
};

/* Room for `most`; false if memory ran out. */
bool gram_ranges_open(struct gram_ranges *ranges, size_t most, struct gram_arena *arena);
/* The rule of the value by a scheme with act_bits: shared by all linears that read it. */
struct gram_fake_acts *gram_ranges_of(struct gram_ranges *ranges, int value,
                                      const struct gram_scheme *scheme, enum gram_dtype dtype);

/* Before a pass: scales follow ranges and logs, rounded to the type that they will be stored in. */
void gram_ranges_prepare(struct gram_ranges *ranges);
/* After the passes of a step: what is still watched does not learn. */
void gram_ranges_pull(struct gram_ranges *ranges);
/* Do passes move the ranges? */
void gram_ranges_watch(struct gram_ranges *ranges, bool is_watched);

#endif
