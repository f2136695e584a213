#include "train/objective.h"

#include <stddef.h>

#include "train/loss.h"

double gram_objective_row(const struct gram_objective *o, float *grad, const float *logits,
                          float *teacher, int32_t label, int64_t classes, double divisor)
{
    const double entropy =
        gram_loss_cross_entropy(grad, logits, &label, 1, classes, 0.0, divisor);

    if (!grad || !teacher || o->distill == 0.0)
        return entropy;
    const double divergence = gram_loss_distill(teacher, logits, teacher, &label, 1, classes,
                                                o->temperature, divisor);
    const float rest = (float)(1.0 - o->distill), share = (float)o->distill;
    for (int64_t i = 0; i < classes; i++)
        grad[i] = rest * grad[i] + share * teacher[i];
    return (1.0 - o->distill) * entropy + o->distill * divergence;
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
