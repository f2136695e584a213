/*
 * Writing: the shape of each tensor of a quantized linear, and the quantization_config that names
 * them. Integer weights alone are packed (pack-quantized); int8 weights with int8 activations are
 * plain bytes (int-quantized), and so are floats (float-quantized), as compressed-tensors itself
 * chooses. Only keys that every version of its
 * schema knows are written.
 */
#include "formats/compressed_tensors.h"

#include <stdio.h>
#include <string.h>

#include "formats/stored_parts.h"
#include "tensor/dtype.h"

/* The version whose packing this is: dense bit streams came with 0.18.0. */
static const char layout_version[] = "0.18.0";

bool gram_compressed_parts(struct gram_tensor parts[GRAM_N_PART], const struct gram_scheme *scheme,
                           const char *module, int64_t rows, int64_t cols,
                           enum gram_dtype scale_dtype, struct gram_arena *arena)
{
    const int64_t groups = cols / gram_scheme_span(scheme, cols);
    const int64_t words = gram_code_row_bytes(cols, scheme->bits) / 4;
    const int64_t zero_words = gram_code_row_bytes(rows, scheme->bits) / 4;
    const bool is_plain = scheme->act_bits != 0 || scheme->codebook;
    const bool is_one = scheme->granularity == GRAM_PER_TENSOR;
    bool ok = true;

    memset(parts, 0, GRAM_N_PART * sizeof parts[0]);
    if (is_plain)
        ok &= gram_part_describe(&parts[GRAM_PART_CODES], module, "weight",
                                 scheme->codebook ? GRAM_F8_E4M3 : GRAM_I8, 2, rows, cols, arena);
    else
        ok &= gram_part_describe(&parts[GRAM_PART_CODES], module, "weight_packed", GRAM_I32, 2,
                                 rows, words, arena);
    ok &= gram_part_describe(&parts[GRAM_PART_SCALES], module, "weight_scale", scale_dtype,
                             is_one ? 1 : 2, is_one ? 1 : rows, groups, arena);
    if (!is_plain)
        ok &= gram_part_describe(&parts[GRAM_PART_SHAPE], module, "weight_shape", GRAM_I64, 1, 2, 0,
                                 arena);
    if (scheme->is_static)
        ok &= gram_part_describe(&parts[GRAM_PART_INPUT], module, "input_scale", scale_dtype, 1, 1,
                                 0, arena);
    if (scheme->asymmetric && is_one)
        ok &= gram_part_describe(&parts[GRAM_PART_ZEROS], module, "weight_zero_point", GRAM_I8, 1,
                                 1, 0, arena);
    else if (scheme->asymmetric)
        ok &= gram_part_describe(&parts[GRAM_PART_ZEROS], module, "weight_zero_point", GRAM_I32, 2,
                                 zero_words, groups, arena);
    return ok;
}

bool gram_compressed_pack_zeros(uint32_t *out, const int8_t *zeros, int64_t rows, int64_t groups,
                                int bits)
{
    const int64_t bytes = gram_code_row_bytes(rows, bits);
    uint8_t *codes = malloc((size_t)rows);
    uint8_t *stream = malloc((size_t)bytes);
    const bool ok = codes && stream;

    for (int64_t g = 0; ok && g < groups; g++) {
        for (int64_t r = 0; r < rows; r++)
            codes[r] = (uint8_t)(zeros[r * groups + g] + (1 << (bits - 1)));
        gram_codes_pack(stream, codes, rows, bits);
        for (int64_t i = 0; i < bytes / 4; i++)
            memcpy(&out[i * groups + g], stream + 4 * i, 4);
    }
    free(codes);
    free(stream);
    return ok;
}

/* ---- quantization_config ---- */

static bool is_quantized(const struct gram_compressed_linear *l)
{
    return l->scheme->kind == GRAM_SCHEME_CODES;
}

static bool same_group(const struct gram_compressed_linear *a,
                       const struct gram_compressed_linear *b)
{
    const struct gram_scheme *x = a->scheme, *y = b->scheme;
    return x->bits == y->bits && x->asymmetric == y->asymmetric &&
           x->granularity == y->granularity && x->group == y->group && x->act_bits == y->act_bits &&
           x->codebook == y->codebook && x->is_static == y->is_static &&
           strcmp(a->observer, b->observer) == 0;
}

