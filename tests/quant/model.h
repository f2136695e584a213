/* A small LLaMA checkpoint of random weights, made in a fresh folder. */
#ifndef GRAM_TESTS_MODEL_H
#define GRAM_TESTS_MODEL_H

#include <sys/stat.h>

#include "base/rng.h"
#include "tensors.h"

enum { MODEL_HIDDEN = 64, MODEL_FFN = 192, MODEL_VOCAB = 96, MODEL_LAYERS = 2, MODEL_TENSORS = 21 };

/* What may be changed before it is written. */
struct model {
    struct gram_tensor tensors[MODEL_TENSORS];
    char names[MODEL_TENSORS][80];
    bool tied;          /* without lm_head */
    const char *config; /* further keys: ", \"key\": value" */
};

/* Of one layer; %d is its number. */
static const struct {
    const char *name;
    int64_t rows, cols;
} of_layer[] = {
    {"model.layers.%d.input_layernorm.weight", MODEL_HIDDEN, 0},
    {"model.layers.%d.mlp.down_proj.weight", MODEL_HIDDEN, MODEL_FFN},
    {"model.layers.%d.mlp.gate_proj.weight", MODEL_FFN, MODEL_HIDDEN},
    {"model.layers.%d.mlp.up_proj.weight", MODEL_FFN, MODEL_HIDDEN},
    {"model.layers.%d.post_attention_layernorm.weight", MODEL_HIDDEN, 0},
    {"model.layers.%d.self_attn.k_proj.weight", MODEL_HIDDEN / 2, MODEL_HIDDEN},
    {"model.layers.%d.self_attn.o_proj.weight", MODEL_HIDDEN, MODEL_HIDDEN},
    {"model.layers.%d.self_attn.q_proj.weight", MODEL_HIDDEN, MODEL_HIDDEN},
    {"model.layers.%d.self_attn.v_proj.weight", MODEL_HIDDEN / 2, MODEL_HIDDEN},
};
enum { N_OF_LAYER = sizeof of_layer / sizeof of_layer[0] };

static inline void add_tensor(struct model *m, int i, const char *name, int64_t rows, int64_t cols,
                              struct gram_rng *rng)
{
    const int64_t n = cols ? rows * cols : rows;
    uint16_t *data = calloc((size_t)n, sizeof *data);

    assert_non_null(data);
    snprintf(m->names[i], sizeof m->names[i], "%s", name);
    for (int64_t k = 0; k < n; k++) {
        float x =
            (float)(gram_rng_unit(rng) + gram_rng_unit(rng) + gram_rng_unit(rng) - 1.5) * 0.1f;
        if (!cols)
            x += 1.0f; /* a norm */
        gram_write_f32(data, GRAM_BF16, k, &x, 1);
    }
    m->tensors[i] = tensor_of(m->names[i], GRAM_BF16, data, cols ? 2 : 1, rows, cols);
}

/* Fill with bf16 weights drawn from the seed; the tensors own their data (model_reset). */
static inline void model_init(struct model *m, uint64_t seed)
{
    struct gram_rng rng = {seed};
    int n = 0;

    memset(m, 0, sizeof *m);
    m->config = "";
    add_tensor(m, n++, "lm_head.weight", MODEL_VOCAB, MODEL_HIDDEN, &rng);
    add_tensor(m, n++, "model.embed_tokens.weight", MODEL_VOCAB, MODEL_HIDDEN, &rng);
    for (int layer = 0; layer < MODEL_LAYERS; layer++) {
        for (int i = 0; i < N_OF_LAYER; i++) {
            char name[80];
            const char *at = strchr(of_layer[i].name, '%');
            snprintf(name, sizeof name, "%.*s%d%s", (int)(at - of_layer[i].name), of_layer[i].name,
                     layer, at + 2);
            add_tensor(m, n++, name, of_layer[i].rows, of_layer[i].cols, &rng);
        }
    }
    add_tensor(m, n++, "model.norm.weight", MODEL_HIDDEN, 0, &rng);
    assert_int_equal(n, MODEL_TENSORS);
}

static inline void model_reset(struct model *m)
{
    for (int i = 0; i < MODEL_TENSORS; i++)
        free((void *)(uintptr_t)m->tensors[i].data);
}

static inline struct gram_tensor *model_tensor(struct model *m, const char *name)
{
    for (int i = 0; i < MODEL_TENSORS; i++) {
        if (strcmp(m->names[i], name) == 0)
            return &m->tensors[i];
    }
    fail_msg("no tensor %s", name);
    return NULL;
}

/* A folder of its own in one that is removed at exit; the string lives until then. */
static inline const char *sub_folder(void)
{
    static const char *root;
    static char names[512][64];
    static int n;

    root = root ? root : fresh_folder();
    assert_true(n < 512);
    snprintf(names[n], sizeof names[n], "%s/%d", root, n);
    assert_int_equal(mkdir(names[n], 0777), 0);
    return names[n++];
}

static inline void write_text(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_file(path, text, strlen(text));
}

static inline void write_shards(const struct model *m, const char *folder)
{
    const int first = m->tied ? 1 : 0, half = MODEL_TENSORS / 2;
    struct gram_buf index = {0};
    char path[256];

    snprintf(path, sizeof path, "%s/model-00001-of-00002.safetensors", folder);
    write_tensors(path, m->tensors + first, (size_t)(half - first));
    snprintf(path, sizeof path, "%s/model-00002-of-00002.safetensors", folder);
    write_tensors(path, m->tensors + half, (size_t)(MODEL_TENSORS - half));
    gram_buf_str(&index, "{\"metadata\":{},\"weight_map\":{");
    for (int i = first; i < MODEL_TENSORS; i++)
        gram_buf_printf(&index, "%s\"%s\":\"model-0000%d-of-00002.safetensors\"",
                        i > first ? "," : "", m->names[i], i < half ? 1 : 2);
    gram_buf_str(&index, "}}");
    write_text(folder, "model.safetensors.index.json", index.at);
    gram_buf_reset(&index);
}

/* Write config.json, one or two shards, and small files to a fresh folder. */
static inline const char *model_write(const struct model *m, int n_shards)
{
    const char *folder = sub_folder();
    char text[1024], path[256];

    snprintf(
        text, sizeof text,
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": "
        "%d, \"intermediate_size\": %d, \"num_hidden_layers\": %d, \"num_attention_heads\": 4, "
        "\"num_key_value_heads\": 2, \"vocab_size\": %d, \"max_position_embeddings\": 64, "
        "\"rms_norm_eps\": 1e-05, \"hidden_act\": \"silu\", \"torch_dtype\": \"bfloat16\", "
        "\"tie_word_embeddings\": %s%s}",
        MODEL_HIDDEN, MODEL_FFN, MODEL_LAYERS, MODEL_VOCAB, m->tied ? "true" : "false", m->config);
    write_text(folder, "config.json", text);
    write_text(folder, "tokenizer.json", "{\"not\": \"looked into\"}");
    write_text(folder, "README.md", "about other weights");
    write_text(folder, "LICENSE", "MIT");
    if (n_shards == 2) {
        write_shards(m, folder);
        return folder;
    }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    write_tensors(path, m->tensors + (m->tied ? 1 : 0),
                  (size_t)(MODEL_TENSORS - (m->tied ? 1 : 0)));
    return folder;
}

#endif
