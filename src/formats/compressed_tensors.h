/*
 * The compressed-tensors container (vLLM, LLM Compressor): quantization_config of config.json and
 * the tensors of each quantized linear. Read and written are integer weights, in the formats
 * pack-quantized (a bit stream of codes in I32 words), int-quantized and naive-quantized (I8
 * codes), and 8-bit floats (float-quantized). Format:
 * https://github.com/vllm-project/compressed-tensors, quantization/quant_args.py (QuantArgs),
 * compressors/pack_quantized, compressors/naive_quantized.
 */
#ifndef GRAM_FORMATS_COMPRESSED_TENSORS_H
#define GRAM_FORMATS_COMPRESSED_TENSORS_H

#include "base/arena.h"
#include "base/json.h"
#include "formats/store.h"
#include "tensor/scheme.h"
#include "tensor/weight.h"

/* One config group: how the linears that its targets name are quantized. */
struct gram_compressed_group {
    int bits; /* of a code: 2..6, 8 */
    bool symmetric;
    enum gram_granularity granularity;
    int64_t group; /* weights per scale along the input; granularity is group */
    int act_bits;  /* 0 or 8 (int8). 8-bit float activations count as 0: they are computed in f32 */
    bool is_float;  /* weights are f8_e4m3 */
    bool is_static; /* act_bits is 8: one stored scale for all activations; else each token's own */
};

/* A module name that a group targets, or a pattern for names. */
struct gram_compressed_target {
    const char *name;
    void *pattern; /* compiled "re:" target; NULL for a name */
    const struct gram_compressed_group *group;
    size_t order; /* in the file */
};

/* A parsed quantization_config. */
struct gram_compressed {
    struct gram_compressed_target *names; /* sorted, both */
    struct gram_compressed_target *patterns;
    size_t n_names, n_patterns;
    const struct gram_compressed_group *linears; /* what the class Linear stands for; may be NULL */
    bool sparse_packing; /* written before 0.18: 32 / bits codes per word, the other bits unused */
    const char *where;
};

/* The two calls of struct gram_container; *state is a struct gram_compressed. config is the object
 * quantization_config. */
enum gram_status gram_compressed_open(const json_t *config, const char *where,
                                      struct gram_arena *arena, void **state,
                                      struct gram_error *err);
enum gram_status gram_compressed_bind(const void *state, const struct gram_store *store,
                                      const char *module, int64_t rows, int64_t cols,
                                      struct gram_arena *arena, struct gram_weight *w, bool *found,
                                      struct gram_error *err);

/*
 * The group that holds `module`, by the most specific target: its name, then the first pattern in
 * alphabetical order, then the class Linear (as match_targets() of compressed-tensors). NULL if
 * there is none. GRAM_EFORMAT when a pattern cannot be evaluated.
 */
enum gram_status gram_compressed_find(const struct gram_compressed *ct, const char *module,
                                      const struct gram_compressed_group **group,
                                      struct gram_error *err);

/* The tensors of one linear, in the order in which they are described here. */
enum gram_compressed_part {
    GRAM_PART_CODES,  /* weight_packed i32 [rows, words], or weight i8, f8_e4m3 [rows, cols] */
    GRAM_PART_SCALES, /* weight_scale [rows, groups], or [1] */
    GRAM_PART_SHAPE,  /* weight_shape i64 [2]; packed codes only */
    GRAM_PART_ZEROS,  /* weight_zero_point i32 [words, groups] packed along rows, or i8 [1] */
    GRAM_PART_INPUT,  /* input_scale [1]; static activations only */
    GRAM_N_PART
};

/*
 * Describe what a linear under `scheme` is stored as: name, dtype, shape, count, bytes; data is
 * NULL. A part that this scheme does not have gets a NULL name. False if memory ran out.
 */
bool gram_compressed_parts(struct gram_tensor parts[GRAM_N_PART], const struct gram_scheme *scheme,
                           const char *module, int64_t rows, int64_t cols,
                           enum gram_dtype scale_dtype, struct gram_arena *arena);

/* Zero points [rows, groups] as they are stored: packed along rows, each group's column a bit
 * stream of unsigned codes. out is [gram_code_row_bytes(rows, bits) / 4, groups] words. False if
 * memory ran out. */
bool gram_compressed_pack_zeros(uint32_t *out, const int8_t *zeros, int64_t rows, int64_t groups,
                                int bits);

/* A linear of the model, for the config. */
struct gram_compressed_linear {
    const char *module;
    const struct gram_scheme *scheme; /* anything but codes counts as left in float */
    const char *observer;
};

/* quantization_config for these linears, all that the model has. Yours, json_decref(); NULL if
 * memory ran out. */
json_t *gram_compressed_config(const struct gram_compressed_linear *linears, size_t n);

#endif
