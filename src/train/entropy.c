#include "train/entropy.h"

#include <math.h>
#include <string.h>

#include "train/loss.h"

/* Of n > 0 numbers, a NaN being none. */
static float top_of(const float *x, int64_t n)
{
    enum { LANES = 16 }; /* chains that do not wait for each other */
    float tops[LANES];
    int64_t i = 0;

    for (int lane = 0; lane < LANES; lane++)
        tops[lane] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            tops[lane] = x[i + lane] > tops[lane] ? x[i + lane] : tops[lane];
    for (; i < n; i++)
        tops[0] = x[i] > tops[0] ? x[i] : tops[0];
    for (int lane = 1; lane < LANES; lane++)
        tops[0] = tops[lane] > tops[0] ? tops[lane] : tops[0];
    return tops[0];
}

double gram_entropy_row(const struct gram_kernels *kernels, float *logits, int32_t label, int64_t n,
                        double weight)
{
    const float scale = (float)weight;

    if (label == GRAM_IGNORE) {
        memset(logits, 0, (size_t)n * sizeof *logits);
        return 0.0;
    }
    /* log p(label) = x - top + log p(top): p itself may be too small for an f32 */
    const double below = (double)logits[label] - (double)top_of(logits, n);
    kernels->softmax(logits, n);
    const double loss = -(below + log((double)top_of(logits, n)));
    for (int64_t i = 0; i < n; i++)
        logits[i] *= scale;
    logits[label] -= scale;
    return loss;
}

/* to = softmax(x / T); log sum exp(x / T). */
static double soften(const struct gram_kernels *kernels, float *to, const float *x, int64_t n,
                     double temperature)
{
    const float scale = (float)(1.0 / temperature);

    for (int64_t i = 0; i < n; i++)
        to[i] = x[i] * scale;
    const double top = (double)top_of(to, n);
    kernels->softmax(to, n);
    return top - log((double)top_of(to, n)); /* p of the greatest is 1 / sum exp(x / T - top) */
}

/* Sum of p (x - y). */
static double mean_gap(const float *p, const float *x, const float *y, int64_t n)
{
    enum { LANES = 8 };
    double sums[LANES] = {0.0};
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += (double)(p[i + lane] * (x[i + lane] - y[i + lane]));
    for (; i < n; i++)
        sums[0] += (double)(p[i] * (x[i] - y[i]));
    for (int lane = 1; lane < LANES; lane++)
        sums[0] += sums[lane];
    return sums[0];
}

double gram_divergence_row(const struct gram_kernels *kernels, float *grad, const float *student,
                           float *teacher, int64_t n, double temperature, double weight)
{
    const float scale = (float)(temperature * weight);
    const double all_t = soften(kernels, grad, teacher, n, temperature);
    const double gap = mean_gap(grad, teacher, student, n) / temperature;
    const double all_s = soften(kernels, teacher, student, n, temperature);

    for (int64_t i = 0; i < n; i++)
        grad[i] = scale * (teacher[i] - grad[i]);
    return temperature * temperature * (gap - all_t + all_s);
}
