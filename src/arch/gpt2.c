/* GPT-2: learned positions, layer norm before each half of a block, GELU, one linear for queries, keys and
 * values (Radford et al. 2019). Its linears are stored as [in, out]. */
#include "arch/arch_table.h"

#define AT(field) offsetof(struct gram_hparams, field)

static const struct gram_config_key keys[] = {
    /* key                      type           field            required  low   high      fallback */
    {"vocab_size",              GRAM_KEY_INT,  AT(vocab),       true,     1,    1 << 21,  0},
    {"n_embd",                  GRAM_KEY_INT,  AT(hidden),      true,     1,    1 << 20,  0},
    {"n_inner",                 GRAM_KEY_INT,  AT(ffn),         false,    1,    1 << 24,  0},
    {"n_layer",                 GRAM_KEY_INT,  AT(layers),      true,     1,    10000,    0},
    {"n_head",                  GRAM_KEY_INT,  AT(heads),       true,     1,    1 << 16,  0},
    {"n_positions",             GRAM_KEY_INT,  AT(context),     true,     1,    1 << 20,  0},
    {"layer_norm_epsilon",      GRAM_KEY_REAL, AT(norm_eps),    false,    0,    1,        1e-5},
    {"tie_word_embeddings",     GRAM_KEY_BOOL, AT(tied),        false,    0,    1,        1},
    {NULL,                      GRAM_KEY_INT,  0,               false,    0,    0,        0},
};

