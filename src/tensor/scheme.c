/* The names of schemes, read and written. */
#include "tensor/scheme.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "tensor/dtype.h"

enum { DEFAULT_GROUP = 128, MAX_GROUP = 1 << 24 };

static const int code_bits[] = {2, 3, 4, 5, 6, 8};

static const struct gram_choice presets[] = {
    {"w8a8", "int8 weights per channel, int8 activations per token, found as they come"},
    {"w8a16", "int8 weights, one scale per output channel"},
    {"w6a16", "int6 weights, groups of 128"},
    {"w5a16", "int5 weights, groups of 128"},
    {"w4a16", "int4 weights, groups of 128"},
    {"w4a16-asym", "int4 weights with zero points, groups of 128"},
    {"w3a16", "int3 weights, groups of 128"},
    {"w2a16-g64", "int2 weights, groups of 64"},
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
    {"w3", "w3a16"},   {"w2", "w2a16-g64"},
};

const struct gram_choice *gram_schemes(void)
{
    return presets;
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

static enum gram_status unknown(const char *text, struct gram_error *err)
{
    const char *hint = nearest(text);
    if (hint)
        return gram_fail(err, GRAM_EINVAL, "unknown scheme '%s'; did you mean '%s'?", text, hint);
    return gram_fail(err, GRAM_EINVAL,
                     "unknown scheme '%s'; a scheme is a preset such as w8a8, w4a16 or bf16, or "
                     "w<bits>a16 with -g<N>, -channel, -tensor, -asym",
                     text);
}

static bool take_word(const char **at, const char *word)
{
    const size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0)
        return false;
    *at += n;
    return true;
}

/* Digits as a number, at most MAX_GROUP + 1; -1 if there is none. */
static int64_t take_number(const char **at)
{
    int64_t value = -1;

    for (; **at >= '0' && **at <= '9'; (*at)++) {
        value = (value < 0 ? 0 : value * 10) + (**at - '0');
        value = gram_min_i64(value, MAX_GROUP + 1);
    }
    return value;
}

static bool is_code_width(int64_t bits)
{
    for (size_t i = 0; i < sizeof code_bits / sizeof code_bits[0]; i++) {
        if (code_bits[i] == bits)
            return true;
    }
    return false;
}

static enum gram_status take_granularity(const char **at, struct gram_scheme *s, bool *is_set,
                                         const char *text, struct gram_error *err)
{
    if (*is_set)
        return gram_fail(err, GRAM_EINVAL, "scheme '%s' says twice which weights share a scale",
                         text);
    *is_set = true;
    s->group = 0;
    if (take_word(at, "-channel")) {
        s->granularity = GRAM_PER_CHANNEL;
        return GRAM_OK;
    }
    if (take_word(at, "-tensor")) {
        s->granularity = GRAM_PER_TENSOR;
        return GRAM_OK;
    }
    *at += 2; /* "-g" */
    s->granularity = GRAM_PER_GROUP;
    s->group = take_number(at);
    if (s->group < GRAM_MIN_GROUP || s->group > MAX_GROUP)
        return gram_fail(err, GRAM_EINVAL, "scheme '%s': a group has from %d to %d weights", text,
                         GRAM_MIN_GROUP, MAX_GROUP);
    return GRAM_OK;
}

static bool starts_granularity(const char *at)
{
    return (strncmp(at, "-g", 2) == 0 && at[2] >= '0' && at[2] <= '9') ||
           strncmp(at, "-channel", 8) == 0 || strncmp(at, "-tensor", 7) == 0;
}

static enum gram_status check_codes(const struct gram_scheme *s, const char *text,
                                    struct gram_error *err)
{
    if (s->act_bits != 0 && s->bits != 8)
        return gram_fail(err, GRAM_EINVAL,
                         "scheme '%s': int8 activations go with int8 weights only", text);
    if (s->act_bits != 0 && (s->granularity == GRAM_PER_GROUP || s->asymmetric))
        return gram_fail(
            err, GRAM_EINVAL,
            "scheme '%s': int8 activations need one scale per channel or tensor and no "
            "zero points; use w8a8 or w8a8-tensor",
            text);
    return GRAM_OK;
}

/* w<bits>a16 or w8a8, then options in any order. */
static enum gram_status parse_codes(struct gram_scheme *s, const char *text, struct gram_error *err)
{
    const char *at = text + 1;
    const int64_t bits = take_number(&at);
    bool is_set = false;

