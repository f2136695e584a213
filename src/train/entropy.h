/* Losses of rows as long as a vocabulary, on the kernels. */
#ifndef GRAM_TRAIN_ENTROPY_H
#define GRAM_TRAIN_ENTROPY_H

#include "kernels/kernels.h"

/*
 * The cross entropy of gram_loss_cross_entropy(), in place. Of one row: logits [n] become d loss / d logits
 * times `weight`; n > 0. label may be GRAM_IGNORE: no loss, zeros.
 */
double gram_entropy_row(const struct gram_kernels *kernels, float *logits, int32_t label, int64_t n,
                        double weight);

/*
 * T^2 KL(softmax(teacher / T) || softmax(student / T)) of one row of logits (Hinton, Vinyals, Dean 2015):
 * grad [n] receives d loss / d student times `weight`. What teacher [n] holds is lost; n > 0.
 */
double gram_divergence_row(const struct gram_kernels *kernels, float *grad, const float *student,
                           float *teacher, int64_t n, double temperature, double weight);

#endif
