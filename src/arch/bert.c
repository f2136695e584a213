/* BERT as a classifier or cross-encoder: learned positions and token types, attention over the whole
 * sequence, layer norm behind each half of a block, a pooled first token (Devlin et al. 2019). */
#include <string.h>

#include "arch/arch_table.h"

#define AT(field) offsetof(struct gram_hparams, field)

static const struct gram_config_key keys[] = {
    /* key                      type           field            required  low   high      fallback */
    {"vocab_size",              GRAM_KEY_INT,  AT(vocab),       true,     1,    1 << 21,  0},
    {"hidden_size",             GRAM_KEY_INT,  AT(hidden),      true,     1,    1 << 20,  0},
    {"intermediate_size",       GRAM_KEY_INT,  AT(ffn),         true,     1,    1 << 24,  0},
    {"num_hidden_layers",       GRAM_KEY_INT,  AT(layers),      true,     1,    10000,    0},
    {"num_attention_heads",     GRAM_KEY_INT,  AT(heads),       true,     1,    1 << 16,  0},
    {"max_position_embeddings", GRAM_KEY_INT,  AT(context),     false,    1,    1 << 20,  512},
    {"type_vocab_size",         GRAM_KEY_INT,  AT(types),       false,    1,    1 << 16,  2},
    {"layer_norm_eps",          GRAM_KEY_REAL, AT(norm_eps),    false,    0,    1,        1e-12},
    {NULL,                      GRAM_KEY_INT,  0,               false,    0,    0,        0},
};

