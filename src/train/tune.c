/*
 * gram_tune: open, read the data, train, write, certify, publish. Everything that can be refused is refused
 * before the first step.
 */
#include <gram/tune.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/file.h"
#include "train/export.h"
#include "train/trainer.h"

enum { MOST_CONTEXT = 512 }; /* unless asked for more */

/* ---- methods ---- */

static const struct gram_choice method_names[] = {
    {"full", "all weights"},
    {"lora", "low-rank pairs beside the linears; the base may be quantized and stays as it is"},
    {"qat", "all weights, with the linears on the grid of --scheme, whose steps are learned"},
    {NULL, NULL},
};

static const struct method {
    const struct gram_choice *about;
    bool is_lora, is_qat;
    double lr;
} methods[] = {
    {&method_names[0], false, false, 1e-4},
    {&method_names[1], true, false, 2e-4},
    {&method_names[2], false, true, 1e-3},
};

const struct gram_choice *gram_tune_methods(void)
{
    return method_names;
}

static enum gram_status find_method(const struct method **out, const char *name,
                                    struct gram_error *err)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        *out = &methods[i];
        if (strcmp(methods[i].about->name, name) == 0)
            return GRAM_OK;
    }
    return gram_fail(err, GRAM_EINVAL, "unknown method '%s'; there are full, lora and qat", name);
}

/* ---- the job ---- */

struct tune {
    struct gram_runtime *rt;
    const char *in, *out;
    struct gram_tune_options o; /* with every default filled in */
    const struct gram_job *job;
    const struct method *method;

    struct gram_checkpoint ck;
    struct gram_dataset data, held; /* held.n is 0: nothing was held out */
    struct gram_lora_options lora;
    struct gram_trainer_options trainer_options;
    struct gram_export export;
    struct gram_learner learner;
    struct gram_trainer trainer;
    struct gram_keeper keeper;
    struct gram_output *output;
    int64_t resumed_from;
    char name[GRAM_SHA256_HEX]; /* of the job: a hash of all that it depends on */
};

static void warn(const struct tune *t, const char *sentence)
{
    if (t->job && t->job->warn)
        t->job->warn(t->job->user, sentence);
}

/* ---- before any work ---- */

static enum gram_status check_options(struct tune *t, struct gram_error *err)
{
    const struct gram_tune_options *o = &t->o;

    if (!o->data)
        return gram_fail(err, GRAM_EINVAL, "there is no data to learn from");
    if (o->rows < 1 || o->accumulate < 1 || o->epochs < 1 || o->steps < 0 || o->rank < 1)
        return gram_fail(err, GRAM_EINVAL, "rows, accumulate, epochs and rank must be at least 1");
    if (!(o->lr > 0.0) || !(o->warmup >= 0.0 && o->warmup <= 1.0) || !(o->clip >= 0.0) ||
        !(o->eval_share >= 0.0 && o->eval_share < 1.0) || !(o->alpha > 0.0))
        return gram_fail(err, GRAM_EINVAL,
                         "lr and alpha must be above 0, warmup and eval_share shares, clip not below 0");
    if (o->patience > 0 && !o->eval_data && o->eval_share == 0.0)
        return gram_fail(err, GRAM_EINVAL,
                         "patience needs something held out: --eval-share or --eval-data");
    if (o->scheme && !t->method->is_qat)
        return gram_fail(err, GRAM_EINVAL, "a scheme belongs to method qat, not to %s",
                         t->method->about->name);
    return GRAM_OK;
}

static void fill_in(struct tune *t)
{
    struct gram_tune_options *o = &t->o;

    if (o->lr == 0.0)
        o->lr = t->method->lr;
    if (o->alpha == 0.0)
        o->alpha = 2.0 * (double)o->rank;
    if (t->method->is_qat && !o->scheme)
        o->scheme = "w4a16";
    t->lora = (struct gram_lora_options){o->rank, o->alpha, o->targets, o->seed};
}

static enum gram_status check_scheme(const struct tune *t, struct gram_error *err)
{
    struct gram_scheme scheme;

    if (!t->method->is_qat)
        return GRAM_OK;
    GRAM_TRY(gram_scheme_parse(&scheme, t->o.scheme, err));
    if (scheme.kind != GRAM_SCHEME_CODES || scheme.act_bits != 0 ||
        strcmp(gram_scheme_container(&scheme), "compressed-tensors") != 0)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: only grids of weights that compressed-tensors stores can be trained "
                         "on, such as w4a16 or w2a16-g64",
                         t->o.scheme);
    return GRAM_OK;
}

