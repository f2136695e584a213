/* Which job a training is: all that its result depends on, as JSON and as one hash. */
#include <string.h>

#include "train/fingerprint.h"
#include "train/tuning.h"

json_t *gram_tuning_print_options(const struct gram_tuning *t)
{
    const struct gram_tune_options *o = &t->o;
    json_t *printed = json_pack(
        "{s:I, s:I, s:I, s:I, s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "context",
        (json_int_t)o->context, "rows", (json_int_t)o->rows, "accumulate",
        (json_int_t)o->accumulate, "steps", (json_int_t)t->trainer_options.steps, "optimizer",
        o->optimizer, "schedule", o->schedule, "lr", o->lr, "warmup", o->warmup, "weight_decay",
        o->weight_decay, "clip", o->clip, "seed", (json_int_t)o->seed, "eval_every",
        (json_int_t)o->eval_every, "patience", (json_int_t)o->patience);

    if (printed && o->store)
        json_object_set_new(printed, "store", json_string(o->store));
    if (printed && t->method->is_qat)
        json_object_update_new(printed, json_pack("{s:s, s:s?, s:f, s:s, s:I}", "scheme", o->scheme, "start",
                                                  o->start,
                                                  "channels", o->channels, "ranges", o->ranges,
                                                  "watch_steps", (json_int_t)o->watch_steps));
    if (printed)
        json_object_update_new(
            printed, json_pack("{s:b, s:f, s:f, s:f, s:s?, s:f, s:I, s:s?}", "from_random",
                               o->from_random, "distill", o->distill,
                               "distill_temperature", o->distill_temperature, "block_mse",
                               o->block_mse, "reference", o->reference, "coreset", o->coreset,
                               "coreset_every", (json_int_t)o->coreset_every, "kv", o->kv));
    if (printed && t->method->is_lora)
        json_object_update_new(
            printed,
            json_pack("{s:s?, s:I, s:f, s:s?, s:s?, s:s?, s:b, s:f, s:I}", "scheme", o->scheme, "rank",
                      (json_int_t)o->rank, "alpha", o->alpha, "targets", o->targets, "rank_pattern",
                      o->rank_pattern, "alpha_pattern", o->alpha_pattern, "use_rslora", o->use_rslora,
                      "dropout", o->dropout, "loftq", (json_int_t)o->loftq));
    return printed;
}

enum gram_status gram_tuning_name(struct gram_tuning *t, struct gram_error *err)
{
    struct gram_sha256 hash;
    json_t *options = gram_tuning_print_options(t);
    char *text = options ? json_dumps(options, JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;

    json_decref(options);
    if (!text)
        return gram_fail_memory(err, "the options of the job");
    gram_sha256_init(&hash);
    gram_sha256_add(&hash, text, strlen(text) + 1);
    gram_sha256_add(&hash, t->method->about->name, strlen(t->method->about->name) + 1);
    gram_sha256_add(&hash, t->data.hash, sizeof t->data.hash);
    gram_sha256_add(&hash, t->held.hash, sizeof t->held.hash);
    free(text);
    GRAM_TRY(gram_fingerprint_add(&hash, t->ck.store, t->rt->pool, err));
    gram_sha256_hex(&hash, t->name);
    return GRAM_OK;
}
