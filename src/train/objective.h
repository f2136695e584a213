/*
 * What a training lessens: the cross entropy of the labels, mixed with the distance to a teacher, of its
 * logits (Hinton, Vinyals, Dean 2015) and of what leaves its blocks.
 */
#ifndef GRAM_TRAIN_OBJECTIVE_H
#define GRAM_TRAIN_OBJECTIVE_H

#include "kernels/kernels.h"

/* Without a teacher all of it is cross entropy. */
struct gram_objective {
    double distill;     /* share of the divergence of the logits, 0..1; the rest is cross entropy */
    double temperature; /* of both distributions, above 0 */
    double blocks;      /* weight of the relative squared error of blocks; 0: they are not looked at */
};

/*
 * The loss of one row, over divisor. grad [classes] receives its gradient, or is NULL: then it is cross
 * entropy alone. teacher [classes]: its logits, which are lost; NULL: none. A label of GRAM_IGNORE counts
 * for nothing.
 */
double gram_objective_row(const struct gram_objective *objective, const struct gram_kernels *kernels,
                          float *grad, const float *logits, float *teacher, int32_t label,
                          int64_t classes, double divisor);

/*
 * What leaves a block against what left the teacher's, both [n]: weight * sum (x - t)^2 / sum t^2. Its
 * gradient is added to grad [n].
 */
double gram_objective_block(float *grad, const float *x, const float *teacher, int64_t n,
                            double weight);

#endif
