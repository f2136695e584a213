/* Writing what bitsandbytes and transformers read: tensors, quant states, quantization_config. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "formats/bitsandbytes.h"
#include "formats/stored_parts.h"
#include "tensor/blockwise.h"
#include "tensor/dtype.h"

static bool parts_of_8bit(struct gram_tensor *parts, const char *module, int64_t rows, int64_t cols,
                          struct gram_arena *arena)
{
    return gram_part_describe(&parts[GRAM_BNB_CODES], module, "weight", GRAM_I8, 2, rows, cols,
                              arena) &&
           gram_part_describe(&parts[GRAM_BNB_SCALES], module, "SCB", GRAM_F32, 1, rows, 0,
                              arena) &&
           gram_part_describe(&parts[GRAM_BNB_STATE], module, "weight_format", GRAM_U8, 0, 0, 0,
                              arena);
}

bool gram_bnb_parts(struct gram_tensor parts[GRAM_BNB_N_PART], const struct gram_scheme *scheme,
                    const char *module, int64_t rows, int64_t cols, struct gram_arena *arena)
{
    const bool nested = scheme->is_nested;
    char state[64];

    memset(parts, 0, GRAM_BNB_N_PART * sizeof parts[0]);
    if (scheme->bits == 8)
        return parts_of_8bit(parts, module, rows, cols, arena);
    const int64_t blocks = rows * (cols / scheme->group);
    const int64_t outer = gram_ceil_div(blocks, GRAM_NESTED_BLOCK);
    snprintf(state, sizeof state, "weight.quant_state.bitsandbytes__%s", scheme->codebook->name);
    bool ok = gram_part_describe(&parts[GRAM_BNB_CODES], module, "weight", GRAM_U8, 2,
                                 rows * cols / 2, 1, arena) &&
              gram_part_describe(&parts[GRAM_BNB_SCALES], module, "weight.absmax",
                                 nested ? GRAM_U8 : GRAM_F32, 1, blocks, 0, arena) &&
              gram_part_describe(&parts[GRAM_BNB_MAP], module, "weight.quant_map", GRAM_F32, 1, 16,
                                 0, arena) &&
              gram_part_describe(&parts[GRAM_BNB_STATE], module, state, GRAM_U8, 1,
                                 GRAM_BNB_STATE_BYTES, 0, arena);
    if (nested)
        ok = ok &&
             gram_part_describe(&parts[GRAM_BNB_NESTED_SCALES], module, "weight.nested_absmax",
                                GRAM_F32, 1, outer, 0, arena) &&
             gram_part_describe(&parts[GRAM_BNB_NESTED_MAP], module, "weight.nested_quant_map",
                                GRAM_F32, 1, 256, 0, arena);
    return ok;
}

void gram_bnb_pack(void *out, const struct gram_scheme *scheme, const uint8_t *codes, int64_t cols)
{
    uint8_t *bytes = out;

    if (scheme->bits == 8) {
        for (int64_t k = 0; k < cols; k++)
            bytes[k] = codes[k] ^ 0x80;
        return;
    }
    for (int64_t k = 0; k < cols; k += 2)
        bytes[k / 2] = (uint8_t)(codes[k] << 4 | codes[k + 1]);
}

/* Scales as codes of what they are above or below their mean. */
static enum gram_status nest(void *const out[GRAM_BNB_N_PART], const float *scales, int64_t n,
                             float *offset, struct gram_error *err)
{
    float *map = out[GRAM_BNB_NESTED_MAP], *rest = malloc((size_t)n * sizeof *rest + 1);
    double sum = 0;

    if (!rest)
        return gram_fail_memory(err, "scales of scales");
    for (int64_t i = 0; i < n; i++)
        sum += (double)scales[i];
    *offset = n > 0 ? (float)(sum / (double)n) : 0.0f;
    for (int64_t i = 0; i < n; i++)
        rest[i] = scales[i] - *offset;
    gram_dynamic_map(map, true);
    gram_blockwise_encode(out[GRAM_BNB_SCALES], out[GRAM_BNB_NESTED_SCALES], rest, n,
                          GRAM_NESTED_BLOCK, map);
    free(rest);
    return GRAM_OK;
}

