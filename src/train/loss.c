/* Losses and their gradients, row by row. */
#include "train/loss.h"

#include <math.h>
#include <string.h>

/* log sum exp of x / T; also the maximum taken off. */
static double log_sum_exp(const float *x, int64_t n, double temperature)
{
    float top = x[0];
    double sum = 0.0;

    for (int64_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++)
        sum += exp(((double)x[i] - (double)top) / temperature);
    return (double)top / temperature + log(sum);
}

int64_t gram_loss_count(const int32_t *labels, int64_t rows)
{
    int64_t n = 0;
    for (int64_t r = 0; r < rows; r++)
        n += labels[r] != GRAM_IGNORE;
    return n;
}

/* Of one row; grad is scaled by `weight`. */
static double row_entropy(float *grad, const float *x, int32_t label, int64_t n, double smoothing,
                          double weight)
{
    const double all = log_sum_exp(x, n, 1.0), spread = smoothing / (double)n;
    double loss = (1.0 - smoothing) * (all - (double)x[label]);

    for (int64_t i = 0; spread > 0.0 && i < n; i++)
        loss += spread * (all - (double)x[i]);
    for (int64_t i = 0; grad && i < n; i++)
        grad[i] = (float)((exp((double)x[i] - all) - spread) * weight);
    if (grad)
        grad[label] -= (float)((1.0 - smoothing) * weight);
    return loss;
}

double gram_loss_cross_entropy(float *grad, const float *logits, const int32_t *labels,
                               int64_t rows, int64_t classes, double smoothing, double divisor)
{
    double sum = 0.0;

    for (int64_t r = 0; r < rows; r++) {
        float *g = grad ? grad + r * classes : NULL;
        if (labels[r] != GRAM_IGNORE)
            sum +=
                row_entropy(g, logits + r * classes, labels[r], classes, smoothing, 1.0 / divisor);
        else if (g)
            memset(g, 0, (size_t)classes * sizeof *g);
    }
    return divisor > 0.0 ? sum / divisor : 0.0;
}

double gram_loss_mse(float *grad, const float *x, const float *target, int64_t n)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        const double d = (double)x[i] - (double)target[i];
        sum += d * d;
        if (grad)
            grad[i] = (float)(2.0 * d / (double)n);
    }
    return sum / (double)n;
}

double gram_loss_bce_logits(float *grad, const float *x, const float *target, int64_t n)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        const double z = (double)x[i], y = (double)target[i];
        sum += fmax(z, 0.0) - z * y + log1p(exp(-fabs(z)));
        if (grad)
            grad[i] = (float)((1.0 / (1.0 + exp(-z)) - y) / (double)n);
    }
    return sum / (double)n;
}

double gram_loss_huber(float *grad, const float *x, const float *target, int64_t n, double delta)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        const double d = (double)x[i] - (double)target[i], size = fabs(d);
        sum += size < delta ? 0.5 * d * d : delta * (size - 0.5 * delta);
        if (grad)
            grad[i] = (float)(fmax(-delta, fmin(delta, d)) / (double)n);
    }
    return sum / (double)n;
}

static double row_cosine(float *grad, const float *x, const float *y, int64_t n, double weight)
{
    double xy = 0.0, xx = 0.0, yy = 0.0;

    for (int64_t i = 0; i < n; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    const double length = sqrt(fmax(xx * yy, 1e-24)), cosine = xy / length;
    for (int64_t i = 0; grad && i < n; i++)
        grad[i] =
            (float)(weight * (cosine * (double)x[i] / fmax(xx, 1e-24) - (double)y[i] / length));
    return 1.0 - cosine;
}

double gram_loss_cosine(float *grad, const float *x, const float *target, int64_t rows,
                        int64_t cols)
{
    double sum = 0.0;

    for (int64_t r = 0; r < rows; r++)
        sum += row_cosine(grad ? grad + r * cols : NULL, x + r * cols, target + r * cols, cols,
                          1.0 / (double)rows);
    return sum / (double)rows;
}
