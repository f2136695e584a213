/*
 * AWQ (Lin et al. 2023, section 3): the few channels whose inputs are large matter most, so their weights
 * are made larger before rounding, and the inputs smaller. s_j = mean |X_j|^ratio, divided by the
 * geometric mean of its extremes; the ratio of least output error out of a grid is taken. Then weights
 * that stretch the range of their group for nothing are clipped (awq_clip.c).
 *
 * The reference measures the error behind attention and behind the whole MLP, this does behind the
 * linears, for which X'X is enough.
 */
#include <math.h>

#include "quant/awq_clip.h"
#include "quant/trial.h"

static const float least_power = 1e-4f; /* as in the reference */

struct scaling {
    struct gram_transform_call *call;
    const struct gram_rescale *at;
    float *x, *s; /* [channels] */
};

static void scales_for(struct scaling *job, double ratio)
{
    const int64_t n = job->at->channels;
    float low = INFINITY, high = 0.0f;

    for (int64_t j = 0; j < n; j++) {
        job->s[j] = fmaxf((float)pow((double)job->x[j], ratio), least_power);
        low = fminf(low, job->s[j]);
        high = fmaxf(high, job->s[j]);
    }
    for (int64_t j = 0; j < n; j++)
        job->s[j] /= sqrtf(low * high);
}

static double best_ratio(struct scaling *job, struct gram_trial *trial)
{
    const int64_t grid = job->call->options->grid;
    double least = INFINITY, best = 0;

    for (int64_t i = 0; i < grid; i++) {
        const double ratio = (double)i / (double)grid;
        scales_for(job, ratio);
        const double error = gram_trial_error(trial, job->s);
        if (error < least) {
            least = error;
            best = ratio;
        }
    }
    return best;
}

/* False if memory ran out. */
static bool scale(struct scaling *job, struct gram_arena *arena)
{
    const size_t n = (size_t)job->at->channels;
    struct gram_trial trial;
    double ratio = -1;

    job->x = gram_arena_take(arena, n, sizeof *job->x);
    job->s = gram_arena_take(arena, n, sizeof *job->s);
    if (!job->x || !job->s || !gram_trial_open(&trial, job->call, job->at))
        return false;
    gram_rescale_gather(job->x, job->at, job->at->stats->mean_abs, true);
    if (gram_trial_matters(&trial))
        ratio = best_ratio(job, &trial);
    gram_trial_close(&trial);
    if (ratio > 0) {
        scales_for(job, ratio);
        gram_rescale_apply(job->at, job->call->weights, job->s);
    } else {
        for (size_t j = 0; j < n; j++)
            job->s[j] = 1.0f;
    }
    gram_rescale_note(job->call, "ratio", job->at, ratio);
    return true;
}

static bool is_wanted(const struct gram_transform_call *call, const struct gram_rescale *at)
{
    return at->stats && (at->share == 1 || !call->options->as_reference);
}

enum gram_status gram_awq_check(const struct gram_model_desc *desc, struct gram_error *err)
{
    return gram_rescale_check(desc, "awq", err);
}

enum gram_status gram_awq_apply(struct gram_transform_call *call, struct gram_error *err)
{
    struct gram_rescale places[GRAM_RESCALES];
    const float *scales[GRAM_RESCALES] = {NULL};
    struct gram_arena arena = {0};
    bool ok = true;

    call->note[0] = '\0';
    const int n = gram_rescale_list(places, call);
    for (int i = 0; ok && i < n; i++) {
        struct scaling job = {.call = call, .at = &places[i]};
        if (!is_wanted(call, &places[i]))
            continue;
        ok = scale(&job, &arena);
        scales[i] = job.s;
    }
    for (int i = 0; ok && call->options->clip && i < n; i++)
        ok = gram_awq_clip(call, &places[i], scales[i]);
    gram_arena_reset(&arena);
    return ok ? GRAM_OK : gram_fail_memory(err, "scales of awq");
}
