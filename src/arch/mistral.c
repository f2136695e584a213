/* Mistral: LLaMA with a sliding window in every layer (Jiang et al. 2023). */
#include "arch/arch_table.h"

const struct gram_arch gram_arch_mistral = {
    .name = "mistral",
    .hf_class = "MistralForCausalLM",
    .model_type = "mistral",
    .keys = gram_decoder_lm_keys,
    .weights = gram_decoder_lm_weights,
    .n_weights = GRAM_DECODER_LM_WEIGHTS,
    .build = gram_decoder_lm_build,
    .has_gated_mlp = true,
    .window = GRAM_WINDOW_ALL,
};
