/* The cross entropy of gram_loss_cross_entropy(), in place: for rows as long as a vocabulary. */
#ifndef GRAM_TRAIN_ENTROPY_H
#define GRAM_TRAIN_ENTROPY_H

#include "kernels/kernels.h"

/*
 * Of one row: logits [n] become d loss / d logits times `weight`; n > 0. label may be GRAM_IGNORE: no loss,
 * zeros.
 */
double gram_entropy_row(const struct gram_kernels *kernels, float *logits, int32_t label, int64_t n,
                        double weight);

#endif
