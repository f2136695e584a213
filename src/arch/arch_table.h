/* What an architecture is, inside the room: a row of traits, config keys and weights, and its builder. */
#ifndef GRAM_ARCH_ARCH_TABLE_H
#define GRAM_ARCH_ARCH_TABLE_H

#include <stddef.h>
#include "arch/arch.h"

/* A number of config.json and where it goes in struct gram_hparams. */
struct gram_config_key {
    const char *key;
    enum { GRAM_KEY_INT, GRAM_KEY_REAL, GRAM_KEY_BOOL } type;
    size_t offset;
    bool required;
    double low, high, fallback; /* 0 as fallback of a size: derived afterwards */
};

/* Sizes that a weight's shape is made of. */
enum gram_dim { GRAM_DIM_ONE, GRAM_DIM_VOCAB, GRAM_DIM_HIDDEN, GRAM_DIM_FFN, GRAM_DIM_Q,
                GRAM_DIM_KV, GRAM_DIM_HEAD, GRAM_DIM_QKV, GRAM_DIM_CONTEXT, GRAM_DIM_TYPES,
                GRAM_DIM_LABELS };

/* Whether a model has it. GRAM_BIAS: always, and its name ends in ".bias". */
enum gram_presence { GRAM_ALWAYS, GRAM_BIAS, GRAM_IF_QKV_BIAS, GRAM_IF_OUTPUT_BIAS, GRAM_IF_MLP_BIAS,
                     GRAM_IF_QK_NORM, GRAM_IF_UNTIED };

struct gram_weight_spec {
    enum gram_role role;
    enum gram_weight_kind kind;
    const char *op;     /* with %d for the layer: then there is one per block */
    const char *module;
    enum gram_dim rows, cols;
    enum gram_presence presence;
};

/* How config.json says which layers slide. */
enum gram_window_rule {
    GRAM_WINDOW_NEVER,
    GRAM_WINDOW_ALL,   /* sliding_window, every layer (Mistral) */
    GRAM_WINDOW_QWEN,  /* use_sliding_window, from max_window_layers on, or layer_types */
};

struct gram_arch {
    const char *name;       /* shown to users */
    const char *hf_class;   /* architectures[0] */
    const char *model_type; /* when architectures is missing */

    const struct gram_config_key *keys; /* ends with a NULL key */
    const struct gram_weight_spec *weights;
    size_t n_weights;
    enum gram_status (*build)(const struct gram_model_desc *desc, struct gram_graph *graph,
                              struct gram_error *err);

    /* Traits. */
    const char *activation_key;  /* "hidden_act" if NULL */
    bool has_gated_mlp;          /* by SiLU, and by no other function */
    bool is_encoder;             /* reads whole texts and classifies them */
    bool has_learned_positions;  /* and no rotary ones */
    bool has_transposed_linears; /* stored as [in, out] */
    const char *optional_prefix; /* names of tensors may lack it; NULL */
    /* What else config.json may ask for that the builder does not do; NULL. */
    enum gram_status (*check)(const json_t *config, const char *where, struct gram_error *err);
    bool has_attention_bias_key; /* attention_bias: q, k, v and o have biases */
    bool has_qkv_bias;           /* q, k, v always do, o never */
    bool has_mlp_bias_key;
    bool has_qk_norm;
    int default_head_dim;        /* 0: hidden / heads */
    enum gram_window_rule window;
};

extern const struct gram_arch gram_arch_llama, gram_arch_mistral, gram_arch_qwen2, gram_arch_qwen3;
extern const struct gram_arch gram_arch_gpt2, gram_arch_bert;

/* decoder_lm.c: shared by all of the above. */
extern const struct gram_config_key gram_decoder_lm_keys[];
enum { GRAM_DECODER_LM_WEIGHTS = 21 };
extern const struct gram_weight_spec gram_decoder_lm_weights[GRAM_DECODER_LM_WEIGHTS];
enum gram_status gram_decoder_lm_build(const struct gram_model_desc *desc, struct gram_graph *graph,
                                       struct gram_error *err);
/* The slot with this role and layer (-1 outside the blocks), or GRAM_NONE. */
int gram_slot_find(const struct gram_model_desc *desc, enum gram_role role, int layer);

/* pieces.c: a block under construction, and the pieces that builders share. */
struct gram_block_builder {
    const struct gram_model_desc *desc;
    struct gram_graph *g;
    int layer; /* -1 outside the blocks */
    char name[64];
};
/* "layers.3.<op>", or op itself outside the blocks; until the next call. */
const char *gram_block_name(struct gram_block_builder *b, const char *op);
/* The linear of `weight`, with its bias if the model has one. */
int gram_block_linear(struct gram_block_builder *b, const char *op, int x, enum gram_role weight,
                      enum gram_role bias);
/* up, the architecture's function, down: an MLP without a gate. */
int gram_block_mlp(struct gram_block_builder *b, int x);
int gram_block_layernorm(struct gram_block_builder *b, const char *op, int x, enum gram_role weight,
                         enum gram_role bias);

/* rope_config.c: rope_scaling of old configs, rope_parameters of new ones. */
enum gram_status gram_rope_read(struct gram_rope_params *rope, const json_t *config,
                                int64_t context, const char *where, struct gram_error *err);

#endif
