#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/rng.h"

/* ---- opening ---- */

static bool open_batches(struct gram_trainer *t)
{
    const int64_t n = t->options.accumulate + 1;

    t->batch = gram_arena_take(&t->arena, (size_t)n, sizeof *t->batch);
    for (int64_t i = 0; t->batch && i < n; i++)
        if (!gram_minibatch_open(&t->batch[i], &t->batches, &t->arena))
            return false;
    return t->batch != NULL;
}

static bool open_best(struct gram_trainer *t)
{
    const struct gram_params *params = &t->learner->params;

    if (!t->held.data || t->options.patience == 0)
        return true;
    t->keeper->best = gram_arena_take(&t->arena, params->n, sizeof *t->keeper->best);
    for (size_t i = 0; t->keeper->best && i < params->n; i++) {
        t->keeper->best[i] = gram_arena_take(&t->arena, (size_t)params->at[i].n, sizeof(float));
        if (!t->keeper->best[i])
            return false;
    }
    return t->keeper->best != NULL;
}

/* What a checkpoint holds beside the parameters. */
static bool list_extras(struct gram_trainer *t)
{
    struct gram_ranges *ranges = &t->learner->ranges;
    size_t n = 0;

    t->extras = gram_arena_take(&t->arena, ranges->n + 1, sizeof *t->extras);
    if (!t->extras)
        return false;
    for (size_t i = 0; i < ranges->n; i++)
        t->extras[n++] = (struct gram_kept){&ranges->at[i].acts.range.low, 3};
    if (t->coreset.chosen)
        t->extras[n++] = (struct gram_kept){t->coreset.chosen, (int64_t)t->batches.data->n};
    t->keeper->extras = t->extras;
    t->keeper->n_extras = n;
    return true;
}

static bool open_coreset(struct gram_trainer *t)
{
    t->coreset.share = t->options.coreset;
    t->coreset.every = t->options.coreset_every;
    t->coreset.epochs = t->options.epochs;
    return gram_coreset_open(&t->coreset, t->batches.data, t->options.rows, t->options.context);
}

enum gram_status gram_trainer_open(struct gram_trainer *t, struct gram_learner *learner,
                                   const struct gram_dataset *data, const struct gram_dataset *held,
                                   struct gram_keeper *keeper,
                                   const struct gram_trainer_options *options, uint64_t seed,
                                   const struct gram_job *job, struct gram_error *err)
{
    *t = (struct gram_trainer){
        .learner = learner, .keeper = keeper, .options = *options, .job = job};
    bool ok = gram_batches_open(&t->batches, data, options->rows, options->context, seed, true);
    if (ok && held)
        ok = gram_batches_open(&t->held, held, options->rows, options->context, seed, false);
    if (!ok || !open_batches(t) || !open_best(t) || !open_coreset(t) || !list_extras(t))
        return gram_fail_memory(err, "training");
    GRAM_TRY(gram_stepper_open(&t->stepper, &learner->desc, &learner->graph, learner->bindings,
                               learner->grads, &learner->kernels, learner->rt->pool, options->limits,
                               err));
    t->stepper.teacher = options->teacher;
    t->stepper.objective = options->objective;
    return GRAM_OK;
}

void gram_trainer_close(struct gram_trainer *t)
{
    gram_stepper_close(&t->stepper);
    gram_batches_close(&t->batches);
    gram_batches_close(&t->held);
    gram_coreset_close(&t->coreset);
    gram_arena_reset(&t->arena);
    *t = (struct gram_trainer){0};
}

/* ---- around a step ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static enum gram_status poll(const struct gram_trainer *t, struct gram_error *err)
{
    if (t->job && t->job->cancelled && t->job->cancelled(t->job->user))
        return gram_fail(err, GRAM_ECANCELED, "interrupted");
    return GRAM_OK;
}

static struct gram_comm *comm_of(const struct gram_trainer *t)
{
    return t->learner->rt->comm;
}

/* The sequences of a batch that are this rank's, of about equal numbers; n may be 0. */
static struct gram_sequences share_of(const struct gram_trainer *t, const struct gram_minibatch *batch)
{
    const int64_t rank = gram_comm_rank(comm_of(t)), size = gram_comm_size(comm_of(t));
    const int64_t first = batch->n * rank / size, end = batch->n * (rank + 1) / size;
    int64_t skipped = 0;

    for (int64_t i = 0; i < first; i++)
        skipped += batch->lengths[i];
    return (struct gram_sequences){batch->tokens + skipped, batch->labels + skipped,
                                   batch->lengths + first, end - first};
}

/* What each rank has seen of activations counts alike. */
static enum gram_status join_ranges(const struct gram_trainer *t, struct gram_error *err)
{
    const struct gram_ranges *ranges = &t->learner->ranges;
    const float share = 1.0f / (float)gram_comm_size(comm_of(t));

