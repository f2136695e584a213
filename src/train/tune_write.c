/* What a training leaves: an adapter, a model, the base that was made on the way. */
#include "train/tuning.h"

/* ---- adapters ---- */

/* The same for qa-lora: what it does to zero points, as a pair that any program applies. */
static enum gram_status unfold(const struct gram_learner *l, struct gram_lora *stated,
                               struct gram_error *err)
{
    stated->pairs = gram_arena_take(&stated->arena, l->lora.n_pairs, sizeof *stated->pairs);
    if (!stated->pairs)
        return gram_fail_memory(err, "an adapter");
    stated->group = l->lora.group;
    for (size_t i = 0; i < l->lora.n_pairs; i++) {
        const size_t slot = (size_t)(l->lora.pairs[i].slot - l->desc.slots);
        GRAM_TRY(gram_mold_unfold(l->molds[slot], &stated->pairs[i], &stated->arena, err));
        stated->n_pairs++;
    }
    stated->rank = stated->pairs[0].rank;
    stated->alpha = stated->pairs[0].alpha;
    return GRAM_OK;
}

static enum gram_status write_adapter(struct gram_tuning *t, struct gram_error *err)
{
    const char *base = t->o.base_out ? t->o.base_out : t->in;
    struct gram_lora stated = {0};

    if (!t->method->mold)
        return gram_lora_write(&t->export.written, t->output, &t->learner.lora, base, err);
    enum gram_status status = unfold(&t->learner, &stated, err);
    if (status == GRAM_OK)
        status = gram_lora_write(&t->export.written, t->output, &stated, base, err);
    gram_lora_reset(&stated);
    return status;
}

/* ---- bases ---- */

static enum gram_status fill_base(struct gram_tuning *t, struct gram_export *export,
                                  struct gram_output **output, struct gram_error *err)
{
    GRAM_TRY(gram_export_open(export, &t->ck, t->o.scheme, NULL, NULL, err));
    GRAM_TRY(gram_output_open(output, t->o.base_out, t->o.force, err));
    GRAM_TRY(gram_output_check_apart(*output, t->ck.path, err));
    GRAM_TRY(gram_output_start_afresh(*output, err));
    GRAM_TRY(gram_export_model(export, *output, t->rt->pool, t->job, gram_learner_base_values,
                               &t->learner, err));
    return gram_output_publish(output, err);
}

static enum gram_status write_base(struct gram_tuning *t, struct gram_error *err)
{
    struct gram_export export = {0};
    struct gram_output *output = NULL;
    const enum gram_status status = fill_base(t, &export, &output, err);

    gram_output_discard(&output);
    gram_export_close(&export);
    return status;
}

/* ---- all ---- */

enum gram_status gram_tuning_write(struct gram_tuning *t, struct gram_error *err)
{
    gram_learner_prepare(&t->learner);
    if (t->o.base_out)
        GRAM_TRY(write_base(t, err));
    return t->method->writes_adapter ? write_adapter(t, err)
                                     : gram_export_model(&t->export, t->output, t->rt->pool, t->job,
                                                         gram_learner_values, &t->learner, err);
}
