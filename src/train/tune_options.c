/* What can be asked of gram_tune: its methods, what each takes if nothing is said, and what
 * contradicts itself. */
#include <string.h>

#include "tensor/dtype.h"
#include "train/tuning.h"

static const struct gram_choice method_names[] = {
    {"full", "all weights"},
    {"lora", "low-rank pairs beside the linears; the base may be quantized and stays as it is"},
    {"qlora", "the same on a base that is quantized on the way (nf4-dq, or --scheme)"},
    {"qat", "all weights, with the linears on the grid of --scheme, whose steps are learned"},
    {"lora-qat", "low-rank pairs and steps, merged into the weights and on their grid all the time"},
    {"qa-lora", "pairs that move zero points alone, for a base on a grid with zero points"},
    {"steps", "the steps of a quantized model, whose codes stay (PEQA)"},
    {NULL, NULL},
};

static const struct gram_tune_method methods[] = {
    {&method_names[0], .lr = 1e-4},
    {&method_names[1], .is_lora = true, .writes_adapter = true, .lr = 2e-4},
    {&method_names[2], .is_lora = true, .writes_adapter = true, .scheme = "nf4-dq", .lr = 2e-4},
    {&method_names[3], .is_qat = true, .scheme = "w4a16", .lr = 1e-3},
    {&method_names[4], .is_lora = true, .mold = "lora-qat", .scheme = "w4a16", .lr = 1e-3},
    {&method_names[5], .is_lora = true, .mold = "qa-lora", .writes_adapter = true, .lr = 5e-3},
    {&method_names[6], .is_steps = true, .lr = 1e-3},
};

const struct gram_choice *gram_tune_methods(void)
{
    return method_names;
}

static enum gram_status find_method(const struct gram_tune_method **out, const char *name,
                                    struct gram_error *err)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        *out = &methods[i];
        if (strcmp(methods[i].about->name, name) == 0)
            return GRAM_OK;
    }
    return gram_fail(err, GRAM_EINVAL,
                     "unknown method '%s'; there are full, lora, qlora, qat, lora-qat, qa-lora and steps",
                     name);
}

/* What a training lessens, of which weights and on which samples. */
static enum gram_status check_aims(const struct gram_tuning *t, struct gram_error *err)
{
    const struct gram_tune_options *o = &t->o;
    const bool moves_weights = !t->method->is_lora && !t->method->is_steps;

    if (o->from_random && (!moves_weights || o->distill > 0.0 || o->block_mse > 0.0))
        return gram_fail(err, GRAM_EINVAL,
                         "weights that begin anew are for full and qat, and not held against old ones");
    if (o->start && !t->method->is_qat)
        return gram_fail(err, GRAM_EINVAL, "codes to begin with belong to method qat, not to %s",
                         t->method->about->name);
    if (!(o->distill >= 0.0 && o->distill <= 1.0) || !(o->block_mse >= 0.0) ||
        !(o->distill_temperature > 0.0))
        return gram_fail(err, GRAM_EINVAL,
                         "distill must be a share, its temperature above 0, block_mse not below 0");
    if (!(o->coreset > 0.0 && o->coreset <= 1.0) || o->coreset_every < 1 ||
        !(o->channels > 0.0 && o->channels <= 1.0))
        return gram_fail(err, GRAM_EINVAL,
                         "coreset and channels must be shares above 0, coreset_every at least 1");
    if (strcmp(o->ranges, "learned") != 0 && strcmp(o->ranges, "observed") != 0)
        return gram_fail(err, GRAM_EINVAL, "ranges are learned or observed, not '%s'", o->ranges);
    if (o->reference && o->distill == 0.0 && o->block_mse == 0.0 && o->coreset == 1.0)
        return gram_fail(err, GRAM_EINVAL,
                         "a reference is there to be held against: --distill, --block-mse or --coreset");
    return GRAM_OK;
}

static enum gram_status check_pairs(const struct gram_tuning *t, struct gram_error *err)
{
    const struct gram_tune_options *o = &t->o;
    const bool is_qlora = t->method->is_lora && t->method->writes_adapter && t->method->scheme;

    if (!(o->dropout >= 0.0 && o->dropout < 1.0) || o->loftq < 0 || o->loftq > 100)
        return gram_fail(err, GRAM_EINVAL, "dropout is a share below 1, loftq from 0 to 100");
    if (o->dropout > 0.0 && (!t->method->is_lora || t->method->mold))
        return gram_fail(err, GRAM_EINVAL,
                         "dropout belongs to lora and qlora, whose pairs stand beside the weights");
    if ((o->loftq > 0 || o->base_out) && !is_qlora)
        return gram_fail(err, GRAM_EINVAL, "loftq and base_out belong to method qlora, not to %s",
                         t->method->about->name);
    if (o->loftq > 1 && !o->base_out)
        return gram_fail(
            err, GRAM_EINVAL,
            "more than one iteration of LoftQ changes the base's codes: it needs base_out "
            "(--base-out DIR), where to write them");
    return GRAM_OK;
}

