#include "graph/fake_acts.h"

#include <math.h>

#include "graph/acts.h"

enum { ROWS = 16 }; /* of a piece of work */

/* ---- ranges ---- */

void gram_moving_range_add(struct gram_moving_range *range, float low, float high)
{
    const float weight = range->batches == 0.0f ? 1.0f : 0.01f;

    range->low += weight * (low - range->low);
    range->high += weight * (high - range->high);
    range->batches += 1.0f;
}

float gram_moving_range_scale(const struct gram_moving_range *range)
{
    return fmaxf(fmaxf(range->low / -128.0f, range->high / 127.0f), 0x1p-23f);
}

static void watch(const struct gram_fake_call *c)
{
    float low = 0.0f, high = 0.0f;

    for (int64_t i = 0; i < c->rows * c->cols; i++) {
        low = c->x[i] < low ? c->x[i] : low;
        high = c->x[i] > high ? c->x[i] : high;
    }
    gram_moving_range_add(&c->acts->range, low, high);
    c->acts->scale = gram_moving_range_scale(&c->acts->range);
}

/* ---- one scale for many ---- */

void gram_fake_round(float *y, const float *x, int64_t n, struct gram_fake_levels l)
{
    const float inverse = 1.0f / l.scale; /* as torch does it */

    for (int64_t i = 0; i < n; i++) {
        const float code = rintf(x[i] * inverse) + l.zero;
        y[i] = (fminf(fmaxf(code, l.low), l.high) - l.zero) * l.scale;
    }
}

double gram_fake_pull_levels(float *g, const float *x, const float *y, int64_t n,
                             struct gram_fake_levels l, double *g_zero)
{
    const float inverse = 1.0f / l.scale;
    double log_scale = 0.0, zero = 0.0;

    for (int64_t i = 0; i < n; i++) {
        const float code = rintf(x[i] * inverse) + l.zero;
        const bool is_inside = code >= l.low && code <= l.high;
        log_scale += (double)g[i] * ((double)y[i] - (is_inside ? (double)x[i] : 0.0));
        zero -= is_inside ? 0.0 : (double)g[i] * (double)l.scale;
        g[i] = is_inside ? g[i] : 0.0f;
    }
    if (g_zero)
        *g_zero = zero;
    return log_scale;
}

static struct gram_fake_levels levels_of(const struct gram_fake_acts *acts)
{
    return (struct gram_fake_levels){acts->scale, 0.0f, -128.0f, 127.0f};
}

/* ---- each token its own ---- */

/* The rule of the kernels that will multiply. Codes lie at the end of the row that they become: a float is
 * written over codes that were read. */
static void round_token(const struct gram_fake_call *c, float *y, const float *x)
{
    const float outlier = c->acts->outlier;
    int8_t *codes = (int8_t *)(y + c->cols) - c->cols;
    const float scale = outlier > 0.0f ? gram_acts_llm_int8(codes, x, c->cols, outlier)
                                       : c->kernels->quantize_i8(codes, x, c->cols);

    for (int64_t k = 0; k < c->cols; k++)
        y[k] = outlier > 0.0f && fabsf(x[k]) >= outlier ? x[k] : (float)codes[k] * scale;
}

/* ---- all rows ---- */

static void round_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct gram_fake_call *c = context;

    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        float *y = c->y + t * c->cols;
        const float *x = c->x + t * c->cols;
        if (!c->acts->is_shared)
            round_token(c, y, x);
        else
            gram_fake_round(y, x, c->cols, levels_of(c->acts));
    }
}

void gram_fake_acts_round(const struct gram_fake_call *c, bool is_watching)
{
    const struct gram_fake_acts *acts = c->acts;

    if (acts->is_shared && acts->is_watched && (is_watching || acts->range.batches == 0.0f))
        watch(c);
    gram_pool_for(c->pool, c->rows, ROWS, round_rows, (void *)(uintptr_t)c);
}

struct pull {
    const struct gram_fake_call *call;
    float *dx, *g;
};

/* A token's own scale moves with its largest input, which is cut off by at most half a step. */
static void pull_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct pull *p = context;
    const struct gram_fake_call *c = p->call;

    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        const int64_t at = t * c->cols;
        if (c->acts->is_shared)
            c->sums[t] = gram_fake_pull_levels(p->g + at, c->x + at, c->y + at, c->cols,
                                               levels_of(c->acts), NULL);
        c->kernels->add(p->dx + at, p->dx + at, p->g + at, c->cols);
    }
}

void gram_fake_acts_pull(const struct gram_fake_call *c, float *dx, float *g)
{
    double sum = 0.0;

    gram_pool_for(c->pool, c->rows, ROWS, pull_rows, &(struct pull){c, dx, g});
    for (int64_t t = 0; c->acts->is_shared && t < c->rows; t++)
        sum += c->sums[t];
    c->acts->g_log += (float)(sum / sqrt((double)c->cols * 127.0));
}
