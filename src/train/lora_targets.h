/* Which linears get a pair, of which rank and alpha: the user's lists, held against the model's names. */
#ifndef GRAM_TRAIN_LORA_TARGETS_H
#define GRAM_TRAIN_LORA_TARGETS_H

#include "arch/arch.h"

struct gram_lora_options {
    int64_t rank;        /* at least 1 */
    double alpha;        /* above 0 */
    const char *targets; /* ends of module names, "q_proj,v_proj"; a regular expression for whole
                            names; NULL or "all-linear": all linears of the blocks */
    const char *rank_pattern, *alpha_pattern; /* "down_proj=32,q_proj=4": of these ends; NULL: none */
    double dropout;      /* of what A reads, in training; below 1 */
    bool is_rslora;
    int64_t group;       /* columns that are summed before A; 0: none are */
    uint64_t seed;
};

/* Every name must be one of the model, every number in range. GRAM_EINVAL, GRAM_ENOMEM. */
enum gram_status gram_lora_check_options(const struct gram_lora_options *options,
                                         const struct gram_model_desc *desc, struct gram_error *err);

/* Of options that were checked. */
bool gram_lora_is_target(const struct gram_lora_options *options, const struct gram_weight_slot *slot);
int64_t gram_lora_rank(const struct gram_lora_options *options, const struct gram_weight_slot *slot);
double gram_lora_alpha(const struct gram_lora_options *options, const struct gram_weight_slot *slot);

#endif
