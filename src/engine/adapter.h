/*
 * Adapters: low-rank pairs beside the weights of linears, y = W x + s B A x (Hu et al. 2021), in
 * memory and in PEFT's files (adapter_config.json, adapter_model.safetensors).
 */
#ifndef GRAM_ENGINE_ADAPTER_H
#define GRAM_ENGINE_ADAPTER_H

#include "arch/arch.h"

/* The pair of one linear. */
struct gram_lora_pair {
    const struct gram_weight_slot *slot;
    int64_t rank;
    float *a; /* [rank][slot->cols] */
    float *b; /* [slot->rows][rank] */
};

struct gram_lora {
    struct gram_lora_pair *pairs; /* in the order of the model's slots */
    size_t n_pairs;
    int64_t rank; /* of the config: pairs may differ */
    double alpha;
    bool is_rslora; /* s = alpha / sqrt(rank) instead of alpha / rank */
    struct gram_arena arena;
};

static inline int64_t gram_lora_params(const struct gram_lora *lora)
{
    return 2 * (int64_t)lora->n_pairs;
}

/* The s of a pair. */
double gram_lora_scale(const struct gram_lora *lora, const struct gram_lora_pair *pair);

/*
 * The adapter in folder `path` for the model `desc`. Refused by name: other kinds of adapters, what
 * changes the meaning of the pairs (DoRA, QA-LoRA, biases, patterns of alpha, modules saved whole),
 * tensors that the model has no place for, and shapes that do not fit. Release with
 * gram_lora_reset(), also after a failure.
 */
enum gram_status gram_lora_read(struct gram_lora *lora, const struct gram_model_desc *desc,
                                const char *path, struct gram_error *err);
void gram_lora_reset(struct gram_lora *lora);

/*
 * What the graph of the adapted model is built with: out[n_pairs], whose parameters are numbered
 * from `first_param`: a and b of the first pair, of the second, ...
 */
void gram_lora_adapters(const struct gram_lora *lora, const struct gram_model_desc *desc,
                        int first_param, struct gram_adapter *out);

#endif
