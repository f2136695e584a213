/*
 * Rotary scaling as configs spell it: `rope_scaling` beside a top-level `rope_theta` (transformers 4), or
 * `rope_parameters` that holds both (transformers 5); the kind is `rope_type`, earlier `type`.
 */
#include <string.h>

#include "arch/arch_table.h"

static const struct {
    const char *name;
    enum gram_rope_scaling scaling;
} kinds[] = {
    {"default", GRAM_ROPE_NONE}, {"linear", GRAM_ROPE_LINEAR}, {"dynamic", GRAM_ROPE_DYNAMIC},
    {"yarn", GRAM_ROPE_YARN},    {"llama3", GRAM_ROPE_LLAMA3},
};

static enum gram_status read_kind(struct gram_rope_params *rope, const json_t *scaling,
                                  const char *where, struct gram_error *err)
{
    const char *kind;
    GRAM_TRY(gram_json_str(scaling, gram_json_has(scaling, "rope_type") ? "rope_type" : "type",
                           "default", &kind, where, err));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, kind) == 0) {
            rope->scaling = kinds[i].scaling;
            return GRAM_OK;
        }
    }
    return gram_fail(err, GRAM_EUNSUPPORTED,
                     "%s: rope scaling '%s' is not one of default, linear, dynamic, yarn, llama3",
                     where, kind);
}

/* The numbers of a scaling: key, where it goes, range and default. */
static enum gram_status read_numbers(struct gram_rope_params *rope, const json_t *scaling,
                                     const char *where, struct gram_error *err)
{
    const struct {
        const char *key;
        double *to, low, high, fallback;
    } numbers[] = {
        {"rope_theta", &rope->theta, 1e-3, 1e15, rope->theta},
        {"factor", &rope->factor, 1e-6, 1e6, 1},
        {"original_max_position_embeddings", &rope->original_context, 1, 1 << 27,
         rope->original_context},
        {"low_freq_factor", &rope->low_freq, 1e-6, 1e6, 1},
        {"high_freq_factor", &rope->high_freq, 1e-6, 1e6, 4},
        {"beta_fast", &rope->beta_fast, 1e-6, 1e6, 32},
        {"beta_slow", &rope->beta_slow, 1e-6, 1e6, 1},
        {"attention_factor", &rope->attention_factor, 0, 1e6, 0},
        {"mscale", &rope->mscale, 0, 1e6, 0},
        {"mscale_all_dim", &rope->mscale_all_dim, 0, 1e6, 0},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        GRAM_TRY(gram_json_real(scaling, numbers[i].key, numbers[i].low, numbers[i].high,
                                numbers[i].fallback, numbers[i].to, where, err));
    return gram_json_bool(scaling, "truncate", true, &rope->truncate, where, err);
}

/* llama3 and yarn contradict themselves with these. */
static enum gram_status check_numbers(const struct gram_rope_params *rope, const json_t *scaling,
                                      const char *where, struct gram_error *err)
{
    if (rope->scaling != GRAM_ROPE_NONE && !gram_json_has(scaling, "factor"))
        return gram_fail(err, GRAM_EFORMAT, "%s: rope scaling without a factor", where);
    if (rope->scaling == GRAM_ROPE_LLAMA3 && rope->high_freq <= rope->low_freq)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: high_freq_factor %g must be above low_freq_factor %g", where,
                         rope->high_freq, rope->low_freq);
    if (rope->scaling == GRAM_ROPE_YARN && rope->theta <= 1)
        return gram_fail(err, GRAM_EFORMAT, "%s: yarn needs a rope_theta above 1, not %g", where,
                         rope->theta);
    return GRAM_OK;
}

enum gram_status gram_rope_read(struct gram_rope_params *rope, const json_t *config,
                                int64_t context, const char *where, struct gram_error *err)
{
    const json_t *scaling = json_object_get(config, "rope_parameters");

    *rope = (struct gram_rope_params){.truncate = true, .original_context = (double)context};
    GRAM_TRY(gram_json_real(config, "rope_theta", 1e-3, 1e15, 10000, &rope->theta, where, err));
    if (!scaling || json_is_null(scaling))
        scaling = json_object_get(config, "rope_scaling");
    if (!scaling || json_is_null(scaling))
        return GRAM_OK;
    if (!json_is_object(scaling))
        return gram_fail(err, GRAM_EFORMAT, "%s: rope_scaling is not an object", where);
    GRAM_TRY(read_kind(rope, scaling, where, err));
    GRAM_TRY(read_numbers(rope, scaling, where, err));
    /* transformers keeps the trained context of the dynamic rule in max_position_embeddings. */
    if (rope->scaling == GRAM_ROPE_DYNAMIC)
        rope->original_context = (double)context;
    return check_numbers(rope, scaling, where, err);
}
