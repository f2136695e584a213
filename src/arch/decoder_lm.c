/*
 * The decoder-only language model that LLaMA, Mistral, Qwen2 and Qwen3 share: config keys, weights, and the
 * graph. They differ by traits and by which weights are there.
 */
#include "arch/arch_table.h"

#define AT(field) offsetof(struct gram_hparams, field)

const struct gram_config_key gram_decoder_lm_keys[] = {
    /* key                      type           field            required  low   high      fallback */
    {"vocab_size",              GRAM_KEY_INT,  AT(vocab),       true,     1,    1 << 21,  0},
    {"hidden_size",             GRAM_KEY_INT,  AT(hidden),      true,     1,    1 << 20,  0},
    {"intermediate_size",       GRAM_KEY_INT,  AT(ffn),         true,     1,    1 << 24,  0},
    {"num_hidden_layers",       GRAM_KEY_INT,  AT(layers),      true,     1,    10000,    0},
    {"num_attention_heads",     GRAM_KEY_INT,  AT(heads),       true,     1,    1 << 16,  0},
    {"num_key_value_heads",     GRAM_KEY_INT,  AT(kv_heads),    false,    1,    1 << 16,  0},
    {"head_dim",                GRAM_KEY_INT,  AT(head_dim),    false,    2,    1 << 14,  0},
    {"max_position_embeddings", GRAM_KEY_INT,  AT(context),     false,    1,    1 << 27,  2048},
    {"rms_norm_eps",            GRAM_KEY_REAL, AT(norm_eps),    false,    0,    1,        1e-6},
    {"tie_word_embeddings",     GRAM_KEY_BOOL, AT(tied),        false,    0,    1,        0},
    {NULL,                      GRAM_KEY_INT,  0,               false,    0,    0,        0},
};

