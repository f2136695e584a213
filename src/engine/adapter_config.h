/* adapter_config.json, as PEFT writes it for LoRA: which linears have pairs, of which rank and alpha. */
#ifndef GRAM_ENGINE_ADAPTER_CONFIG_H
#define GRAM_ENGINE_ADAPTER_CONFIG_H

#include "base/arena.h"
#include "base/json.h"

struct gram_adapter_config {
    json_t *root;
    const char *where; /* for sentences; the caller's */
    int64_t rank;      /* where rank_pattern says nothing else */
    double alpha;      /* where alpha_pattern says nothing else */
    bool is_rslora;
    int64_t group;     /* QA-LoRA: columns that are summed before A; 0: none are */
    double dropout;    /* in training */
};

/*
 * Read and check the file `where`. Refused by name: other kinds of adapters, and what changes the meaning
 * of the pairs (DoRA, biases, modules saved whole, initializations that change the base). Close it also
 * after a failure.
 */
enum gram_status gram_adapter_config_open(struct gram_adapter_config *config, const char *where,
                                          struct gram_error *err);
void gram_adapter_config_close(struct gram_adapter_config *config);

/* What it says of a module ("model.layers.0.self_attn.q_proj"). Targets are ends of names or one regular
 * expression, keys of patterns are regular expressions for ends of names; the first that matches counts. */
enum gram_status gram_adapter_config_find(const struct gram_adapter_config *config, const char *module,
                                          bool *is_target, int64_t *rank, double *alpha,
                                          struct gram_error *err);

#endif