/* clang-format off */
#define L "layers.%d."
#define M "transformer.h.%d."
#define ROW(role, kind, op, module, rows, cols, presence)                                          \
    {GRAM_W_##role, GRAM_KIND_##kind, op, module, GRAM_DIM_##rows, GRAM_DIM_##cols, GRAM_##presence}
static const struct gram_weight_spec weights[] = {
    /*  role            kind       op                  checkpoint name      rows     cols    presence */
    ROW(EMBED,          EMBEDDING, "embed",            "transformer.wte",   VOCAB,   HIDDEN, ALWAYS),
    ROW(POSITIONS,      EMBEDDING, "positions",        "transformer.wpe",   CONTEXT, HIDDEN, ALWAYS),
    ROW(ATTN_NORM,      VECTOR,    L "attn_norm",      M "ln_1",            HIDDEN,  ONE,    ALWAYS),
    ROW(ATTN_NORM_BIAS, VECTOR,    L "attn_norm.bias", M "ln_1",            HIDDEN,  ONE,    BIAS),
    ROW(QKV,            LINEAR,    L "attn.qkv",       M "attn.c_attn",     QKV,     HIDDEN, ALWAYS),
    ROW(QKV_BIAS,       VECTOR,    L "attn.qkv.bias",  M "attn.c_attn",     QKV,     ONE,    BIAS),
    ROW(O,              LINEAR,    L "attn.o",         M "attn.c_proj",     HIDDEN,  Q,      ALWAYS),
    ROW(O_BIAS,         VECTOR,    L "attn.o.bias",    M "attn.c_proj",     HIDDEN,  ONE,    BIAS),
    ROW(FFN_NORM,       VECTOR,    L "mlp_norm",       M "ln_2",            HIDDEN,  ONE,    ALWAYS),
    ROW(FFN_NORM_BIAS,  VECTOR,    L "mlp_norm.bias",  M "ln_2",            HIDDEN,  ONE,    BIAS),
    ROW(UP,             LINEAR,    L "mlp.up",         M "mlp.c_fc",        FFN,     HIDDEN, ALWAYS),
    ROW(UP_BIAS,        VECTOR,    L "mlp.up.bias",    M "mlp.c_fc",        FFN,     ONE,    BIAS),
    ROW(DOWN,           LINEAR,    L "mlp.down",       M "mlp.c_proj",      HIDDEN,  FFN,    ALWAYS),
    ROW(DOWN_BIAS,      VECTOR,    L "mlp.down.bias",  M "mlp.c_proj",      HIDDEN,  ONE,    BIAS),
    ROW(NORM,           VECTOR,    "norm",             "transformer.ln_f",  HIDDEN,  ONE,    ALWAYS),
    ROW(NORM_BIAS,      VECTOR,    "norm.bias",        "transformer.ln_f",  HIDDEN,  ONE,    BIAS),
    ROW(LM_HEAD,        LM_HEAD,   "lm_head",          "lm_head",           VOCAB,   HIDDEN, IF_UNTIED),
};
#undef L
#undef M
#undef ROW
/* clang-format on */

static int attention(struct gram_block_builder *b, int x)
{
    const struct gram_hparams *hp = &b->desc->hp;
    const int64_t width = hp->heads * hp->head_dim;
    const int qkv = gram_block_linear(b, "attn.qkv", x, GRAM_W_QKV, GRAM_W_QKV_BIAS);
    const int q = gram_build_slice(b->g, gram_block_name(b, "attn.q"), qkv, 0, width);
    const int k = gram_build_slice(b->g, gram_block_name(b, "attn.k"), qkv, width, width);
    const int v = gram_build_slice(b->g, gram_block_name(b, "attn.v"), qkv, 2 * width, width);
    const int y = gram_build_attend(b->g, gram_block_name(b, "attn.attend"), q, k, v, hp->heads,
                                    hp->heads, hp->head_dim, 0);
    return gram_block_linear(b, "attn.o", y, GRAM_W_O, GRAM_W_O_BIAS);
}

static int block(struct gram_block_builder *b, int x)
{
    int y = gram_block_layernorm(b, "attn_norm", x, GRAM_W_ATTN_NORM, GRAM_W_ATTN_NORM_BIAS);
    y = attention(b, y);
    x = gram_build_add(b->g, gram_block_name(b, "attn_out"), x, y);
    y = gram_block_layernorm(b, "mlp_norm", x, GRAM_W_FFN_NORM, GRAM_W_FFN_NORM_BIAS);
    y = gram_block_mlp(b, y);
    return gram_build_add(b->g, gram_block_name(b, "out"), x, y);
}

static enum gram_status build(const struct gram_model_desc *desc, struct gram_graph *graph,
                              struct gram_error *err)
{
    struct gram_block_builder b = {.desc = desc, .g = graph};
    const int embed = gram_slot_find(desc, GRAM_W_EMBED, -1);

    gram_graph_init(graph);
    graph->pairs = desc->pairs;
    graph->n_pairs = desc->n_pairs;
    int x = gram_build_embed(graph, "embed.tokens", embed, desc->hp.hidden);
    x = gram_build_add_row(graph, "embed", x, gram_slot_find(desc, GRAM_W_POSITIONS, -1),
                           GRAM_BY_POSITION);
    for (b.layer = 0; b.layer < desc->hp.layers && !graph->failed; b.layer++) {
        gram_graph_begin_block(graph, b.layer);
        x = block(&b, x);
        gram_graph_end_block(graph, x);
    }
    b.layer = -1;
    x = gram_build_last(graph, "last", x);
    x = gram_block_layernorm(&b, "norm", x, GRAM_W_NORM, GRAM_W_NORM_BIAS);
    const int head = desc->hp.tied ? embed : gram_slot_find(desc, GRAM_W_LM_HEAD, -1);
    graph->result = gram_build_linear(graph, "lm_head", x, head, GRAM_NONE, desc->hp.vocab);
    return graph->failed ? gram_fail_memory(err, "the graph") : GRAM_OK;
}

static enum gram_status check(const json_t *config, const char *where, struct gram_error *err)
{
    bool is_scaled, by_layer;

    GRAM_TRY(gram_json_bool(config, "scale_attn_weights", true, &is_scaled, where, err));
    GRAM_TRY(gram_json_bool(config, "scale_attn_by_inverse_layer_idx", false, &by_layer, where, err));
    return is_scaled && !by_layer
               ? GRAM_OK
               : gram_fail(err, GRAM_EUNSUPPORTED,
                           "%s: scores that are not scaled by 1 / sqrt(head_dim) alone "
                           "(scale_attn_weights, scale_attn_by_inverse_layer_idx)",
                           where);
}

const struct gram_arch gram_arch_gpt2 = {
    .name = "gpt2",
    .hf_class = "GPT2LMHeadModel",
    .model_type = "gpt2",
    .keys = keys,
    .weights = weights,
    .n_weights = sizeof weights / sizeof weights[0],
    .build = build,
    .activation_key = "activation_function",
    .has_learned_positions = true,
    .has_transposed_linears = true,
    .optional_prefix = "transformer.",
    .check = check,
};
