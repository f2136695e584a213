/* LLaMA 2 and 3: rotary positions, RMS norm, gated SiLU, grouped queries (Touvron et al. 2023). */
#include "arch/arch_table.h"

const struct gram_arch gram_arch_llama = {
    .name = "llama",
    .hf_class = "LlamaForCausalLM",
    .model_type = "llama",
    .keys = gram_decoder_lm_keys,
    .weights = gram_decoder_lm_weights,
    .n_weights = GRAM_DECODER_LM_WEIGHTS,
    .build = gram_decoder_lm_build,
    .has_gated_mlp = true,
    .has_attention_bias_key = true,
    .has_mlp_bias_key = true,
};
