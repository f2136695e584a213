/* Qwen2 and Qwen2.5: LLaMA with biases on queries, keys and values. */
#include "arch/arch_table.h"

const struct gram_arch gram_arch_qwen2 = {
    .name = "qwen2",
    .hf_class = "Qwen2ForCausalLM",
    .model_type = "qwen2",
    .keys = gram_decoder_lm_keys,
    .weights = gram_decoder_lm_weights,
    .n_weights = GRAM_DECODER_LM_WEIGHTS,
    .build = gram_decoder_lm_build,
    .has_gated_mlp = true,
    .has_qkv_bias = true,
    .window = GRAM_WINDOW_QWEN,
};
