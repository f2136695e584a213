/* Qwen3: LLaMA with queries and keys normalized head by head. */
#include "arch/arch_table.h"

const struct gram_arch gram_arch_qwen3 = {
    .name = "qwen3",
    .hf_class = "Qwen3ForCausalLM",
    .model_type = "qwen3",
    .keys = gram_decoder_lm_keys,
    .weights = gram_decoder_lm_weights,
    .n_weights = GRAM_DECODER_LM_WEIGHTS,
    .build = gram_decoder_lm_build,
    .has_gated_mlp = true,
    .has_attention_bias_key = true,
    .has_qk_norm = true,
    .default_head_dim = 128,
    .window = GRAM_WINDOW_QWEN,
};
