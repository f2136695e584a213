/*
 * Rotary position embedding: the frequencies of every scaling rule that checkpoints name.
 * Sources: Su et al. 2021 (RoPE); Peng et al. 2023 (YaRN, section 3); the llama3 rule of Llama 3.1;
 * transformers' modeling_rope_utils for how config.json spells them.
 */
#ifndef GRAM_GRAPH_ROPE_H
#define GRAM_GRAPH_ROPE_H

#include <stdbool.h>
#include <stdint.h>

enum gram_rope_scaling {
    GRAM_ROPE_NONE,
    GRAM_ROPE_LINEAR,
    GRAM_ROPE_DYNAMIC,
    GRAM_ROPE_YARN,
    GRAM_ROPE_LLAMA3,
    GRAM_N_ROPE
};

/* As config.json states it, defaults filled in. */
struct gram_rope_params {
    enum gram_rope_scaling scaling;
    double theta, factor;
    double original_context;       /* context before scaling: dynamic, yarn, llama3 */
    double low_freq, high_freq;    /* llama3 */
    double beta_fast, beta_slow;   /* yarn */
    double attention_factor;       /* yarn; 0 = derived from factor */
    double mscale, mscale_all_dim; /* yarn; 0 = absent */
    bool truncate;                 /* yarn: round the correction range */
};

/*
 * inv_freq [half]: angle of pair i at position p is p * inv_freq[i]; *scale multiplies cosine and sine.
 * length is the number of tokens that the sequence has come to; only `dynamic` looks at it.
 */
void gram_rope_frequencies(float *inv_freq, float *scale, const struct gram_rope_params *params,
                           int64_t half, int64_t length);

#endif
