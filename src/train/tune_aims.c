/* What a training lessens beside the cross entropy, and with which caches: the reference is opened. */
#include <string.h>

#include "base/checked.h"
#include "train/tuning.h"

static const struct {
    const char *name;
    enum gram_kv_kind kind;
} caches[] = {{"f32", GRAM_KV_F32}, {"f16", GRAM_KV_F16}, {"int8", GRAM_KV_I8}};

static enum gram_status find_cache(enum gram_kv_kind *kind, const char *name, struct gram_error *err)
{
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
        *kind = caches[i].kind;
        if (!name || strcmp(caches[i].name, name) == 0)
            return GRAM_OK;
    }
    return gram_fail(err, GRAM_EINVAL, "unknown kind of cache '%s'; there are f32, f16 and int8", name);
}

/* Epochs that the planned steps come to. */
static int64_t count_epochs(const struct gram_tuning *t)
{
    const struct gram_trainer_options *p = &t->trainer_options;
    const double taken = (double)(p->steps * p->accumulate * p->rows * p->context);
    return (int64_t)(taken / ((double)t->data.tokens * t->o.coreset)) + 1;
}

enum gram_status gram_tuning_open_aims(struct gram_tuning *t, struct gram_error *err)
{
    const struct gram_tune_options *o = &t->o;
    struct gram_trainer_options *p = &t->trainer_options;
    const bool needs_teacher =
        o->distill > 0.0 || o->block_mse > 0.0 || (o->coreset < 1.0 && t->method->is_qat);

    GRAM_TRY(find_cache(&p->kv, o->kv, err));
    p->objective = (struct gram_objective){o->distill, o->distill_temperature, o->block_mse};
    p->watch_steps = o->watch_steps ? o->watch_steps : gram_max_i64(1, p->steps / 10);
    p->coreset = o->coreset;
    p->coreset_every = o->coreset_every;
    p->epochs = count_epochs(t);
    if (!needs_teacher && !o->reference)
        return GRAM_OK;
    p->teacher = &t->teacher;
    return gram_teacher_open(
        &t->teacher, t->rt, &t->ck, o->reference, o->block_mse > 0.0,
        (struct gram_stepper_limits){.rows = p->rows * p->context,
                                     .sequences = p->rows * GRAM_ROW_SAMPLES,
                                     .length = p->context},
        err);
}