    if (bits < 0 || *at != 'a')
        return unknown(text, err);
    at++;
    const int64_t act = take_number(&at);
    if (act != 8 && act != 16)
        return unknown(text, err);
    if (!is_code_width(bits))
        return gram_fail(err, GRAM_EINVAL,
                         "scheme '%s': weights have 2, 3, 4, 5, 6 or 8 bits, not %" PRId64, text,
                         bits);
    *s = (struct gram_scheme){
        .kind = GRAM_SCHEME_CODES,
        .bits = (int)bits,
        .granularity = bits == 8 ? GRAM_PER_CHANNEL : GRAM_PER_GROUP,
        .group = bits == 8 ? 0 : DEFAULT_GROUP,
        .act_bits = act == 8 ? 8 : 0,
    };
    while (*at) {
        if (take_word(&at, "-asym"))
            s->asymmetric = true;
        else if (starts_granularity(at))
            GRAM_TRY(take_granularity(&at, s, &is_set, text, err));
        else
            return unknown(text, err);
    }
    return check_codes(s, text, err);
}

/* As users type it elsewhere: W4A16_ASYM. */
static bool normalize(char out[GRAM_SCHEME_NAME], const char *text)
{
    size_t i = 0;
    for (; text[i] && i < GRAM_SCHEME_NAME - 1; i++) {
        const char c = text[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c == '_' ? '-' : c);
    }
    out[i] = '\0';
    return i > 0 && !text[i];
}

enum gram_status gram_scheme_parse(struct gram_scheme *out, const char *text,
                                   struct gram_error *err)
{
    char name[GRAM_SCHEME_NAME];
    enum gram_dtype dtype;

    *out = (struct gram_scheme){.kind = GRAM_SCHEME_KEEP};
    if (!normalize(name, text))
        return gram_fail(err, GRAM_EINVAL, "unknown scheme '%.64s'", text);
    if (strcmp(name, "keep") == 0)
        return GRAM_OK;
    if (gram_dtype_from_name(&dtype, name) && (dtype == GRAM_F16 || dtype == GRAM_BF16)) {
        *out = (struct gram_scheme){.kind = GRAM_SCHEME_CAST, .dtype = dtype};
        return GRAM_OK;
    }
    return name[0] == 'w' && name[1] >= '0' && name[1] <= '9' ? parse_codes(out, name, err)
                                                              : unknown(text, err);
}

void gram_scheme_name(char out[GRAM_SCHEME_NAME], const struct gram_scheme *s)
{
    char spread[24] = "";

    if (s->kind != GRAM_SCHEME_CODES) {
        snprintf(out, GRAM_SCHEME_NAME, "%s",
                 s->kind == GRAM_SCHEME_KEEP ? "keep" : gram_dtype_name(s->dtype));
        return;
    }
    if (s->granularity == GRAM_PER_GROUP)
        snprintf(spread, sizeof spread, "-g%" PRId64, s->group);
    else if (s->granularity == GRAM_PER_TENSOR)
        snprintf(spread, sizeof spread, "-tensor");
    else if (s->act_bits == 0)
        snprintf(spread, sizeof spread, "-channel");
    snprintf(out, GRAM_SCHEME_NAME, "w%da%d%s%s", s->bits, s->act_bits ? s->act_bits : 16, spread,
             s->asymmetric ? "-asym" : "");
}

void gram_weight_scheme(char out[GRAM_SCHEME_NAME], const struct gram_weight *w)
{
    const bool one_scale = w->scale_stride == 0;
    const struct gram_scheme scheme = {
        .kind = w->bits ? GRAM_SCHEME_CODES : GRAM_SCHEME_CAST,
        .dtype = w->dtype,
        .bits = w->bits,
        .asymmetric = w->zeros != NULL,
        .granularity = one_scale             ? GRAM_PER_TENSOR
                       : w->group >= w->cols ? GRAM_PER_CHANNEL
                                             : GRAM_PER_GROUP,
        .group = w->group,
        .act_bits = w->act_bits,
    };
    gram_scheme_name(out, &scheme);
}

int64_t gram_scheme_span(const struct gram_scheme *scheme, int64_t cols)
{
    return scheme->granularity == GRAM_PER_GROUP ? scheme->group : cols;
}

uint64_t gram_scheme_bytes(const struct gram_scheme *s, int64_t rows, int64_t cols,
                           enum gram_dtype from, enum gram_dtype scale_dtype)
{
    if (s->kind != GRAM_SCHEME_CODES) {
        const enum gram_dtype dtype = s->kind == GRAM_SCHEME_CAST ? s->dtype : from;
        return (uint64_t)(rows * cols) * (uint64_t)gram_dtype_bits(dtype) / 8;
    }
    const int64_t groups = gram_ceil_div(cols, gram_scheme_span(s, cols));
    const int64_t scale_rows = s->granularity == GRAM_PER_TENSOR ? 1 : rows;
    const int64_t code_row = s->act_bits ? cols : gram_code_row_bytes(cols, s->bits);
    const int64_t scales = scale_rows * groups * (gram_dtype_bits(scale_dtype) / 8);
    const int64_t zeros = s->asymmetric ? gram_code_row_bytes(scale_rows, s->bits) * groups : 0;
    return (uint64_t)(rows * code_row + scales + zeros);
}