static enum gram_status check_options(struct gram_tuning *t, struct gram_error *err)
{
    const struct gram_tune_options *o = &t->o;

    if (!o->data)
        return gram_fail(err, GRAM_EINVAL, "there is no data to learn from");
    if (o->rows < 1 || o->accumulate < 1 || o->epochs < 1 || o->steps < 0 || o->rank < 1)
        return gram_fail(err, GRAM_EINVAL, "rows, accumulate, epochs and rank must be at least 1");
    if (!(o->lr > 0.0) || !(o->warmup >= 0.0 && o->warmup <= 1.0) || !(o->clip >= 0.0) ||
        !(o->eval_share >= 0.0 && o->eval_share < 1.0) || !(o->alpha > 0.0))
        return gram_fail(
            err, GRAM_EINVAL,
            "lr and alpha must be above 0, warmup and eval_share shares, clip not below 0");
    if (o->patience > 0 && !o->eval_data && o->eval_share == 0.0)
        return gram_fail(err, GRAM_EINVAL,
                         "patience needs something held out: --eval-share or --eval-data");
    if (o->scheme && !t->method->scheme)
        return gram_fail(err, GRAM_EINVAL,
                         "a scheme belongs to methods qat, lora-qat and qlora, not to %s",
                         t->method->about->name);
    GRAM_TRY(check_pairs(t, err));
    return check_aims(t, err);
}

static enum gram_status check_store(const struct gram_tuning *t, struct gram_error *err)
{
    const char *store = t->o.store;
    enum gram_dtype dtype;

    if (!store)
        return GRAM_OK;
    if (strcmp(t->method->about->name, "full") != 0)
        return gram_fail(err, GRAM_EINVAL, "store belongs to method full, not to %s",
                         t->method->about->name);
    if (!gram_dtype_from_name(&dtype, store) ||
        (dtype != GRAM_F32 && dtype != GRAM_F16 && dtype != GRAM_BF16))
        return gram_fail(err, GRAM_EINVAL, "weights are stored as f32, f16 or bf16, not as '%.32s'", store);
    return GRAM_OK;
}

static void fill_in(struct gram_tuning *t)
{
    struct gram_tune_options *o = &t->o;

    if (o->lr == 0.0)
        o->lr = t->method->lr;
    if (o->alpha == 0.0)
        o->alpha = 2.0 * (double)o->rank;
    t->lora = (struct gram_lora_options){.rank = o->rank,
                                         .alpha = o->alpha,
                                         .targets = o->targets,
                                         .rank_pattern = o->rank_pattern,
                                         .alpha_pattern = o->alpha_pattern,
                                         .dropout = o->dropout,
                                         .is_rslora = o->use_rslora,
                                         .seed = o->seed};
}

enum gram_status gram_tuning_settle_options(struct gram_tuning *t, struct gram_error *err)
{
    GRAM_TRY(find_method(&t->method, t->o.method, err));
    fill_in(t);
    GRAM_TRY(check_options(t, err));
    return check_store(t, err);
}

/* ---- and the source ---- */

static enum gram_status check_scheme(struct gram_tuning *t, struct gram_error *err)
{
    struct gram_scheme *scheme = &t->scheme;

    if (!t->o.scheme)
        return GRAM_OK;
    GRAM_TRY(gram_scheme_parse(scheme, t->o.scheme, err));
    if (scheme->kind != GRAM_SCHEME_CODES)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: has no grid to train on; take one such as w4a16, w2a16-g64 or w8a8",
                         t->o.scheme);
    if (scheme->is_nested && !t->method->writes_adapter)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: its scales are rounded together, which cannot be trained; take nf4",
                         t->o.scheme);
    if (scheme->act_bits != 0 && t->method->is_lora)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: an adapter is trained on codes of weights alone, such as %s", t->o.scheme,
                         t->method->scheme);
    return GRAM_OK;
}

static enum gram_status check_quantized(const struct gram_tuning *t, struct gram_error *err)
{
    if (!t->method->is_lora && !t->method->is_steps)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: is quantized; train its steps or an adapter (lora), or start from the "
                         "unquantized model",
                         t->ck.config_path);
    if (t->o.scheme || t->o.loftq > 0 || t->o.base_out)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: is quantized already; scheme, loftq and base_out want a float model",
                         t->ck.config_path);
    return GRAM_OK;
}

enum gram_status gram_tuning_settle_source(struct gram_tuning *t, struct gram_error *err)
{
    if (t->ck.container)
        return check_quantized(t, err);
    if (t->method->is_steps || (t->method->mold && !t->method->scheme))
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: is not quantized and has no steps to train; gram quantize makes it so, or "
                         "take method qat",
                         t->ck.config_path);
    if (!t->o.scheme && !t->o.start)
        t->o.scheme = t->method->scheme;
    return check_scheme(t, err);
}
