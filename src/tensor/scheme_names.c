/* The schemes that have a name, and the nearest to one that is none. */
#include <string.h>

#include "tensor/scheme_inside.h"

static const struct gram_scheme_family families[] = {
    {"nf4",
     {.kind = GRAM_SCHEME_CODES, .bits = 4, .granularity = GRAM_PER_GROUP, .group = 64,
      .codebook = &gram_nf4},
     false, true, 32, 4096},
    {"fp4",
     {.kind = GRAM_SCHEME_CODES, .bits = 4, .granularity = GRAM_PER_GROUP, .group = 64,
      .codebook = &gram_fp4},
     false, true, 32, 4096},
    {"fp8",
     {.kind = GRAM_SCHEME_CODES, .bits = 8, .granularity = GRAM_PER_CHANNEL,
      .codebook = &gram_e4m3},
     true, false, 0, 0},
    {"ternary",
     {.kind = GRAM_SCHEME_CODES, .bits = 2, .granularity = GRAM_PER_TENSOR, .is_ternary = true},
     true, false, GRAM_MIN_GROUP, GRAM_MAX_GROUP},
    {"llm.int8",
     {.kind = GRAM_SCHEME_CODES, .bits = 8, .granularity = GRAM_PER_CHANNEL, .act_bits = 8,
      .codebook = &gram_int8v, .act_outlier = 6.0f},
     false, false, 0, 0},
    {.name = NULL},
};

static const struct gram_choice presets[] = {
    {"w8a8", "int8 weights per channel, int8 activations per token, found as they come"},
    {"w8a8-static", "the same, with one scale for all activations of a linear, from calibration"},
    {"llm.int8", "int8 weights and activations, inputs of 6 and more in float (bitsandbytes)"},
    {"w8a16", "int8 weights, one scale per output channel"},
    {"fp8", "8-bit floats (e4m3), one scale per output channel; activations stay float"},
    {"w6a16", "int6 weights, groups of 128"},
    {"w5a16", "int5 weights, groups of 128"},
    {"w4a16", "int4 weights, groups of 128"},
    {"w4a16-asym", "int4 weights with zero points, groups of 128"},
    {"nf4", "4-bit normal floats, blocks of 64 (bitsandbytes)"},
    {"nf4-dq", "the same with 8-bit scales (double quantization)"},
    {"fp4", "4-bit floats of bitsandbytes, blocks of 64"},
    {"w3a16", "int3 weights, groups of 128"},
    {"w2a16-g64", "int2 weights, groups of 64"},
    {"ternary", "weights -1, 0 and 1, one scale per tensor; for models trained so"},
    {"bf16", "cast to bfloat16"},
    {"f16", "cast to half precision; values beyond 65504 are an error"},
    {NULL, NULL},
};

/* What other tools call it. */
static const struct {
    const char *name, *ours;
} foreign[] = {
    {"int8", "w8a16"}, {"8bit", "w8a16"},     {"q8_0", "w8a16-g32"}, {"int4", "w4a16"},
    {"4bit", "w4a16"}, {"q4_0", "w4a16-g32"}, {"int6", "w6a16"},     {"int5", "w5a16"},
    {"int3", "w3a16"}, {"int2", "w2a16-g64"}, {"fp16", "f16"},       {"float16", "f16"},
    {"half", "f16"},   {"bfloat16", "bf16"},  {"w8", "w8a16"},       {"w4", "w4a16"},
    {"w3", "w3a16"},   {"w2", "w2a16-g64"},   {"float8", "fp8"},         {"e4m3", "fp8"},
    {"fp8-dynamic", "fp8"}, {"bitnet", "ternary"}, {"qlora", "nf4-dq"},
};

const struct gram_choice *gram_schemes(void)
{
    return presets;
}

const struct gram_scheme_family *gram_scheme_families(void)
{
    return families;
}

/* Levenshtein distance of two short words, capped by their sizes. */
static int distance(const char *a, const char *b)
{
    int row[GRAM_SCHEME_NAME + 1];
    const int n = (int)strnlen(b, GRAM_SCHEME_NAME);

    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 0; a[i]; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 1; j <= n; j++) {
            const int replaced = diagonal + (a[i] != b[j - 1]);
            const int shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = replaced <= shorter ? replaced : shorter + 1;
        }
    }
    return row[n];
}

static const char *nearest(const char *text)
{
    const char *best = NULL;
    int least = 4;

    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (strcmp(text, foreign[i].name) == 0)
            return foreign[i].ours;
    }
    for (const struct gram_choice *p = presets; p->name; p++) {
        const int d = distance(text, p->name);
        if (d < least) {
            least = d;
            best = p->name;
        }
    }
    return best;
}

enum gram_status gram_scheme_unknown(const char *text, struct gram_error *err)
{
    const char *hint = nearest(text);
    if (hint)
        return gram_fail(err, GRAM_EINVAL, "unknown scheme '%s'; did you mean '%s'?", text, hint);
    return gram_fail(err, GRAM_EINVAL,
                     "unknown scheme '%s'; a scheme is a preset such as w8a8, w4a16 or bf16, or "
                     "w<bits>a16 with -g<N>, -channel, -tensor, -asym",
                     text);
}