static enum gram_status open_source(struct tune *t, struct gram_error *err)
{
    GRAM_TRY(gram_checkpoint_open(&t->ck, t->in, err));
    if (t->ck.container && !t->method->is_lora)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: is quantized; train an adapter for it (lora), or start from the "
                         "unquantized model",
                         t->ck.config_path);
    if (t->o.context == 0)
        t->o.context = gram_min_i64(t->ck.desc.hp.context, MOST_CONTEXT);
    if (t->o.context < 2 || t->o.context > t->ck.desc.hp.context)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: rows of %" PRId64 " tokens; the model takes 2 to %" PRId64, t->in,
                         t->o.context, t->ck.desc.hp.context);
    return t->method->is_lora ? GRAM_OK
                              : gram_export_open(&t->export, &t->ck, t->o.scheme, err);
}

/* ---- data ---- */

static void tell_skipped(const struct tune *t, const char *path, const struct gram_dataset *data)
{
    char sentence[800];

    if (data->skipped > 0) {
        snprintf(sentence, sizeof sentence, "%s: %" PRId64 " bad records were passed over, the first one: %s",
                 path, data->skipped, data->first_skipped.message);
        warn(t, sentence);
    }
    if (data->cut > 0) {
        snprintf(sentence, sizeof sentence,
                 "%s: %" PRId64 " of %" PRId64 " records are longer than %" PRId64
                 " tokens; what lies behind is not learned",
                 path, data->cut, data->records, t->o.context);
        warn(t, sentence);
    }
}

static enum gram_status read_data(struct tune *t, struct gram_dataset *data, const char *path,
                                  const struct gram_tokenizer *tokenizer, struct gram_error *err)
{
    const struct gram_dataset_options options = {path, t->o.context, t->o.skip_bad};

    GRAM_TRY(gram_dataset_read(data, tokenizer, &options, err));
    tell_skipped(t, path, data);
    for (size_t i = 0; i < data->n; i++)
        for (int64_t k = 0; k < data->samples[i].n; k++)
            if (data->samples[i].tokens[k] >= t->ck.desc.hp.vocab ||
                data->samples[i].labels[k] >= t->ck.desc.hp.vocab)
                return gram_fail(err, GRAM_EFORMAT,
                                 "%s: the tokenizer makes ids that the model's %" PRId64
                                 " rows of embedding do not reach",
                                 t->in, t->ck.desc.hp.vocab);
    return GRAM_OK;
}

static enum gram_status open_data(struct tune *t, struct gram_error *err)
{
    struct gram_tokenizer *tokenizer;

    GRAM_TRY(gram_tokenizer_open(&tokenizer, t->ck.path, err));
    enum gram_status status = read_data(t, &t->data, t->o.data, tokenizer, err);
    if (status == GRAM_OK && t->o.eval_data)
        status = read_data(t, &t->held, t->o.eval_data, tokenizer, err);
    else if (status == GRAM_OK && t->o.eval_share > 0.0)
        status = gram_dataset_hold_out(&t->data, &t->held, t->o.eval_share, t->o.seed, err);
    gram_tokenizer_close(&tokenizer);
    return status;
}

/* ---- what the job is ---- */

static json_t *print_options(const struct tune *t)
{
    const struct gram_tune_options *o = &t->o;
    json_t *printed = json_pack(
        "{s:I, s:I, s:I, s:I, s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "context",
        (json_int_t)o->context, "rows", (json_int_t)o->rows, "accumulate", (json_int_t)o->accumulate,
        "steps", (json_int_t)t->trainer_options.steps, "optimizer", o->optimizer, "schedule", o->schedule,
        "lr", o->lr, "warmup", o->warmup, "weight_decay", o->weight_decay, "clip", o->clip, "seed",
        (json_int_t)o->seed, "eval_every", (json_int_t)o->eval_every, "patience", (json_int_t)o->patience);

    if (printed && t->method->is_qat)
        json_object_set_new(printed, "scheme", json_string(o->scheme));
    if (printed && t->method->is_lora)
        json_object_update_new(printed,
                               json_pack("{s:I, s:f, s:s?}", "rank", (json_int_t)o->rank, "alpha",
                                         o->alpha, "targets", o->targets));
    return printed;
}