static const char *format_of(const struct gram_scheme *scheme)
{
    return scheme->codebook   ? "float-quantized"
           : scheme->act_bits ? "int-quantized"
                              : "pack-quantized";
}

static json_t *weight_args(const struct gram_compressed_linear *l)
{
    static const char *const strategies[] = {
        [GRAM_PER_TENSOR] = "tensor", [GRAM_PER_CHANNEL] = "channel", [GRAM_PER_GROUP] = "group"};
    const struct gram_scheme *s = l->scheme;
    json_t *size = s->granularity == GRAM_PER_GROUP ? json_integer(s->group) : json_null();

    return json_pack("{s:i, s:s, s:b, s:s, s:o, s:n, s:b, s:n, s:s, s:{}}", "num_bits", s->bits,
                     "type", s->codebook ? "float" : "int", "symmetric", !s->asymmetric, "strategy",
                     strategies[s->granularity], "group_size", size, "block_structure", "dynamic",
                     0, "actorder", "observer", l->observer, "observer_kwargs");
}

static json_t *activation_args(const struct gram_scheme *s)
{
    if (!s->act_bits)
        return json_null();
    return json_pack("{s:i, s:s, s:b, s:s, s:n, s:n, s:b, s:n, s:s?, s:{}}", "num_bits",
                     s->act_bits, "type", "int", "symmetric", 1, "strategy",
                     s->is_static ? "tensor" : "token", "group_size", "block_structure", "dynamic",
                     !s->is_static, "actorder", "observer", s->is_static ? "minmax" : NULL,
                     "observer_kwargs");
}

static json_t *group_of(const struct gram_compressed_linear *first, json_t *targets, bool is_mixed)
{
    json_t *group =
        json_pack("{s:o, s:o, s:o, s:n}", "targets", targets, "weights", weight_args(first),
                  "input_activations", activation_args(first->scheme), "output_activations");
    if (group && is_mixed)
        json_object_set_new(group, "format", json_string(format_of(first->scheme)));
    return group;
}

static bool is_first_of_group(const struct gram_compressed_linear *linears, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (is_quantized(&linears[j]) && same_group(&linears[j], &linears[i]))
            return false;
    }
    return true;
}

/* One group stands for the class Linear; several name their modules. */
static json_t *targets_of(const struct gram_compressed_linear *linears, size_t n, size_t first,
                          size_t n_groups)
{
    json_t *targets = json_array();

    if (n_groups == 1) {
        json_array_append_new(targets, json_string("Linear"));
        return targets;
    }
    for (size_t i = first; i < n; i++) {
        if (is_quantized(&linears[i]) && same_group(&linears[first], &linears[i]))
            json_array_append_new(targets, json_string(linears[i].module));
    }
    return targets;
}

struct summary {
    size_t n_groups;
    bool is_mixed; /* more than one format */
    const char *format;
};

static struct summary summarize(const struct gram_compressed_linear *linears, size_t n)
{
    struct summary s = {.format = "dense"};

    for (size_t i = 0; i < n; i++) {
        if (!is_quantized(&linears[i]) || !is_first_of_group(linears, i))
            continue;
        const char *format = format_of(linears[i].scheme);
        s.is_mixed |= s.n_groups > 0 && strcmp(s.format, format) != 0;
        s.format = format;
        s.n_groups++;
    }
    if (s.is_mixed)
        s.format = "mixed-precision";
    return s;
}

json_t *gram_compressed_config(const struct gram_compressed_linear *linears, size_t n)
{
    const struct summary s = summarize(linears, n);
    json_t *groups = json_object(), *ignore = json_array();
    int n_named = 0;

    for (size_t i = 0; i < n; i++) {
        char name[24];
        if (!is_quantized(&linears[i])) {
            json_array_append_new(ignore, json_string(linears[i].module));
            continue;
        }
        if (!is_first_of_group(linears, i))
            continue;
        snprintf(name, sizeof name, "group_%d", n_named++);
        json_object_set_new(
            groups, name, group_of(&linears[i], targets_of(linears, n, i, s.n_groups), s.is_mixed));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:n, s:o, s:n, s:{}, s:{}, s:o}", "quant_method",
                     "compressed-tensors", "version", layout_version, "format", s.format,
                     "quantization_status", "compressed", "global_compression_ratio", "ignore",
                     ignore, "kv_cache_scheme", "sparsity_config", "transform_config",
                     "config_groups", groups);
}
