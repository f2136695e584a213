/* What a training says of itself when it is over: gram.json, and the caller's report. */
#include <math.h>
#include <string.h>

#include "train/tuning.h"

static json_t *real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *print_data(const struct gram_tuning *t)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "sha256", t->data.hash, "samples",
                     (json_int_t)t->data.n, "held_samples", (json_int_t)t->held.n, "tokens",
                     (json_int_t)t->trainer.standing.tokens, "skipped", (json_int_t)t->data.skipped,
                     "cut", (json_int_t)t->data.cut);
}

static double held_after(const struct gram_tuning *t)
{
    const struct gram_standing *s = &t->trainer.standing;
    return t->held.n == 0 ? (double)NAN : t->keeper.best ? s->best : s->held;
}

static double held_before(const struct gram_tuning *t)
{
    return t->held.n == 0 ? (double)NAN : t->trainer.standing.held_before;
}

/* A length over that of the weights. */
static double loftq_share(const struct gram_tuning *t, double part)
{
    return t->o.loftq > 0 ? sqrt(part / t->learner.loftq.squares) : (double)NAN;
}

static json_t *print_result(const struct gram_tuning *t)
{
    const struct gram_standing *s = &t->trainer.standing;
    return json_pack("{s:I, s:o, s:o, s:o, s:o}", "steps", (json_int_t)s->step, "first_loss",
                     real_or_null(s->first_loss), "last_loss", real_or_null(s->last_loss),
                     "held_before", real_or_null(held_before(t)), "held_after",
                     real_or_null(held_after(t)));
}

static json_t *print_files(const struct gram_written *written)
{
    json_t *files = json_array();

    for (size_t i = 0; i < written->n; i++)
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", written->at[i].name,
                                               "bytes", (json_int_t)written->at[i].bytes, "sha256",
                                               written->at[i].hash));
    return files;
}

enum gram_status gram_tuning_certify(const struct gram_tuning *t, struct gram_error *err)
{
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "gram", GRAM_VERSION, "kind", "tune",
                  "method", t->method->about->name, "architecture", gram_arch_name(t->ck.desc.arch),
                  "memory", gram_tuning_print_memory(t),
                  "options", gram_tuning_print_options(t), "data", print_data(t), "result",
                  print_result(t), "files", print_files(&t->export.written));
    if (root && t->o.loftq > 0)
        json_object_set_new(root, "loftq",
                            json_pack("{s:f, s:f}", "before", loftq_share(t, t->learner.loftq.before),
                                      "after", loftq_share(t, t->learner.loftq.after)));
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
    const enum gram_status status =
        text ? gram_output_put(t->output, "gram.json", text, strlen(text), err)
             : gram_fail_memory(err, "gram.json");

    free(text);
    json_decref(root);
    return status;
}

void gram_tuning_fill_report(const struct gram_tuning *t, struct gram_tune_report *r)
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
        .loftq_before = loftq_share(t, t->learner.loftq.before),
        .loftq_after = loftq_share(t, t->learner.loftq.after),
        .memory = t->budget.memory,
    };
    for (size_t i = 0; i < t->ck.desc.n_slots; i++)
        r->parameters += (uint64_t)(t->ck.desc.slots[i].rows * t->ck.desc.slots[i].cols);
}
