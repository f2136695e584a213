/*
 * The container of bitsandbytes: 4-bit weights in blocks of the flattened matrix (nf4, fp4, with plain
 * or with 8-bit scales), and the int8 weights of LLM.int8(). Format: functional.py (QuantState),
 * nn/modules.py (Params4bit, Int8Params); configuration: transformers, BitsAndBytesConfig.
 */
#ifndef GRAM_FORMATS_BITSANDBYTES_H
#define GRAM_FORMATS_BITSANDBYTES_H

#include "base/arena.h"
#include "base/json.h"
#include "formats/store.h"
#include "tensor/scheme.h"
#include "tensor/weight.h"

enum { GRAM_NESTED_BLOCK = 256 }; /* scales that share a scale */

/* What config.json says of all weights. */
struct gram_bnb {
    bool is_8bit;
    float threshold; /* of LLM.int8(): inputs of this magnitude and more stay float; 0: none */
    const char *where;
};

/* The two calls of struct gram_container; *state is a struct gram_bnb. */
enum gram_status gram_bnb_open(const json_t *config, const char *where, struct gram_arena *arena,
                               void **state, struct gram_error *err);
enum gram_status gram_bnb_bind(const void *state, const struct gram_store *store,
                               const char *module, int64_t rows, int64_t cols,
                               struct gram_arena *arena, struct gram_weight *w, bool *found,
                               struct gram_error *err);

/* ---- writing ---- */

/* The tensors of one linear, in the order in which they are described here. */
enum gram_bnb_part {
    GRAM_BNB_CODES,         /* weight u8 [rows * cols / 2, 1], or i8 [rows, cols] */
    GRAM_BNB_SCALES,        /* weight.absmax f32 or u8 [blocks], or SCB f32 [rows] */
    GRAM_BNB_MAP,           /* weight.quant_map f32 [16] */
    GRAM_BNB_NESTED_SCALES, /* weight.nested_absmax f32 [blocks / 256] */
    GRAM_BNB_NESTED_MAP,    /* weight.nested_quant_map f32 [256] */
    GRAM_BNB_STATE,         /* weight.quant_state.bitsandbytes__nf4 u8 [a JSON text]; weight_format u8 [] */
    GRAM_BNB_N_PART
};

/* The text of the quant state has this length, spaces at its end included: its numbers are known last. */
enum { GRAM_BNB_STATE_BYTES = 256 };

/*
 * Describe what a linear under `scheme` is stored as (see gram_compressed_parts()). Groups divide cols.
 * False if memory ran out.
 */
bool gram_bnb_parts(struct gram_tensor parts[GRAM_BNB_N_PART], const struct gram_scheme *scheme,
                    const char *module, int64_t rows, int64_t cols, struct gram_arena *arena);

/* A row of codes [cols] as it is stored: the first of two in the high half, or signed bytes. */
void gram_bnb_pack(void *out, const struct gram_scheme *scheme, const uint8_t *codes, int64_t cols);

/*
 * All parts but the codes, for scales[n] of a linear [rows, cols]: out[part] receives the bytes that
 * parts[part] speaks of; entries of absent parts are not looked at. dtype is that of the float model.
 */
enum gram_status gram_bnb_fill(void *const out[GRAM_BNB_N_PART], const struct gram_scheme *scheme,
                               const float *scales, int64_t n, int64_t rows, int64_t cols,
                               enum gram_dtype dtype, struct gram_error *err);

/* Scales [n] as they come back from being stored as codes of scales (double quantization). GRAM_ENOMEM. */
enum gram_status gram_bnb_nest_scales(float *scales, int64_t n, struct gram_error *err);

/*
 * quantization_config for a model whose quantized linears all have this scheme, and in which `skipped`
 * (n module names) stay float. Yours, json_decref(); NULL if memory ran out.
 */
json_t *gram_bnb_config(const struct gram_scheme *scheme, const char *const *skipped, size_t n,
                        enum gram_dtype dtype);

#endif
