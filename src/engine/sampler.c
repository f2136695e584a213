/*
 * Temperature, top-k, top-p (Holtzman et al. 2020) and min-p, in that order, as transformers' logits
 * warpers apply them. What cannot survive is left out by a look at whole vectors; the rest lie in a heap, so
 * that only those that survive are ever sorted.
 */
#include <gram/sample.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/rng.h"
#include "engine/sampler.h"
#include "kernels/kernels.h"

struct gram_sampler {
    struct gram_sampler_options options;
    int64_t vocab;
    struct gram_rng rng;
    struct gram_kernels kernels;
    float *scaled, *p;                  /* [vocab]: logits after temperature, and their probabilities */
    struct gram_candidate *heap, *kept; /* [vocab] each */
};

static enum gram_status check_options(const struct gram_sampler_options *o, struct gram_error *err)
{
    if (!(o->temperature >= 0 && o->temperature <= 100))
        return gram_fail(err, GRAM_EINVAL, "temperature is %g, must be from 0 to 100",
                         (double)o->temperature);
    if (o->top_k < 0)
        return gram_fail(err, GRAM_EINVAL, "top-k is %d, must be 0 (all) or more", o->top_k);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return gram_fail(err, GRAM_EINVAL, "top-p is %g, must be above 0 and at most 1",
                         (double)o->top_p);
    if (!(o->min_p >= 0 && o->min_p <= 1))
        return gram_fail(err, GRAM_EINVAL, "min-p is %g, must be from 0 to 1", (double)o->min_p);
    return GRAM_OK;
}

enum gram_status gram_sampler_open(struct gram_sampler **out, int64_t vocab,
                                   const struct gram_sampler_options *options,
                                   struct gram_error *err)
{
    const struct gram_sampler_options defaults = GRAM_SAMPLER_OPTIONS_INIT;

    *out = NULL;
    if (!options)
        options = &defaults;
    GRAM_TRY(check_options(options, err));
    struct gram_sampler *s = calloc(1, sizeof *s);
    if (!s)
        return gram_fail_memory(err, "a sampler");
    *s = (struct gram_sampler){.options = *options, .vocab = vocab, .rng = {options->seed}};
    gram_kernels_init(&s->kernels, gram_cpu_detect());
    s->scaled = calloc((size_t)vocab, sizeof *s->scaled);
    s->p = calloc((size_t)vocab, sizeof *s->p);
    s->heap = calloc((size_t)vocab, sizeof *s->heap);
    s->kept = calloc((size_t)vocab, sizeof *s->kept);
    if (!s->scaled || !s->p || !s->heap || !s->kept) {
        gram_sampler_close(&s);
        return gram_fail_memory(err, "a sampler");
    }
    *out = s;
    return GRAM_OK;
}

void gram_sampler_close(struct gram_sampler **sampler)
{
    if (!sampler || !*sampler)
        return;
    free((*sampler)->scaled);
    free((*sampler)->p);
    free((*sampler)->heap);
    free((*sampler)->kept);
    free(*sampler);
    *sampler = NULL;
}

static bool is_before(struct gram_candidate a, struct gram_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void sift_down(struct gram_candidate *heap, int64_t n, int64_t i)
{
    const struct gram_candidate moving = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], moving))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

static struct gram_candidate pop(struct gram_candidate *heap, int64_t *n)
{
    const struct gram_candidate first = heap[0];
    heap[0] = heap[--*n];
    sift_down(heap, *n, 0);
    return first;
}

static double mass(const struct gram_candidate *from, int64_t n, float best)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += exp((double)(from[i].logit - best));
    return total;
}

int64_t gram_sampler_filter(const struct gram_sampler_options *o, struct gram_candidate *heap,
                            int64_t n, double total, struct gram_candidate *kept)
{
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift_down(heap, n, i);
    if (o->top_k > 0 && o->top_k < n) {
        for (int64_t i = 0; i < o->top_k; i++)
            kept[i] = pop(heap, &n);
        n = o->top_k;
        memcpy(heap, kept, (size_t)n * sizeof *heap); /* sorted, so a heap */
    }
    const float best = heap[0].logit;
    const float lowest = o->min_p > 0 ? best + logf(o->min_p) : -INFINITY;
    if (o->top_p < 1 && (total <= 0 || o->top_k > 0))
        total = mass(heap, n, best);
    const double enough = o->top_p < 1 ? (double)o->top_p * total : INFINITY;
    double sum = 0;
    int64_t n_kept = 0;
    do {
        kept[n_kept] = pop(heap, &n);
        sum += exp((double)(kept[n_kept++].logit - best));
    } while (n > 0 && sum < enough && heap[0].logit >= lowest);
    return n_kept;
}

