/* The table of optimizers. */
#include "train/optimizer.h"

#include <math.h>

#include "base/named.h"

static void sgd(const struct gram_update *u)
{
    const struct gram_optimizer_options *o = u->options;
    const float lr = (float)o->lr, decay = (float)o->weight_decay, m = (float)o->momentum;
    const float take = u->step == 1 ? 1.0f : (float)(1.0 - o->dampening);
    float *v = u->state[0];

    for (int64_t i = 0; i < u->n; i++) {
        float g = u->g[i] + decay * u->w[i];
        if (m != 0.0f) {
            v[i] = m * v[i] + take * g;
            g = o->nesterov ? g + m * v[i] : v[i];
        }
        u->w[i] -= lr * g;
    }
}

/* Kingma, Ba 2015, algorithm 1, and section 2's correction of the bias: w moves by
 * step m / (sqrt(v) / root + eps). */
struct adam {
    float b1, b2, c1, c2, eps, step, root;
};

static struct adam adam_of(const struct gram_update *u)
{
    const struct gram_optimizer_options *o = u->options;
    const double t = (double)u->step;
    return (struct adam){.b1 = (float)o->beta1,
                         .b2 = (float)o->beta2,
                         .c1 = (float)(1.0 - o->beta1),
                         .c2 = (float)(1.0 - o->beta2),
                         .eps = (float)o->eps,
                         .step = (float)(o->lr / (1.0 - pow(o->beta1, t))),
                         .root = (float)sqrt(1.0 - pow(o->beta2, t))};
}

static void adam_steps(const struct gram_update *u, float l2, float shrink)
{
    const struct adam a = adam_of(u);
    float *restrict m = u->state[0], *restrict v = u->state[1], *restrict w = u->w;

    for (int64_t i = 0; i < u->n; i++) {
        const float g = u->g[i] + l2 * w[i];
        m[i] = a.b1 * m[i] + a.c1 * g;
        v[i] = a.b2 * v[i] + a.c2 * g * g;
        w[i] = w[i] * shrink - a.step * m[i] / (sqrtf(v[i]) / a.root + a.eps);
    }
}

static void adam(const struct gram_update *u)
{
    adam_steps(u, (float)u->options->weight_decay, 1.0f);
}

/* Loshchilov, Hutter 2019: the decay is no part of the gradient. */
static void adamw(const struct gram_update *u)
{
    adam_steps(u, 0.0f, (float)(1.0 - u->options->lr * u->options->weight_decay));
}

/* Reddi et al. 2018. */
static void amsgrad(const struct gram_update *u)
{
    const struct adam a = adam_of(u);
    const float l2 = (float)u->options->weight_decay;
    float *m = u->state[0], *v = u->state[1], *top = u->state[2], *w = u->w;

    for (int64_t i = 0; i < u->n; i++) {
        const float g = u->g[i] + l2 * w[i];
        m[i] = a.b1 * m[i] + a.c1 * g;
        v[i] = a.b2 * v[i] + a.c2 * g * g;
        top[i] = fmaxf(top[i], v[i]);
        w[i] -= a.step * m[i] / (sqrtf(top[i]) / a.root + a.eps);
    }
}

/* Tieleman, Hinton 2012, lecture 6.5. */
static void rmsprop(const struct gram_update *u)
{
    const struct gram_optimizer_options *o = u->options;
    const float lr = (float)o->lr, a = (float)o->alpha, rest = (float)(1.0 - o->alpha);
    float *square = u->state[0], *v = u->state[1];

    for (int64_t i = 0; i < u->n; i++) {
        const float g = u->g[i] + (float)o->weight_decay * u->w[i];
        square[i] = a * square[i] + rest * g * g;
        const float move = g / (sqrtf(square[i]) + (float)o->eps);
        v[i] = (float)o->momentum * v[i] + move;
        u->w[i] -= lr * v[i];
    }
}

/* Duchi, Hazan, Singer 2011. */
static void adagrad(const struct gram_update *u)
{
    const struct gram_optimizer_options *o = u->options;
    float *sum = u->state[0];

    for (int64_t i = 0; i < u->n; i++) {
        const float g = u->g[i] + (float)o->weight_decay * u->w[i];
        sum[i] += g * g;
        u->w[i] -= (float)o->lr * g / (sqrtf(sum[i]) + (float)o->eps);
    }
}

static const struct gram_optimizer optimizers[] = {
    {"sgd", "along the gradient, with momentum if asked", 1, sgd, false, {0}},
    {"adam", "moments of first and second order; decay is part of the gradient", 2, adam, false, {0}},
    {"adamw", "Adam with decoupled decay", 2, adamw, false, {0}},
    {"adamw8bit", "AdamW, its moments in 8 bits", 2, adamw, true, {true, false}},
    {"adam8bit", "Adam, its moments in 8 bits", 2, adam, true, {true, false}},
    {"amsgrad", "Adam by the greatest second moment so far", 3, amsgrad, false, {0}},
    {"rmsprop", "by the root of the mean square", 2, rmsprop, false, {0}},
    {"adagrad", "by the root of the sum of squares", 1, adagrad, false, {0}},
    {NULL, NULL, 0, NULL, false, {0}},
};

const struct gram_optimizer *gram_optimizers(void)
{
    return optimizers;
}

enum gram_status gram_optimizer_find(const struct gram_optimizer **out, const char *name,
                                     struct gram_error *err)
{
    size_t at;

    GRAM_TRY(gram_named_find(&at, optimizers, sizeof optimizers[0], "optimizer", name, err));
    *out = &optimizers[at];
    return GRAM_OK;
}
