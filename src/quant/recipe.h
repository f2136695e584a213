/*
 * Recipes: which linear gets which scheme and method. Read from the options and, before them, from
 * a recipe file; checked against a model before any work starts.
 */
#ifndef GRAM_QUANT_RECIPE_H
#define GRAM_QUANT_RECIPE_H

#include <gram/quantize.h>
#include "arch/arch.h"
#include "base/arena.h"
#include "base/json.h"
#include "quant/method.h"
#include "tensor/scheme.h"

/* A method and the options that it is to be used with. */
struct gram_choosing {
    const struct gram_method *method;
    struct gram_method_options options;
};

struct gram_rule {
    const char *pattern; /* fnmatch on the op name */
    struct gram_scheme scheme;
    struct gram_choosing how;
};

struct gram_recipe {
    struct gram_scheme scheme; /* for what no rule names */
    bool has_scheme;
    struct gram_choosing how;
    struct gram_method_options defaults; /* of methods that say nothing else */
    struct gram_rule *rules;
    size_t n_rules;
    bool quantize_lm_head;
    enum gram_dtype scale_dtype; /* GRAM_N_DTYPE: the weight's own */
};

/* Of one weight. */
struct gram_assignment {
    struct gram_scheme scheme;
    const struct gram_method *method; /* NULL unless the scheme has codes */
    struct gram_method_options options;
};

/* From the options; strings are copied to `arena`. GRAM_EINVAL, and what reading the file returns.
 */
enum gram_status gram_recipe_read(struct gram_recipe *recipe,
                                  const struct gram_quantize_options *options,
                                  struct gram_arena *arena, struct gram_error *err);

/* The same from a parsed recipe file and nothing else; where names it. */
enum gram_status gram_recipe_parse(struct gram_recipe *recipe, const json_t *file,
                                   const char *where, struct gram_arena *arena,
                                   struct gram_error *err);

/*
 * What each slot of the model gets, out[desc->n_slots]. GRAM_EINVAL: a rule that matches nothing, a
 * linear without a scheme, an input size that the group does not divide, a tied lm_head that was
 * asked for.
 */
enum gram_status gram_recipe_assign(const struct gram_recipe *recipe,
                                    const struct gram_model_desc *desc, struct gram_assignment *out,
                                    struct gram_error *err);

#endif
