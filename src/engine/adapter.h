/*
 * Adapters: low-rank pairs beside the weights of linears, y = W x + s B A x (Hu et al. 2021), in
 * memory and in PEFT's files (adapter_config.json, adapter_model.safetensors). In those of QA-LoRA (Xu et al.
 * 2023) A reads the sums of x over groups of columns, so that B A adds the same to all weights of a group.
 */
#ifndef GRAM_ENGINE_ADAPTER_H
#define GRAM_ENGINE_ADAPTER_H

#include "arch/arch.h"

/* The pair of one linear. */
struct gram_lora_pair {
    const struct gram_weight_slot *slot;
    int64_t rank;
    double alpha;
    float *a; /* [rank][gram_lora_inputs()] */
    float *b; /* [slot->rows][rank] */
};

struct gram_lora {
    struct gram_lora_pair *pairs; /* in the order of the model's slots */
    size_t n_pairs;
    int64_t rank; /* of the config: pairs may differ */
    double alpha; /* the same */
    bool is_rslora;  /* s = alpha / sqrt(rank) instead of alpha / rank */
    int64_t group;   /* columns that are summed before A; 0: none are */
    double dropout;  /* of x, in training */
    struct gram_arena arena;
};

static inline int64_t gram_lora_params(const struct gram_lora *lora)
{
    return 2 * (int64_t)lora->n_pairs;
}

/* Columns of a pair's A. */
static inline int64_t gram_lora_inputs(const struct gram_lora *lora, const struct gram_lora_pair *pair)
{
    return lora->group ? pair->slot->cols / lora->group : pair->slot->cols;
}

/* The s of a pair; where columns are summed, PEFT takes their mean times the number of groups. */
double gram_lora_scale(const struct gram_lora *lora, const struct gram_lora_pair *pair);

/* row[gram_lora_inputs()] += share s B A of output r. */
void gram_lora_add_row(const struct gram_lora *lora, const struct gram_lora_pair *pair, double share,
                       int64_t r, float *row);

/*
 * The adapter in folder `path` for the model `desc`. Refused by name: what gram_adapter_config_open()
 * refuses, tensors that the model has no place for, pairs without one half or outside the config's
 * targets, shapes that do not fit, and values that are not finite. Release with gram_lora_reset(), also
 * after a failure.
 */
enum gram_status gram_lora_read(struct gram_lora *lora, const struct gram_model_desc *desc,
                                const char *path, struct gram_error *err);
void gram_lora_reset(struct gram_lora *lora);

/*
 * What the graph of the adapted model is built with: out[n_pairs], whose parameters are numbered
 * from `first_param`: a and b of the first pair, of the second, ... B A counts share times.
 */
void gram_lora_low_ranks(const struct gram_lora *lora, const struct gram_model_desc *desc,
                         int first_param, double share, struct gram_low_rank *out);

#endif