    for (size_t i = 0; share < 1.0f && i < ranges->n; i++) {
        struct gram_moving_range *range = &ranges->at[i].acts.range;
        float sums[] = {range->low, range->high, range->batches};
        GRAM_TRY(gram_comm_sum(comm_of(t), sums, 3, t->job, err));
        *range = (struct gram_moving_range){share * sums[0], share * sums[1], share * sums[2]};
    }
    return GRAM_OK;
}

/* Every rank's part of a loss, and of the gradients. */
static enum gram_status join_parts(const struct gram_trainer *t, double *loss, bool with_grad,
                                   struct gram_error *err)
{
    const struct gram_params *params = &t->learner->params;

    GRAM_TRY(gram_comm_sum_f64(comm_of(t), loss, 1, t->job, err));
    for (size_t i = 0; with_grad && i < params->n; i++)
        GRAM_TRY(gram_comm_sum(comm_of(t), params->at[i].g, params->at[i].n, t->job, err));
    return with_grad ? join_ranges(t, err) : GRAM_OK;
}

static void report(const struct gram_trainer *t, const struct gram_tune_step *step)
{
    char item[64];
    const struct gram_progress progress = {.stage = "train",
                                           .item = item,
                                           .done = (uint64_t)t->standing.step,
                                           .total = (uint64_t)t->options.steps,
                                           .unit = "steps"};

    snprintf(item, sizeof item, "loss %.4f  %.0f tokens/s", step->loss, step->tokens_per_s);
    if (gram_comm_rank(comm_of(t)) > 0)
        return;
    if (t->job && t->job->progress)
        t->job->progress(t->job->user, &progress);
    if (t->options.on_step)
        t->options.on_step(t->options.user, step);
}

/* ---- what was held out ---- */

static enum gram_status measure(struct gram_trainer *t, double *loss, struct gram_error *err)
{
    const int64_t n = gram_batches_count(&t->held, 1);
    struct gram_minibatch *batch = &t->batch[t->options.accumulate];
    double sum = 0.0;

    gram_learner_prepare(t->learner);
    t->held.position = (struct gram_position){0, 0};
    for (int64_t i = 0; i < n; i++) {
        GRAM_TRY(poll(t, err));
        gram_batches_next(&t->held, batch);
        const struct gram_sequences sequences = share_of(t, batch);
        if (sequences.n > 0)
            sum += gram_stepper_loss(&t->stepper, &sequences, 1.0);
    }
    GRAM_TRY(join_parts(t, &sum, false, err));
    *loss = sum / (double)t->held.data->counted;
    return GRAM_OK;
}

static void copy_best(const struct gram_trainer *t, bool is_back)
{
    const struct gram_params *params = &t->learner->params;

    for (size_t i = 0; t->keeper->best && i < params->n; i++)
        memcpy(is_back ? params->at[i].w : t->keeper->best[i],
               is_back ? t->keeper->best[i] : params->at[i].w,
               (size_t)params->at[i].n * sizeof(float));
}

static enum gram_status look_at_held(struct gram_trainer *t, struct gram_error *err)
{
    struct gram_standing *s = &t->standing;

    GRAM_TRY(measure(t, &s->held, err));
    if (s->step == 0)
        s->held_before = s->held;
    s->waited++;
    if (s->step > 0 && !(s->held < s->best))
        return GRAM_OK;
    s->best = s->held;
    s->best_step = s->step;
    s->waited = 0;
    copy_best(t, false);
    return GRAM_OK;
}

static bool is_due(const struct gram_trainer *t)
{
    const int64_t every = t->options.eval_every, step = t->standing.step;
    return t->held.data && (step == t->options.steps || (every > 0 && step % every == 0));
}

/* ---- a step ---- */

/* Samples are chosen anew at the start of an epoch. */
static void next_batch(struct gram_trainer *t, struct gram_minibatch *batch)
{
    int64_t epoch;

    if (t->coreset.chosen && gram_batches_begins(&t->batches, &epoch) &&
        epoch % t->coreset.every == 0) {
        gram_learner_prepare(t->learner);
        gram_coreset_renew(&t->coreset, &t->stepper, epoch);
        t->batches.position = (struct gram_position){epoch, 0};
        gram_batches_choose(&t->batches, t->coreset.chosen);
    }
    gram_batches_next(&t->batches, batch);
}

/* Of what a batch drops: the seed, the step and the batch say it, so that a resumed run drops the same. */
static uint64_t noise_of(const struct gram_trainer *t, int64_t step, int64_t batch)
{
    struct gram_rng rng = {t->batches.seed ^ (uint64_t)step << 20 ^ (uint64_t)batch};
    return gram_rng_u64(&rng) | 1;
}