static int32_t draw(struct gram_sampler *s, const struct gram_candidate *from, int64_t n, float best)
{
    double at = gram_rng_unit(&s->rng) * mass(from, n, best);
    for (int64_t i = 0; i < n - 1; i++) {
        at -= exp((double)(from[i].logit - best));
        if (at < 0)
            return from[i].id;
    }
    return from[n - 1].id;
}

/* From all probabilities; the last one that has any, should rounding leave something over. */
static int32_t draw_any(struct gram_sampler *s)
{
    double at = gram_rng_unit(&s->rng);
    int64_t last = 0;

    for (int64_t i = 0; i < s->vocab; i++) {
        if (s->p[i] <= 0)
            continue;
        last = i;
        at -= (double)s->p[i];
        if (at < 0)
            break;
    }
    return (int32_t)last;
}

/* The greatest of x[n], lane by lane: one chain of comparisons would wait for each of them. */
static float greatest(const float *x, int64_t n)
{
    enum { LANES = 32 };
    float lanes[LANES], top = -INFINITY;
    int64_t i = 0;

    for (int k = 0; k < LANES; k++)
        lanes[k] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lanes[k] = x[i + k] > lanes[k] ? x[i + k] : lanes[k];
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int k = 0; k < LANES; k++)
        top = lanes[k] > top ? lanes[k] : top;
    return top;
}

/* At least k logits are not below this: so many stretches have one that is not. */
static float cut_of_top_k(struct gram_sampler *s, int64_t k)
{
    enum { STRETCH = 64 };
    int64_t n = 0;

    for (int64_t i = 0; i < s->vocab; i += STRETCH) {
        const int64_t size = i + STRETCH < s->vocab ? STRETCH : s->vocab - i;
        s->heap[n++] = (struct gram_candidate){greatest(s->scaled + i, size), (int32_t)i};
    }
    if (n < k)
        return -INFINITY;
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift_down(s->heap, n, i);
    while (k-- > 1)
        pop(s->heap, &n);
    return s->heap[0].logit;
}

/*
 * What lies below cannot survive. Tokens with less than (1 - top_p) / vocab each have less than 1 - top_p
 * together, so that the others are enough for top_p.
 */
static float cut(struct gram_sampler *s, float best, double total)
{
    const struct gram_sampler_options *o = &s->options;
    float low = -INFINITY;

    if (o->top_k > 0)
        return cut_of_top_k(s, o->top_k);
    if (o->top_p < 1)
        low = best + (float)log((1 - (double)o->top_p) / (double)s->vocab * total);
    if (o->min_p > 0)
        low = fmaxf(low, best + logf(o->min_p));
    return fminf(low - 1e-3f, best); /* rounding must not lose one */
}

/* The best logit's place, or -1 when none is finite. Fills in `scaled`; what is not finite is never drawn. */
static int64_t scale_logits(struct gram_sampler *s, const float *logits)
{
    const float t = s->options.temperature > 0 ? s->options.temperature : 1;
    int64_t best = 0;

    for (int64_t i = 0; i < s->vocab; i++)
        s->scaled[i] = isfinite(logits[i]) ? logits[i] / t : -INFINITY;
    const float top = greatest(s->scaled, s->vocab);
    while (top > -INFINITY && s->scaled[best] != top)
        best++;
    return top > -INFINITY ? best : -1;
}

static int32_t draw_filtered(struct gram_sampler *s, int64_t best)
{
    const float highest = s->scaled[best];
    const double total = 1 / (double)s->p[best];
    const float low = cut(s, highest, total);
    int64_t n = 0;

    for (int64_t i = 0; i < s->vocab; i++)
        if (s->scaled[i] >= low && s->scaled[i] > -INFINITY)
            s->heap[n++] = (struct gram_candidate){s->scaled[i], (int32_t)i};
    return draw(s, s->kept, gram_sampler_filter(&s->options, s->heap, n, total, s->kept), highest);
}

enum gram_status gram_sampler_pick(struct gram_sampler *s, const float *logits, int32_t *token,
                                   struct gram_error *err)
{
    const struct gram_sampler_options *o = &s->options;
    const int64_t best = scale_logits(s, logits);

    if (best < 0)
        return gram_fail(err, GRAM_ENONFINITE, "no logit is a finite number");
    *token = (int32_t)best;
    if (o->temperature == 0)
        return GRAM_OK;
    memcpy(s->p, s->scaled, (size_t)s->vocab * sizeof *s->p);
    s->kernels.softmax(s->p, s->vocab);
    *token = o->top_k == 0 && o->top_p >= 1 && o->min_p <= 0 ? draw_any(s) : draw_filtered(s, best);
    return GRAM_OK;
}
