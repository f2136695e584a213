/*
 * gram_tune: open, read the data, train, write, certify, publish. Everything that can be refused is
 * refused before the first step.
 */
#include <gram/tune.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "train/start.h"
#include "train/tuning.h"

enum { MOST_CONTEXT = 512 }; /* unless asked for more */

/* Of several ranks one reads and writes what is kept. */
static bool leads(const struct gram_tuning *t)
{
    return gram_comm_rank(t->rt->comm) == 0;
}

void gram_tuning_warn(const struct gram_tuning *t, const char *sentence)
{
    if (leads(t) && t->job && t->job->warn)
        t->job->warn(t->job->user, sentence);
}

/* The grids of a mold: whole codes that weights alone are made of; for qa-lora with zero points, in groups
 * that are as wide in every linear. */
static enum gram_status check_grids(struct gram_tuning *t, struct gram_error *err)
{
    const bool is_pooled = gram_mold_find(t->method->mold)->is_pooled;

    for (size_t i = 0; i < t->ck.desc.n_slots; i++) {
        const struct gram_scheme *s = &t->export.assigned[i].scheme;
        const char *op = t->ck.desc.slots[i].op;
        if (s->kind != GRAM_SCHEME_CODES && t->method->is_lora &&
            gram_lora_is_target(&t->lora, &t->ck.desc.slots[i]))
            return gram_fail(err, GRAM_EUNSUPPORTED, "%s: %s is not quantized; name the targets that are",
                             t->in, op);
        if (s->kind != GRAM_SCHEME_CODES)
            continue;
        if (s->is_nested || s->act_bits != 0)
            return gram_fail(err, GRAM_EUNSUPPORTED,
                             "%s: %s has rounded activations, or scales that are rounded together; adapters "
                             "are trained on grids of weights alone",
                             t->in, op);
        if (is_pooled && (!s->asymmetric || s->granularity != GRAM_PER_GROUP))
            return gram_fail(err, GRAM_EUNSUPPORTED,
                             "%s: %s has no zero points by group, which qa-lora moves; quantize it with "
                             "a scheme such as w4a16-g32-asym",
                             t->in, op);
        if (is_pooled && t->lora.group && t->lora.group != s->group)
            return gram_fail(err, GRAM_EUNSUPPORTED,
                             "%s: %s has groups of %" PRId64 ", others of %" PRId64, t->in, op, s->group,
                             t->lora.group);
        t->lora.group = is_pooled ? s->group : 0;
    }
    return GRAM_OK;
}

/* With a mold, all linears that have codes get others. */
static enum gram_status open_export(struct gram_tuning *t, struct gram_error *err)
{
    const size_t n = t->ck.desc.n_slots;
    bool *moves = t->method->mold && !t->o.scheme ? malloc(n * sizeof *moves) : NULL;

    if (t->method->mold && !t->o.scheme && !moves)
        return gram_fail_memory(err, "the layout of the output");
    if (moves)
        memset(moves, true, n * sizeof *moves);
    const bool is_like = t->o.start && !t->o.scheme;
    const enum gram_status status =
        gram_export_open(&t->export, &t->ck, t->o.store ? t->o.store : t->o.scheme,
                         is_like ? NULL : moves, is_like ? &t->start : NULL, err);
    free(moves);
    return status;
}

static enum gram_status open_source(struct gram_tuning *t, struct gram_error *err)
{
    GRAM_TRY(gram_checkpoint_open(&t->ck, t->in, err));
    if (t->o.start)
        GRAM_TRY(gram_start_open(&t->start, t->o.start, &t->ck, err));
    GRAM_TRY(gram_tuning_settle_source(t, err));
    if (t->o.context == 0)
        t->o.context = gram_min_i64(t->ck.desc.hp.context, MOST_CONTEXT);
    if (t->o.context < 2 || t->o.context > t->ck.desc.hp.context)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: rows of %" PRId64 " tokens; the model takes 2 to %" PRId64, t->in,
                         t->o.context, t->ck.desc.hp.context);
    if (t->method->writes_adapter && !t->method->mold)
        return GRAM_OK;
    GRAM_TRY(open_export(t, err));
    return t->method->mold ? check_grids(t, err) : GRAM_OK;
}