/* All batches of the step, forward and back: the mean loss of its labels. */
static enum gram_status run_batches(struct gram_trainer *t, struct gram_tune_step *step,
                                    struct gram_error *err)
{
    int64_t counted = 0;

    for (int64_t i = 0; i < t->options.accumulate; i++) {
        next_batch(t, &t->batch[i]);
        counted += t->batch[i].counted;
        step->tokens += t->batch[i].tokens_n;
    }
    gram_params_clear(&t->learner->params);
    gram_learner_prepare(t->learner);
    for (int64_t i = 0; i < t->options.accumulate; i++) {
        GRAM_TRY(poll(t, err));
        const struct gram_sequences sequences = share_of(t, &t->batch[i]);
        t->stepper.exec.noise = noise_of(t, step->step, i);
        t->stepper.exec.noise_row = sequences.tokens - t->batch[i].tokens;
        if (sequences.n > 0)
            step->loss += gram_stepper_run(&t->stepper, &sequences, (double)counted);
    }
    t->stepper.exec.noise = 0;
    gram_learner_collect(t->learner);
    GRAM_TRY(join_parts(t, &step->loss, true, err));
    gram_learner_pull(t->learner);
    step->grad_norm = gram_params_norm(&t->learner->params);
    return GRAM_OK;
}

static enum gram_status fail_step(const struct gram_trainer *t, const struct gram_tune_step *step,
                                  struct gram_error *err)
{
    const char *what = isfinite(step->loss) ? "the gradient" : "the loss";
    char kept[64] = "there is no checkpoint yet";

    if (t->keeper->kept > 0)
        snprintf(kept, sizeof kept, "the checkpoint of step %" PRId64 " is kept", t->keeper->kept);
    return gram_fail(err, GRAM_ENUMERIC,
                     "%s of step %" PRId64
                     " is not finite; %s; a lower learning rate or a longer warm-up may help",
                     what, step->step, kept);
}

static enum gram_status one_step(struct gram_trainer *t, struct gram_error *err)
{
    struct gram_optimizer_options options = t->options.optimizer;
    struct gram_tune_step step = {.step = t->standing.step + 1};
    const double begin = now();

    t->batches.position = t->standing.position;
    gram_ranges_watch(&t->learner->ranges, t->standing.step < t->options.watch_steps);
    GRAM_TRY(run_batches(t, &step, err));
    if (!isfinite(step.loss) || !isfinite(step.grad_norm))
        return fail_step(t, &step, err);
    if (t->options.clip > 0.0)
        gram_params_clip(&t->learner->params, step.grad_norm, t->options.clip);
    options.lr *= t->options.schedule->share(&t->options.schedule_options, t->standing.step);
    gram_params_step(&t->learner->params, &options, step.step);

    t->standing.step = step.step;
    t->standing.position = t->batches.position;
    t->standing.tokens += step.tokens;
    t->standing.last_loss = step.loss;
    if (step.step == 1)
        t->standing.first_loss = step.loss;
    step.lr = options.lr;
    step.epoch = (double)t->standing.position.epoch +
                 (double)t->standing.position.at / (double)t->batches.data->n;
    step.tokens_per_s = (double)step.tokens / (now() - begin);
    if (is_due(t))
        GRAM_TRY(look_at_held(t, err));
    step.held_loss = is_due(t) ? t->standing.held : NAN;
    report(t, &step);
    return GRAM_OK;
}

/* ---- the loop ---- */

static bool is_waiting_in_vain(const struct gram_trainer *t)
{
    return t->options.patience > 0 && t->held.data && t->standing.waited >= t->options.patience;
}

static enum gram_status loop(struct gram_trainer *t, struct gram_error *err)
{
    const int64_t every = t->options.keep_every;

    if (t->standing.step > 0 && t->coreset.chosen)
        gram_batches_choose(&t->batches, t->coreset.chosen);
    if (t->standing.step == 0 && t->held.data)
        GRAM_TRY(look_at_held(t, err));
    while (t->standing.step < t->options.steps && !is_waiting_in_vain(t)) {
        GRAM_TRY(one_step(t, err));
        if (every > 0 && t->standing.step % every == 0 && t->standing.step < t->options.steps)
            GRAM_TRY(gram_keeper_save(t->keeper, &t->standing, err));
    }
    t->is_early = t->standing.step < t->options.steps;
    copy_best(t, true);
    return GRAM_OK;
}

enum gram_status gram_trainer_run(struct gram_trainer *t, struct gram_error *err)
{
    const enum gram_status status = loop(t, err);
    struct gram_error why;

    if (status != GRAM_ECANCELED || t->standing.step == t->keeper->kept)
        return status;
    return gram_keeper_save(t->keeper, &t->standing, &why) == GRAM_OK
               ? status
               : gram_fail(err, why.status, "%s", why.message);
}
