/*
 * Architectures as data: which config keys, which weights, which traits; and one short builder that
 * turns them into a graph. A new architecture of a known family is a new table.
 */
#ifndef GRAM_ARCH_ARCH_H
#define GRAM_ARCH_ARCH_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/json.h"
#include "graph/graph.h"
#include "graph/rope.h"

/* The numbers of one model. Ranges are checked: every product of two of them fits int64_t. */
struct gram_hparams {
    int64_t vocab, hidden, ffn, layers, heads, kv_heads, head_dim, context;
    int64_t types;             /* kinds of tokens that have embeddings of their own */
    int64_t labels;            /* classes of a classifier */
    double norm_eps;
    enum gram_activation activation; /* of an MLP without a gate */
    bool is_encoder;           /* results are of a whole text; it continues none */
    bool learned_positions;    /* a table of `context` rows: no token may lie behind it */
    bool tied;                 /* lm_head is the embedding */
    bool qkv_bias, output_bias, mlp_bias;
    bool qk_norm;              /* queries and keys are normalized per head */
    int64_t window;            /* sliding attention window; 0 = none */
    const bool *windowed;      /* [layers]: does the layer use the window? */
    struct gram_rope_params rope;
};

/* What a weight is for; the builder asks by role and layer. */
enum gram_role {
    GRAM_W_EMBED,
    GRAM_W_ATTN_NORM,
    GRAM_W_Q, GRAM_W_K, GRAM_W_V, GRAM_W_O,
    GRAM_W_Q_BIAS, GRAM_W_K_BIAS, GRAM_W_V_BIAS, GRAM_W_O_BIAS,
    GRAM_W_Q_NORM, GRAM_W_K_NORM,
    GRAM_W_FFN_NORM,
    GRAM_W_GATE, GRAM_W_UP, GRAM_W_DOWN,
    GRAM_W_GATE_BIAS, GRAM_W_UP_BIAS, GRAM_W_DOWN_BIAS,
    GRAM_W_NORM,
    GRAM_W_LM_HEAD,
    /* of the older transformers */
    GRAM_W_POSITIONS, GRAM_W_TYPES,
    GRAM_W_EMBED_NORM, GRAM_W_EMBED_NORM_BIAS,
    GRAM_W_QKV, GRAM_W_QKV_BIAS, /* queries, keys and values as one linear */
    GRAM_W_ATTN_NORM_BIAS, GRAM_W_FFN_NORM_BIAS, GRAM_W_NORM_BIAS,
    GRAM_W_POOLER, GRAM_W_POOLER_BIAS, GRAM_W_CLASSIFIER, GRAM_W_CLASSIFIER_BIAS,
    GRAM_N_ROLE
};

enum gram_weight_kind {
    GRAM_KIND_LINEAR,    /* quantized unless a recipe keeps it */
    GRAM_KIND_LM_HEAD,   /* kept unless asked */
    GRAM_KIND_EMBEDDING, /* kept; looked up by row */
    GRAM_KIND_VECTOR,    /* norms and biases: kept */
};

/* One weight that a model of this architecture must have. */
struct gram_weight_slot {
    enum gram_role role;
    enum gram_weight_kind kind;
    int layer;           /* -1 outside the blocks */
    const char *op;      /* "layers.3.attn.q", the join key of recipes, statistics, traces; of a vector: its
                            own name, "layers.3.attn.q.bias" */
    const char *module;  /* checkpoint name without ".weight" / ".bias": "model.layers.3.self_attn.q_proj" */
    const char *tensor;  /* checkpoint name of the plain tensor: module + ".weight" or ".bias" */
    const char *alias;   /* another name that the same tensor may have (tied embeddings); NULL */
    int64_t rows, cols;  /* cols is 1 for vectors */
    bool is_transposed;  /* the file has it as [cols, rows] */
};

struct gram_arch;

/* An architecture with one model's numbers filled in. Memory in the arena given to describe. */
struct gram_model_desc {
    const struct gram_arch *arch;
    struct gram_hparams hp;
    const struct gram_weight_slot *slots; /* embedding, blocks in order, norm, lm_head (absent if tied) */
    size_t n_slots;
    const struct gram_low_rank *pairs; /* of adapters, that the graph is built with; borrowed */
    size_t n_pairs;
};

/* Name as shown to users: "llama". */
const char *gram_arch_name(const struct gram_arch *arch);

/*
 * Read a parsed config.json. where names it in errors. Checks every number that the architecture
 * uses. Returns GRAM_OK, GRAM_EFORMAT, GRAM_EUNSUPPORTED (architecture, activation, rope type), GRAM_ENOMEM.
 */
enum gram_status gram_arch_describe(struct gram_model_desc *desc, const json_t *config,
                                    const char *where, struct gram_arena *arena,
                                    struct gram_error *err);

/* Make the head of a model with tied embeddings a weight of its own, whose other name is the embedding's:
 * slots are listed anew, in the arena. Nothing to do if it is one. GRAM_ENOMEM. */
enum gram_status gram_arch_untie(struct gram_model_desc *desc, struct gram_arena *arena,
                                 struct gram_error *err);

/* Record the model as a graph; parameters are indices into desc->slots. Release with
 * gram_graph_reset(), also after a failure. Returns GRAM_OK or GRAM_ENOMEM. */
enum gram_status gram_arch_build(const struct gram_model_desc *desc, struct gram_graph *graph,
                                 struct gram_error *err);

#endif
