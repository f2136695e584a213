/*
 * Losses over rows of predictions, with their gradients. Sums are in double, in the order of rows,
 * so that results do not depend on threads. grad (or NULL) receives d loss / d x, the same shape as
 * x; it may not be x.
 */
#ifndef GRAM_TRAIN_LOSS_H
#define GRAM_TRAIN_LOSS_H

#include <stdbool.h>
#include <stdint.h>

enum { GRAM_IGNORE = -100 }; /* a label that counts for nothing */

/*
 * Cross entropy of logits[rows][classes] and labels[rows], divided by `divisor` (rows that count,
 * for the mean; 1 for the sum). smoothing: share of every label that is spread over all classes
 * (Szegedy et al. 2016). 0 when no row counts.
 */
double gram_loss_cross_entropy(float *grad, const float *logits, const int32_t *labels,
                               int64_t rows, int64_t classes, double smoothing, double divisor);
/* Labels that count. */
int64_t gram_loss_count(const int32_t *labels, int64_t rows);

/* Means over n elements. */
double gram_loss_mse(float *grad, const float *x, const float *target, int64_t n);
double gram_loss_bce_logits(float *grad, const float *x, const float *target, int64_t n);
/* Huber's loss: d^2 / 2 within delta, else delta (|d| - delta / 2). Smooth L1 is the same over
 * delta. */
double gram_loss_huber(float *grad, const float *x, const float *target, int64_t n, double delta);
/* Mean over rows of 1 - cos(x, target). */
double gram_loss_cosine(float *grad, const float *x, const float *target, int64_t rows,
                        int64_t cols);

#endif
