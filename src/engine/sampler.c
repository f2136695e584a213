/*
 * Temperature, top-k, top-p (Holtzman et al. 2020) and min-p, in that order, as transformers' logits
 * warpers apply them. Candidates lie in a heap, so that only those that survive are ever sorted.
 */
#include <gram/sample.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "engine/sampler.h"

struct gram_sampler {
    struct gram_sampler_options options;
    int64_t vocab;
    struct gram_rng rng;
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
    s->heap = calloc((size_t)vocab, sizeof *s->heap);
    s->kept = calloc((size_t)vocab, sizeof *s->kept);
    if (!s->heap || !s->kept) {
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
                            int64_t n, struct gram_candidate *kept)
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
    const double enough = o->top_p < 1 ? (double)o->top_p * mass(heap, n, best) : INFINITY;
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

enum gram_status gram_sampler_pick(struct gram_sampler *s, const float *logits, int32_t *token,
                                   struct gram_error *err)
{
    const struct gram_sampler_options *o = &s->options;
    const bool greedy = o->temperature == 0;
    int64_t n = 0, best = 0;

    for (int64_t i = 0; i < s->vocab; i++) {
        if (!isfinite(logits[i]))
            continue;
        s->heap[n] = (struct gram_candidate){greedy ? logits[i] : logits[i] / o->temperature,
                                             (int32_t)i};
        best = n == 0 || s->heap[n].logit > s->heap[best].logit ? n : best;
        n++;
    }
    if (n == 0)
        return gram_fail(err, GRAM_ENONFINITE, "no logit is a finite number");
    *token = s->heap[best].id;
    if (greedy)
        return GRAM_OK;
    const float highest = s->heap[best].logit;
    if (o->top_k == 0 && o->top_p >= 1 && o->min_p <= 0) {
        *token = draw(s, s->heap, n, highest);
        return GRAM_OK;
    }
    *token = draw(s, s->kept, gram_sampler_filter(o, s->heap, n, s->kept), highest);
    return GRAM_OK;
}