/* Of each tensor its name, shape and first bytes: enough to tell models apart, and quick. */
static void hash_model(struct gram_sha256 *hash, const struct gram_checkpoint *ck)
{
    enum { BEGINNING = 4096 };

    for (size_t i = 0; i < gram_store_count(ck->store); i++) {
        const struct gram_tensor *t = gram_store_at(ck->store, i);
        gram_sha256_add(hash, t->name, strlen(t->name) + 1);
        gram_sha256_add(hash, t->shape, sizeof t->shape);
        gram_sha256_add(hash, t->data, t->bytes < BEGINNING ? (size_t)t->bytes : BEGINNING);
    }
}

static enum gram_status name_job(struct tune *t, struct gram_error *err)
{
    struct gram_sha256 hash;
    json_t *options = print_options(t);
    char *text = options ? json_dumps(options, JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;

    json_decref(options);
    if (!text)
        return gram_fail_memory(err, "the options of the job");
    gram_sha256_init(&hash);
    gram_sha256_add(&hash, text, strlen(text) + 1);
    gram_sha256_add(&hash, t->method->about->name, strlen(t->method->about->name) + 1);
    gram_sha256_add(&hash, t->data.hash, sizeof t->data.hash);
    gram_sha256_add(&hash, t->held.hash, sizeof t->held.hash);
    hash_model(&hash, &t->ck);
    gram_sha256_hex(&hash, t->name);
    free(text);
    return GRAM_OK;
}

/* ---- training ---- */

static enum gram_status plan_steps(struct tune *t, struct gram_error *err)
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

static enum gram_status open_learner(struct tune *t, struct gram_error *err)
{
    struct gram_learner_plan plan = {.lora = t->method->is_lora ? &t->lora : NULL,
                                     .layout = t->method->is_qat ? &t->export.layout : NULL};

    GRAM_TRY(gram_optimizer_find(&plan.optimizer, t->o.optimizer, err));
    GRAM_TRY(gram_learner_open(&t->learner, t->rt, &t->ck, &plan, err));
    t->keeper.params = &t->learner.params;
    return gram_trainer_open(&t->trainer, &t->learner, &t->data, t->held.n > 0 ? &t->held : NULL,
                             &t->keeper, &t->trainer_options, t->o.seed, t->job, err);
}

/* What an interrupted run left, or a new beginning. */
static enum gram_status take_up(struct tune *t, struct gram_error *err)
{
    bool found, is_other;

    t->keeper.output = t->output;
    GRAM_TRY(gram_keeper_resume(&t->keeper, t->name, &t->trainer.standing, &found, &is_other, err));
    if (found) {
        t->resumed_from = t->trainer.standing.step;
        return GRAM_OK;
    }
    if (is_other)
        warn(t, "data, model or options changed since the interrupted run; starting afresh");
    GRAM_TRY(gram_output_start_afresh(t->output, err));
    return gram_keeper_begin(&t->keeper, t->name, err);
}

/* ---- what is left of it ---- */

static json_t *real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *print_data(const struct tune *t)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "sha256", t->data.hash, "samples",
                     (json_int_t)t->data.n, "held_samples", (json_int_t)t->held.n, "tokens",
                     (json_int_t)t->trainer.standing.tokens, "skipped", (json_int_t)t->data.skipped,
                     "cut", (json_int_t)t->data.cut);
}

static double held_after(const struct tune *t)
{
    const struct gram_standing *s = &t->trainer.standing;
    return t->held.n == 0 ? (double)NAN : t->keeper.best ? s->best : s->held;
}

static double held_before(const struct tune *t)
{
    return t->held.n == 0 ? (double)NAN : t->trainer.standing.held_before;
}

static json_t *print_result(const struct tune *t)
{
    const struct gram_standing *s = &t->trainer.standing;
    return json_pack("{s:I, s:o, s:o, s:o, s:o}", "steps", (json_int_t)s->step, "first_loss",
                     real_or_null(s->first_loss), "last_loss", real_or_null(s->last_loss), "held_before",
                     real_or_null(held_before(t)), "held_after", real_or_null(held_after(t)));
}