/* clang-format off */
#define L "layers.%d."
#define E "bert.embeddings."
#define M "bert.encoder.layer.%d."
#define S M "attention.self."
#define A M "attention.output."
#define ROW(role, kind, op, module, rows, cols, presence)                                          \
    {GRAM_W_##role, GRAM_KIND_##kind, op, module, GRAM_DIM_##rows, GRAM_DIM_##cols, GRAM_##presence}
static const struct gram_weight_spec weights[] = {
    /*  role             kind       op                  checkpoint name            rows     cols    if */
    ROW(EMBED,           EMBEDDING, "embed",            E "word_embeddings",       VOCAB,   HIDDEN, ALWAYS),
    ROW(POSITIONS,       EMBEDDING, "positions",        E "position_embeddings",   CONTEXT, HIDDEN, ALWAYS),
    ROW(TYPES,           EMBEDDING, "types",            E "token_type_embeddings", TYPES,   HIDDEN, ALWAYS),
    ROW(EMBED_NORM,      VECTOR,    "embed_norm",       E "LayerNorm",             HIDDEN,  ONE,    ALWAYS),
    ROW(EMBED_NORM_BIAS, VECTOR,    "embed_norm.bias",  E "LayerNorm",             HIDDEN,  ONE,    BIAS),
    ROW(Q,               LINEAR,    L "attn.q",         S "query",                 Q,       HIDDEN, ALWAYS),
    ROW(Q_BIAS,          VECTOR,    L "attn.q.bias",    S "query",                 Q,       ONE,    BIAS),
    ROW(K,               LINEAR,    L "attn.k",         S "key",                   KV,      HIDDEN, ALWAYS),
    ROW(K_BIAS,          VECTOR,    L "attn.k.bias",    S "key",                   KV,      ONE,    BIAS),
    ROW(V,               LINEAR,    L "attn.v",         S "value",                 KV,      HIDDEN, ALWAYS),
    ROW(V_BIAS,          VECTOR,    L "attn.v.bias",    S "value",                 KV,      ONE,    BIAS),
    ROW(O,               LINEAR,    L "attn.o",         A "dense",                 HIDDEN,  Q,      ALWAYS),
    ROW(O_BIAS,          VECTOR,    L "attn.o.bias",    A "dense",                 HIDDEN,  ONE,    BIAS),
    ROW(ATTN_NORM,       VECTOR,    L "attn_norm",      A "LayerNorm",             HIDDEN,  ONE,    ALWAYS),
    ROW(ATTN_NORM_BIAS,  VECTOR,    L "attn_norm.bias", A "LayerNorm",             HIDDEN,  ONE,    BIAS),
    ROW(UP,              LINEAR,    L "mlp.up",         M "intermediate.dense",    FFN,     HIDDEN, ALWAYS),
    ROW(UP_BIAS,         VECTOR,    L "mlp.up.bias",    M "intermediate.dense",    FFN,     ONE,    BIAS),
    ROW(DOWN,            LINEAR,    L "mlp.down",       M "output.dense",          HIDDEN,  FFN,    ALWAYS),
    ROW(DOWN_BIAS,       VECTOR,    L "mlp.down.bias",  M "output.dense",          HIDDEN,  ONE,    BIAS),
    ROW(FFN_NORM,        VECTOR,    L "mlp_norm",       M "output.LayerNorm",      HIDDEN,  ONE,    ALWAYS),
    ROW(FFN_NORM_BIAS,   VECTOR,    L "mlp_norm.bias",  M "output.LayerNorm",      HIDDEN,  ONE,    BIAS),
    ROW(POOLER,          LINEAR,    "pooler",           "bert.pooler.dense",       HIDDEN,  HIDDEN, ALWAYS),
    ROW(POOLER_BIAS,     VECTOR,    "pooler.bias",      "bert.pooler.dense",       HIDDEN,  ONE,    BIAS),
    ROW(CLASSIFIER,      LM_HEAD,   "classifier",       "classifier",              LABELS,  HIDDEN, ALWAYS),
    ROW(CLASSIFIER_BIAS, VECTOR,    "classifier.bias",  "classifier",              LABELS,  ONE,    BIAS),
};
#undef L
#undef E
#undef M
#undef S
#undef A
#undef ROW
/* clang-format on */

static int embedding(struct gram_block_builder *b)
{
    const struct gram_model_desc *desc = b->desc;
    int x = gram_build_embed(b->g, "embed.tokens", gram_slot_find(desc, GRAM_W_EMBED, -1), desc->hp.hidden);

    x = gram_build_add_row(b->g, "embed.types", x, gram_slot_find(desc, GRAM_W_TYPES, -1), GRAM_BY_TYPE);
    x = gram_build_add_row(b->g, "embed.positions", x, gram_slot_find(desc, GRAM_W_POSITIONS, -1),
                           GRAM_BY_POSITION);
    return gram_block_layernorm(b, "embed", x, GRAM_W_EMBED_NORM, GRAM_W_EMBED_NORM_BIAS);
}

static int attention(struct gram_block_builder *b, int x)
{
    const struct gram_hparams *hp = &b->desc->hp;
    const int q = gram_block_linear(b, "attn.q", x, GRAM_W_Q, GRAM_W_Q_BIAS);
    const int k = gram_block_linear(b, "attn.k", x, GRAM_W_K, GRAM_W_K_BIAS);
    const int v = gram_block_linear(b, "attn.v", x, GRAM_W_V, GRAM_W_V_BIAS);
    const int y = gram_build_attend_full(b->g, gram_block_name(b, "attn.attend"), q, k, v, hp->heads,
                                         hp->head_dim);
    return gram_block_linear(b, "attn.o", y, GRAM_W_O, GRAM_W_O_BIAS);
}

static int block(struct gram_block_builder *b, int x)
{
    int y = attention(b, x);
    y = gram_build_add(b->g, gram_block_name(b, "attn_out"), x, y);
    x = gram_block_layernorm(b, "attn_norm", y, GRAM_W_ATTN_NORM, GRAM_W_ATTN_NORM_BIAS);
    y = gram_block_mlp(b, x);
    y = gram_build_add(b->g, gram_block_name(b, "mlp_out"), x, y);
    return gram_block_layernorm(b, "out", y, GRAM_W_FFN_NORM, GRAM_W_FFN_NORM_BIAS);
}

static enum gram_status build(const struct gram_model_desc *desc, struct gram_graph *graph,
                              struct gram_error *err)
{
    struct gram_block_builder b = {.desc = desc, .g = graph, .layer = -1};

    gram_graph_init(graph);
    graph->pairs = desc->pairs;
    graph->n_pairs = desc->n_pairs;
    int x = embedding(&b);
    for (b.layer = 0; b.layer < desc->hp.layers && !graph->failed; b.layer++) {
        gram_graph_begin_block(graph, b.layer);
        x = block(&b, x);
        gram_graph_end_block(graph, x);
    }
    b.layer = -1;
    x = gram_build_first(graph, "first", x);
    x = gram_block_linear(&b, "pooler", x, GRAM_W_POOLER, GRAM_W_POOLER_BIAS);
    x = gram_build_activate(graph, "pooled", x, GRAM_TANH);
    graph->result = gram_block_linear(&b, "classifier", x, GRAM_W_CLASSIFIER, GRAM_W_CLASSIFIER_BIAS);
    return graph->failed ? gram_fail_memory(err, "the graph") : GRAM_OK;
}

static enum gram_status check(const json_t *config, const char *where, struct gram_error *err)
{
    const char *positions;
    bool is_decoder;

    GRAM_TRY(gram_json_str(config, "position_embedding_type", "absolute", &positions, where, err));
    GRAM_TRY(gram_json_bool(config, "is_decoder", false, &is_decoder, where, err));
    if (strcmp(positions, "absolute") != 0 || is_decoder)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: only encoders with absolute positions are read "
                         "(position_embedding_type, is_decoder)",
                         where);
    return GRAM_OK;
}

const struct gram_arch gram_arch_bert = {
    .name = "bert",
    .hf_class = "BertForSequenceClassification",
    .model_type = "bert",
    .keys = keys,
    .weights = weights,
    .n_weights = sizeof weights / sizeof weights[0],
    .build = build,
    .is_encoder = true,
    .has_learned_positions = true,
    .check = check,
};