/* ---- training ---- */

static enum gram_status plan_steps(struct gram_tuning *t, struct gram_error *err)
{
    struct gram_trainer_options *p = &t->trainer_options;
    struct gram_batches batches;

    *p = (struct gram_trainer_options){
        .steps = t->o.steps,
        .accumulate = t->o.accumulate,
        .rows = t->o.rows,
        .context = t->o.context,
        .clip = t->o.clip,
        .optimizer = GRAM_OPTIMIZER_OPTIONS_INIT,
        .schedule_options = GRAM_SCHEDULE_OPTIONS_INIT,
        .eval_every = t->o.eval_every,
        .patience = t->o.patience,
        .keep_every = t->o.keep_every,
        .on_step = t->o.on_step,
        .user = t->o.user,
    };
    if (p->steps == 0) {
        if (!gram_batches_open(&batches, &t->data, p->rows, p->context, t->o.seed, true))
            return gram_fail_memory(err, "the plan of the steps");
        p->steps = gram_ceil_div(gram_batches_count(&batches, t->o.epochs), p->accumulate);
        gram_batches_close(&batches);
    }
    p->optimizer.lr = t->o.lr;
    p->optimizer.weight_decay = t->o.weight_decay;
    p->schedule_options.total = p->steps;
    p->schedule_options.warmup = (int64_t)(t->o.warmup * (double)p->steps + 0.5);
    return gram_schedule_find(&p->schedule, t->o.schedule, err);
}

static enum gram_status open_learner(struct gram_tuning *t, struct gram_error *err)
{
    const bool freezes = t->method->writes_adapter && t->o.scheme;
    struct gram_learner_plan plan = {.lora = t->method->is_lora ? &t->lora : NULL,
                                     .layout = t->method->is_qat || t->method->mold ? &t->export.layout
                                                                                   : NULL,
                                     .mold = t->method->mold ? gram_mold_find(t->method->mold) : NULL,
                                     .base = freezes ? &t->scheme : NULL,
                                     .loftq = (int)t->o.loftq,
                                     .keeps_base = t->o.base_out != NULL,
                                     .is_steps = t->method->is_steps,
                                     .is_random = t->o.from_random,
                                     .seed = t->o.seed,
                                     .channels = t->o.channels,
                                     .learns_ranges = strcmp(t->o.ranges, "learned") == 0};

    GRAM_TRY(gram_tuning_open_aims(t, err));
    GRAM_TRY(gram_optimizer_find(&plan.optimizer, t->o.optimizer, err));
    GRAM_TRY(gram_tuning_check_memory(t, err));
    GRAM_TRY(gram_learner_open(&t->learner, t->rt, &t->ck, &plan, err));
    if (t->o.start)
        GRAM_TRY(gram_start_from(&t->learner, &t->start, err));
    GRAM_TRY(gram_tuning_plan_memory(t, err));
    t->keeper.params = &t->learner.params;
    return gram_trainer_open(&t->trainer, &t->learner, &t->data, t->held.n > 0 ? &t->held : NULL,
                             &t->keeper, &t->trainer_options, t->o.seed, t->job, err);
}

/* What an interrupted run left, or a new beginning. */
static enum gram_status take_up(struct gram_tuning *t, struct gram_error *err)
{
    enum gram_found found;

    if (!leads(t))
        return GRAM_OK;
    t->keeper.output = t->output;
    GRAM_TRY(gram_keeper_resume(&t->keeper, t->name, &t->trainer.standing, &found, err));
    if (found == GRAM_FOUND_OLDER)
        gram_tuning_warn(t, "the last checkpoint is damaged; going on from the one before it");
    if (found == GRAM_FOUND_LAST || found == GRAM_FOUND_OLDER) {
        t->resumed_from = t->trainer.standing.step;
        return GRAM_OK;
    }
    if (found == GRAM_FOUND_OTHER_JOB)
        gram_tuning_warn(
            t, "data, model or options changed since the interrupted run; starting afresh");
    GRAM_TRY(gram_output_start_afresh(t->output, err));
    return gram_keeper_begin(&t->keeper, t->name, err);
}