/* clang-format off */
#define L "layers.%d."
#define M "model.layers.%d."
#define ROW(role, kind, op, module, rows, cols, presence)                                          \
    {GRAM_W_##role, GRAM_KIND_##kind, op, module, GRAM_DIM_##rows, GRAM_DIM_##cols, GRAM_##presence}
const struct gram_weight_spec gram_decoder_lm_weights[GRAM_DECODER_LM_WEIGHTS] = {
    /*  role       kind       op                checkpoint name               rows    cols    presence */
    ROW(EMBED,     EMBEDDING, "embed",          "model.embed_tokens",         VOCAB,  HIDDEN, ALWAYS),
    ROW(ATTN_NORM, VECTOR,    L "attn_norm",    M "input_layernorm",          HIDDEN, ONE,    ALWAYS),
    ROW(Q,         LINEAR,    L "attn.q",       M "self_attn.q_proj",         Q,      HIDDEN, ALWAYS),
    ROW(Q_BIAS,    VECTOR,    L "attn.q.bias",  M "self_attn.q_proj",         Q,      ONE,    IF_QKV_BIAS),
    ROW(K,         LINEAR,    L "attn.k",       M "self_attn.k_proj",         KV,     HIDDEN, ALWAYS),
    ROW(K_BIAS,    VECTOR,    L "attn.k.bias",  M "self_attn.k_proj",         KV,     ONE,    IF_QKV_BIAS),
    ROW(V,         LINEAR,    L "attn.v",       M "self_attn.v_proj",         KV,     HIDDEN, ALWAYS),
    ROW(V_BIAS,    VECTOR,    L "attn.v.bias",  M "self_attn.v_proj",         KV,     ONE,    IF_QKV_BIAS),
    ROW(Q_NORM,    VECTOR,    L "attn.q_norm",  M "self_attn.q_norm",         HEAD,   ONE,    IF_QK_NORM),
    ROW(K_NORM,    VECTOR,    L "attn.k_norm",  M "self_attn.k_norm",         HEAD,   ONE,    IF_QK_NORM),
    ROW(O,         LINEAR,    L "attn.o",       M "self_attn.o_proj",         HIDDEN, Q,      ALWAYS),
    ROW(O_BIAS,    VECTOR,    L "attn.o.bias",  M "self_attn.o_proj",         HIDDEN, ONE,    IF_OUTPUT_BIAS),
    ROW(FFN_NORM,  VECTOR,    L "mlp_norm",     M "post_attention_layernorm", HIDDEN, ONE,    ALWAYS),
    ROW(GATE,      LINEAR,    L "mlp.gate",     M "mlp.gate_proj",            FFN,    HIDDEN, ALWAYS),
    ROW(GATE_BIAS, VECTOR,    L "mlp.gate.bias",M "mlp.gate_proj",            FFN,    ONE,    IF_MLP_BIAS),
    ROW(UP,        LINEAR,    L "mlp.up",       M "mlp.up_proj",              FFN,    HIDDEN, ALWAYS),
    ROW(UP_BIAS,   VECTOR,    L "mlp.up.bias",  M "mlp.up_proj",              FFN,    ONE,    IF_MLP_BIAS),
    ROW(DOWN,      LINEAR,    L "mlp.down",     M "mlp.down_proj",            HIDDEN, FFN,    ALWAYS),
    ROW(DOWN_BIAS, VECTOR,    L "mlp.down.bias",M "mlp.down_proj",            HIDDEN, ONE,    IF_MLP_BIAS),
    ROW(NORM,      VECTOR,    "norm",           "model.norm",                 HIDDEN, ONE,    ALWAYS),
    ROW(LM_HEAD,   LM_HEAD,   "lm_head",        "lm_head",                    VOCAB,  HIDDEN, IF_UNTIED),
};
#undef L
#undef M
#undef ROW
/* clang-format on */

static int norm(struct gram_block_builder *b, const char *op, int x, enum gram_role weight, int64_t width)
{
    return gram_build_rmsnorm(b->g, gram_block_name(b, op), x, gram_slot_find(b->desc, weight, b->layer),
                              width, b->desc->hp.norm_eps);
}

static int attention(struct gram_block_builder *b, int x)
{
    const struct gram_hparams *hp = &b->desc->hp;
    int q = gram_block_linear(b, "attn.q", x, GRAM_W_Q, GRAM_W_Q_BIAS);
    int k = gram_block_linear(b, "attn.k", x, GRAM_W_K, GRAM_W_K_BIAS);
    const int v = gram_block_linear(b, "attn.v", x, GRAM_W_V, GRAM_W_V_BIAS);

    if (hp->qk_norm) {
        q = norm(b, "attn.q_norm", q, GRAM_W_Q_NORM, hp->head_dim);
        k = norm(b, "attn.k_norm", k, GRAM_W_K_NORM, hp->head_dim);
    }
    q = gram_build_rope(b->g, gram_block_name(b, "attn.q_rope"), q, hp->head_dim);
    k = gram_build_rope(b->g, gram_block_name(b, "attn.k_rope"), k, hp->head_dim);
    const int y = gram_build_attend(b->g, gram_block_name(b, "attn.attend"), q, k, v, hp->heads, hp->kv_heads,
                                    hp->head_dim, hp->windowed[b->layer] ? hp->window : 0);
    return gram_block_linear(b, "attn.o", y, GRAM_W_O, GRAM_W_O_BIAS);
}

static int gated_mlp(struct gram_block_builder *b, int x)
{
    const int gate = gram_block_linear(b, "mlp.gate", x, GRAM_W_GATE, GRAM_W_GATE_BIAS);
    const int up = gram_block_linear(b, "mlp.up", x, GRAM_W_UP, GRAM_W_UP_BIAS);
    const int act = gram_build_swiglu(b->g, gram_block_name(b, "mlp.act"), gate, up);
    return gram_block_linear(b, "mlp.down", act, GRAM_W_DOWN, GRAM_W_DOWN_BIAS);
}

static int decoder_block(struct gram_block_builder *b, int x)
{
    const int64_t hidden = b->desc->hp.hidden;
    int y = norm(b, "attn_norm", x, GRAM_W_ATTN_NORM, hidden);
    y = attention(b, y);
    x = gram_build_add(b->g, gram_block_name(b, "attn_out"), x, y);
    y = norm(b, "mlp_norm", x, GRAM_W_FFN_NORM, hidden);
    y = gated_mlp(b, y);
    return gram_build_add(b->g, gram_block_name(b, "out"), x, y);
}

enum gram_status gram_decoder_lm_build(const struct gram_model_desc *desc, struct gram_graph *graph,
                                       struct gram_error *err)
{
    const struct gram_hparams *hp = &desc->hp;
    const int embed = gram_slot_find(desc, GRAM_W_EMBED, -1);
    struct gram_block_builder b = {.desc = desc, .g = graph};

    gram_graph_init(graph);
    graph->rope = hp->rope;
    graph->pairs = desc->pairs;
    graph->n_pairs = desc->n_pairs;
    int x = gram_build_embed(graph, "embed", embed, hp->hidden);
    for (b.layer = 0; b.layer < hp->layers && !graph->failed; b.layer++) {
        gram_graph_begin_block(graph, b.layer);
        x = decoder_block(&b, x);
        gram_graph_end_block(graph, x);
    }
    x = gram_build_last(graph, "last", x);
    x = gram_build_rmsnorm(graph, "norm", x, gram_slot_find(desc, GRAM_W_NORM, -1), hp->hidden,
                           hp->norm_eps);
    const int head = hp->tied ? embed : gram_slot_find(desc, GRAM_W_LM_HEAD, -1);
    graph->result = gram_build_linear(graph, "lm_head", x, head, GRAM_NONE, hp->vocab);
    return graph->failed ? gram_fail_memory(err, "the graph") : GRAM_OK;
}
