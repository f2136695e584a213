/* An opened model: architecture, weights, tokenizer. */
#ifndef GRAM_MODEL_H
#define GRAM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/status.h>
#include <gram/runtime.h>
#include <gram/tensor.h>

GRAM_BEGIN_DECLS

/* Opaque. Immutable after open: any number of threads and sessions may share one. */
struct gram_model;

struct gram_model_info {
    const char *path;         /* the directory that was opened */
    const char *architecture; /* "llama", "mistral", "qwen2", "qwen3" */
    const char *scheme;       /* "f32", "bf16", "w4a16-g128", ... the most common among linears */
    int64_t n_layers, hidden, ffn, n_heads, n_kv_heads, head_dim, vocab, context;
    uint64_t parameters;      /* weights counted once, tied ones included once */
    uint64_t weight_bytes;    /* bytes of all tensors on disk, scales and zero points included */
    double bits_per_weight;   /* 8 * weight_bytes / parameters */
    uint64_t streamed_bytes;  /* of repacked weights: what computing one token reads */
    uint64_t multiply_adds;   /* of the linears, for one token */
    bool multiplies_codes;    /* most of them are int8 multiply-adds, not of f32 ... */
    int parts;                /* ... this many for each, since activations come in so many parts */
};

/*
 * Open a model and map its weights; nothing is copied until it is used.
 *   path  a Hugging Face directory (config.json and *.safetensors), or org/name in the local hub cache
 *   rt    must outlive the model
 *   out   receives the model, NULL on failure; release it with gram_model_close()
 * Every weight that the architecture names must be there with the predicted shape. Returns GRAM_OK,
 * GRAM_ENOENT, GRAM_EIO, GRAM_EFORMAT, GRAM_EUNSUPPORTED, GRAM_ENOMEM.
 */
GRAM_API enum gram_status gram_model_open(struct gram_model **out, struct gram_runtime *rt,
                                          const char *path, struct gram_error *err);
GRAM_API void gram_model_close(struct gram_model **model);

/* Strings in *info are borrowed from the model. */
GRAM_API void gram_model_info(const struct gram_model *model, struct gram_model_info *info);

/* An adapter: low-rank pairs beside linears, y = W x + s B A x, as PEFT writes them (LoRA, QA-LoRA). */
struct gram_adapter {
    const char *path; /* folder with adapter_config.json and adapter_model.safetensors */
    double weight;    /* how much it counts: 1 as it was trained */
};

/*
 * `base` with n adapters, unmerged: a model of its own, that uses the weights of `base`, which must
 * outlive it, and can do whatever a model can. Which adapters a session has is chosen by the model that it
 * is opened on: any number of adapted models may stand on one base, quantized or not. Adapters of one
 * model add up. Returns GRAM_OK, GRAM_EINVAL (base is an adapted model itself), GRAM_ENOENT, GRAM_EIO,
 * GRAM_EFORMAT, GRAM_EUNSUPPORTED, GRAM_ENONFINITE (an element of a pair), GRAM_ENOMEM.
 */
GRAM_API enum gram_status gram_model_adapt(struct gram_model **out, const struct gram_model *base,
                                           const struct gram_adapter *adapters, size_t n,
                                           struct gram_error *err);

GRAM_END_DECLS
#endif