/* Where rank 0 stands, and with what, is where all ranks begin. */
static enum gram_status share_beginning(struct gram_tuning *t, struct gram_error *err)
{
    struct gram_comm *comm = t->rt->comm;
    const struct gram_params *params = &t->learner.params;

    GRAM_TRY(gram_comm_share(comm, &t->trainer.standing, sizeof t->trainer.standing, t->job, err));
    for (size_t i = 0; comm && i < params->n; i++) {
        const struct gram_param *p = &params->at[i];
        GRAM_TRY(gram_comm_share(comm, p->w, (size_t)p->n * sizeof *p->w, t->job, err));
        GRAM_TRY(gram_comm_share(comm, p->states.at, gram_states_bytes(p->states.optimizer, p->n),
                                 t->job, err));
        gram_params_release(&t->learner.params, p);
    }
    return GRAM_OK;
}

static enum gram_status write_result(struct gram_tuning *t, struct gram_error *err)
{
    if (!leads(t))
        return GRAM_OK;
    GRAM_TRY(gram_tuning_write(t, err));
    GRAM_TRY(gram_tuning_certify(t, err));
    gram_keeper_clear(&t->keeper);
    return gram_output_publish(&t->output, err);
}

/* ---- the whole ---- */

static enum gram_status run(struct gram_tuning *t, struct gram_error *err)
{
    GRAM_TRY(gram_tuning_settle_options(t, err));
    GRAM_TRY(open_source(t, err));
    GRAM_TRY(gram_tuning_open_data(t, err));
    GRAM_TRY(plan_steps(t, err));
    GRAM_TRY(gram_tuning_name(t, err));
    if (leads(t)) {
        GRAM_TRY(gram_output_open(&t->output, t->out, t->o.force, err));
        GRAM_TRY(gram_output_check_apart(t->output, t->ck.path, err));
    }
    GRAM_TRY(open_learner(t, err));
    GRAM_TRY(take_up(t, err));
    GRAM_TRY(share_beginning(t, err));
    GRAM_TRY(gram_trainer_run(&t->trainer, err));
    return write_result(t, err);
}

/* With a checkpoint to go on from, leave it; else leave nothing. */
static enum gram_status settle(struct gram_tuning *t, enum gram_status status,
                               struct gram_error *err)
{
    if (status == GRAM_OK || !t->output)
        return status;
    if (t->keeper.kept == 0) {
        gram_output_discard(&t->output);
        return status;
    }
    if (status == GRAM_ECANCELED)
        gram_fail(err, status,
                  "interrupted after step %" PRId64 " of %" PRId64
                  "; the same command goes on from there (%s.partial)",
                  t->keeper.kept, t->trainer_options.steps, t->out);
    gram_output_close(&t->output);
    return status;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum gram_status gram_tune(struct gram_runtime *rt, const char *in, const char *out,
                           const struct gram_tune_options *options, struct gram_tune_report *report,
                           const struct gram_job *job, struct gram_error *err)
{
    struct gram_tuning t = {
        .rt = rt, .in = in, .out = out, .o = GRAM_TUNE_OPTIONS_INIT, .job = job};
    const double begin = now();

    if (options)
        memcpy(&t.o, options,
               options->struct_size < sizeof t.o ? options->struct_size : sizeof t.o);
    t.o.method = t.o.method ? t.o.method : "full";
    t.o.optimizer = t.o.optimizer ? t.o.optimizer : "adamw";
    t.o.schedule = t.o.schedule ? t.o.schedule : "cosine";
    t.o.ranges = t.o.ranges ? t.o.ranges : "learned";
    const enum gram_status status = settle(&t, run(&t, err), err);
    if (status == GRAM_OK && report) {
        gram_tuning_fill_report(&t, report);
        report->seconds = now() - begin;
    }
    if (status != GRAM_OK)
        gram_comm_break(rt->comm);
    gram_trainer_close(&t.trainer);
    gram_teacher_close(&t.teacher);
    gram_learner_close(&t.learner);
    gram_export_close(&t.export);
    gram_dataset_reset(&t.held);
    gram_dataset_reset(&t.data);
    gram_checkpoint_reset(&t.start);
    gram_checkpoint_reset(&t.ck);
    return status;
}