enum gram_status gram_bnb_nest_scales(float *scales, int64_t n, struct gram_error *err)
{
    const size_t blocks = (size_t)gram_ceil_div(n, GRAM_NESTED_BLOCK);
    float map[256], offset, *absmax = malloc(blocks * sizeof *absmax + 1);
    uint8_t *codes = malloc((size_t)n + 1);
    void *const out[GRAM_BNB_N_PART] = {[GRAM_BNB_SCALES] = codes,
                                        [GRAM_BNB_NESTED_SCALES] = absmax,
                                        [GRAM_BNB_NESTED_MAP] = map};
    enum gram_status status =
        absmax && codes ? nest(out, scales, n, &offset, err) : gram_fail_memory(err, "scales of scales");

    if (status == GRAM_OK) {
        gram_blockwise_decode(scales, codes, absmax, n, GRAM_NESTED_BLOCK, map);
        for (int64_t i = 0; i < n; i++)
            scales[i] += offset;
    }
    free(absmax);
    free(codes);
    return status;
}

static const char *torch_name(enum gram_dtype dtype)
{
    return dtype == GRAM_BF16 ? "bfloat16" : dtype == GRAM_F16 ? "float16" : "float32";
}

enum gram_status gram_bnb_fill(void *const out[GRAM_BNB_N_PART], const struct gram_scheme *scheme,
                               const float *scales, int64_t n, int64_t rows, int64_t cols,
                               enum gram_dtype dtype, struct gram_error *err)
{
    char nested[96] = "", text[GRAM_BNB_STATE_BYTES + 1];
    float offset = 0;

    if (scheme->bits == 8) {
        memcpy(out[GRAM_BNB_SCALES], scales, (size_t)n * sizeof *scales);
        *(uint8_t *)out[GRAM_BNB_STATE] = 0;
        return GRAM_OK;
    }
    memcpy(out[GRAM_BNB_MAP], scheme->codebook->values, 16 * sizeof(float));
    if (!scheme->is_nested) {
        memcpy(out[GRAM_BNB_SCALES], scales, (size_t)n * sizeof *scales);
    } else {
        GRAM_TRY(nest(out, scales, n, &offset, err));
        snprintf(nested, sizeof nested,
                 ", \"nested_blocksize\": %d, \"nested_dtype\": \"float32\", \"nested_offset\": %.17g",
                 GRAM_NESTED_BLOCK, (double)offset);
    }
    snprintf(text, sizeof text,
             "{\"quant_type\": \"%s\", \"blocksize\": %" PRId64
             ", \"dtype\": \"%s\", \"shape\": [%" PRId64 ", %" PRId64 "]%s}",
             scheme->codebook->name, scheme->group, torch_name(dtype), rows, cols, nested);
    const size_t length = strlen(text);
    memset(out[GRAM_BNB_STATE], ' ', GRAM_BNB_STATE_BYTES);
    memcpy(out[GRAM_BNB_STATE], text, length);
    return GRAM_OK;
}

json_t *gram_bnb_config(const struct gram_scheme *scheme, const char *const *skipped, size_t n,
                        enum gram_dtype dtype)
{
    const bool is_8bit = scheme->bits == 8;
    const double threshold = is_8bit ? (double)scheme->act_outlier : 6.0;
    json_t *modules = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(modules, json_string(skipped[i]));
    return json_pack("{s:s, s:b, s:b, s:b, s:b, s:s, s:b, s:s, s:s, s:f, s:o, s:b, s:b}",
                     "quant_method", "bitsandbytes", "load_in_4bit", !is_8bit, "load_in_8bit",
                     is_8bit, "_load_in_4bit", !is_8bit, "_load_in_8bit", is_8bit,
                     "bnb_4bit_quant_type", is_8bit ? "fp4" : scheme->codebook->name,
                     "bnb_4bit_use_double_quant", scheme->is_nested, "bnb_4bit_compute_dtype",
                     torch_name(dtype), "bnb_4bit_quant_storage", "uint8", "llm_int8_threshold",
                     threshold, "llm_int8_skip_modules", modules,
                     "llm_int8_enable_fp32_cpu_offload", 0, "llm_int8_has_fp16_weight", 0);
}