static json_t *print_files(const struct gram_written *written)
{
    json_t *files = json_array();

    for (size_t i = 0; i < written->n; i++)
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", written->at[i].name, "bytes",
                                               (json_int_t)written->at[i].bytes, "sha256",
                                               written->at[i].hash));
    return files;
}

static enum gram_status certify(const struct tune *t, struct gram_error *err)
{
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "gram", GRAM_VERSION, "kind",
                             "tune", "method", t->method->about->name, "architecture",
                             gram_arch_name(t->ck.desc.arch), "options", print_options(t), "data",
                             print_data(t), "result", print_result(t), "files",
                             print_files(&t->export.written));
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
    const enum gram_status status =
        text ? gram_output_put(t->output, "gram.json", text, strlen(text), err)
             : gram_fail_memory(err, "gram.json");

    free(text);
    json_decref(root);
    return status;
}

static enum gram_status write_result(struct tune *t, struct gram_error *err)
{
    gram_learner_prepare(&t->learner);
    GRAM_TRY(t->method->is_lora
                 ? gram_lora_write(&t->export.written, t->output, &t->learner.lora, t->in, err)
                 : gram_export_model(&t->export, t->output, &t->learner, t->job, err));
    GRAM_TRY(certify(t, err));
    gram_keeper_clear(&t->keeper);
    return gram_output_publish(&t->output, err);
}

/* ---- the whole ---- */

static enum gram_status run(struct tune *t, struct gram_error *err)
{
    GRAM_TRY(find_method(&t->method, t->o.method, err));
    fill_in(t);
    GRAM_TRY(check_options(t, err));
    GRAM_TRY(check_scheme(t, err));
    GRAM_TRY(open_source(t, err));
    GRAM_TRY(open_data(t, err));
    GRAM_TRY(plan_steps(t, err));
    GRAM_TRY(name_job(t, err));
    GRAM_TRY(gram_output_open(&t->output, t->out, t->o.force, err));
    GRAM_TRY(gram_output_check_apart(t->output, t->ck.path, err));
    GRAM_TRY(open_learner(t, err));
    GRAM_TRY(take_up(t, err));
    GRAM_TRY(gram_trainer_run(&t->trainer, err));
    return write_result(t, err);
}

/* With a checkpoint to go on from, leave it; else leave nothing. */
static enum gram_status settle(struct tune *t, enum gram_status status, struct gram_error *err)
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

static void fill_report(const struct tune *t, struct gram_tune_report *r)
{
    const struct gram_standing *s = &t->trainer.standing;

    *r = (struct gram_tune_report){
        .steps = s->step,
        .steps_planned = t->trainer_options.steps,
        .resumed_from = t->resumed_from,
        .samples = (int64_t)t->data.n,
        .held_samples = (int64_t)t->held.n,
        .records = t->data.records,
        .skipped = t->data.skipped,
        .cut = t->data.cut,
        .empty = t->data.empty,
        .tokens = s->tokens,
        .trained = (uint64_t)t->learner.trained,
        .first_loss = s->first_loss,
        .last_loss = s->last_loss,
        .held_before = held_before(t),
        .held_after = held_after(t),
    };
    for (size_t i = 0; i < t->ck.desc.n_slots; i++)
        r->parameters += (uint64_t)(t->ck.desc.slots[i].rows * t->ck.desc.slots[i].cols);
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
    struct tune t = {.rt = rt, .in = in, .out = out, .o = GRAM_TUNE_OPTIONS_INIT, .job = job};
    const double begin = now();

    if (options)
        memcpy(&t.o, options, options->struct_size < sizeof t.o ? options->struct_size : sizeof t.o);
    t.o.method = t.o.method ? t.o.method : "full";
    t.o.optimizer = t.o.optimizer ? t.o.optimizer : "adamw";
    t.o.schedule = t.o.schedule ? t.o.schedule : "cosine";
    const enum gram_status status = settle(&t, run(&t, err), err);
    if (status == GRAM_OK && report) {
        fill_report(&t, report);
        report->seconds = now() - begin;
    }
    gram_trainer_close(&t.trainer);
    gram_learner_close(&t.learner);
    gram_export_close(&t.export);
    gram_dataset_reset(&t.held);
    gram_dataset_reset(&t.data);
    gram_checkpoint_reset(&t.ck);
    return status;
}
