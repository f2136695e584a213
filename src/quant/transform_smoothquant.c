/*
 * SmoothQuant (Xiao et al. 2023, eq. 4): inputs whose channels differ much in size are hard to round to
 * int8; weights are easy. Channel j of the inputs is divided by
 *
 *     s_j = max |X_j|^alpha / max |W_j|^(1 - alpha)
 *
 * and column j of the weights multiplied by it. The reference does this where a norm makes the inputs;
 * here also where a linear does (values, and the upper half of the gated MLP).
 */
#include <math.h>

#include "quant/trial.h"

static const float least_scale = 1e-5f; /* as in the reference */
static const double reference_alpha = 0.5;

/* s[channels]; a channel that is always zero stays as it is. */
static void scales_for(float *s, const struct gram_rescale *at, const float *x, const float *w,
                       double alpha)
{
    for (int64_t j = 0; j < at->channels; j++) {
        const double from = pow((double)x[j], alpha);
        const double to = pow(fmax((double)w[j], (double)least_scale), 1.0 - alpha);
        s[j] = x[j] > 0.0f ? fmaxf((float)(from / to), least_scale) : 1.0f;
    }
}

struct smoothing {
    struct gram_transform_call *call;
    const struct gram_rescale *at;
    float *x, *w, *s; /* [channels] */
};

/* The alpha of least error out of 0, 0.05 .. 1, or leaving s at 1 (alpha < 0). False if memory ran out. */
static bool search_alpha(struct smoothing *job, double *alpha)
{
    struct gram_trial trial;
    double least;

    if (!gram_trial_open(&trial, job->call, job->at))
        return false;
    for (int64_t j = 0; j < job->at->channels; j++)
        job->s[j] = 1.0f;
    *alpha = -1;
    if (gram_trial_matters(&trial)) {
        least = gram_trial_error(&trial, job->s);
        for (int i = 0; i <= 20; i++) {
            scales_for(job->s, job->at, job->x, job->w, 0.05 * i);
            const double error = gram_trial_error(&trial, job->s);
            if (error < least) {
                least = error;
                *alpha = 0.05 * i;
            }
        }
    }
    gram_trial_close(&trial);
    return true;
}

static bool smooth(struct smoothing *job, struct gram_arena *arena)
{
    const struct gram_rescale *at = job->at;
    const struct gram_transform_options *options = job->call->options;
    double alpha = options->as_reference && options->alpha < 0 ? reference_alpha : options->alpha;
    float *columns = gram_arena_take(arena, (size_t)at->cols, sizeof *columns);

    job->x = gram_arena_take(arena, (size_t)at->channels, sizeof *job->x);
    job->w = gram_arena_take(arena, (size_t)at->channels, sizeof *job->w);
    job->s = gram_arena_take(arena, (size_t)at->channels, sizeof *job->s);
    if (!columns || !job->x || !job->w || !job->s)
        return false;
    gram_rescale_gather(job->x, at, at->stats->absmax, false);
    gram_rescale_absmax(columns, at, job->call->weights);
    gram_rescale_gather(job->w, at, columns, false);
    if (alpha < 0 && !search_alpha(job, &alpha))
        return false;
    if (alpha >= 0) {
        scales_for(job->s, at, job->x, job->w, alpha);
        gram_rescale_apply(at, job->call->weights, job->s);
    }
    gram_rescale_note(job->call, "alpha", at, alpha);
    return true;
}

enum gram_status gram_smoothquant_check(const struct gram_model_desc *desc, struct gram_error *err)
{
    return gram_rescale_check(desc, "smoothquant", err);
}

enum gram_status gram_smoothquant_apply(struct gram_transform_call *call, struct gram_error *err)
{
    struct gram_rescale places[GRAM_RESCALES];
    struct gram_arena arena = {0};
    bool ok = true;

    call->note[0] = '\0';
    const int n = gram_rescale_list(places, call);
    for (int i = 0; ok && i < n; i++) {
        struct smoothing job = {.call = call, .at = &places[i]};
        if (places[i].stats && (places[i].is_norm || !call->options->as_reference))
            ok = smooth(&job, &arena);
    }
    gram_arena_reset(&arena);
    return ok ? GRAM_OK : gram_fail_memory(err, "scales of smoothquant");
}
