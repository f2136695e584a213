#include "train/objective.h"

#include <string.h>

#include "train/entropy.h"
#include "train/loss.h"

/* The rest of the loss: cross entropy, whose gradient is added. */
static double add_entropy(const struct gram_kernels *kernels, float *grad, const float *logits,
                          float *room, int32_t label, int64_t n, double weight)
{
    memcpy(room, logits, (size_t)n * sizeof *room);
    const double loss = gram_entropy_row(kernels, room, label, n, weight);
    for (int64_t i = 0; i < n; i++)
        grad[i] += room[i];
    return weight * loss;
}

double gram_objective_row(const struct gram_objective *o, const struct gram_kernels *kernels,
                          float *grad, const float *logits, float *teacher, int32_t label,
                          int64_t n, double divisor)
{
    if (!grad)
        return gram_loss_cross_entropy(NULL, logits, &label, 1, n, 0.0, divisor);
    if (!teacher || o->distill == 0.0 || label == GRAM_IGNORE) {
        memcpy(grad, logits, (size_t)n * sizeof *grad);
        return gram_entropy_row(kernels, grad, label, n, 1.0 / divisor) / divisor;
    }
    const double share = o->distill / divisor, rest = (1.0 - o->distill) / divisor;
    const double divergence =
        share * gram_divergence_row(kernels, grad, logits, teacher, n, o->temperature, share);
    return rest == 0.0 ? divergence
                       : divergence + add_entropy(kernels, grad, logits, teacher, label, n, rest);
}

double gram_objective_block(float *grad, const float *x, const float *teacher, int64_t n,
                            double weight)
{
    double missed = 0.0, all = 1e-30;

    for (int64_t i = 0; i < n; i++) {
        const double miss = (double)x[i] - (double)teacher[i];
        missed += miss * miss;
        all += (double)teacher[i] * (double)teacher[i];
    }
    const float slope = (float)(2.0 * weight / all);
    for (int64_t i = 0; i < n; i++)
        grad[i] += slope * (x[i] - teacher[i]);
    return weight * missed / all;
}
