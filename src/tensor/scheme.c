/* The names of schemes, read and written. */
#include "tensor/scheme.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "tensor/dtype.h"

enum { DEFAULT_GROUP = 128, MAX_GROUP = 1 << 24 };

static const int code_bits[] = {2, 3, 4, 5, 6, 8};

/* Schemes with a name of their own: what the name alone says, and which options it takes. */
static const struct family {
    const char *name;
    struct gram_scheme scheme;
    bool takes_channel, takes_nested; /* -channel and -tensor; -dq */
    int64_t least_group, most_group;  /* of -g<N>, a power of two where the least is not the usual one */
} families[] = {
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
     true, false, GRAM_MIN_GROUP, MAX_GROUP},
    {"llm.int8",
     {.kind = GRAM_SCHEME_CODES, .bits = 8, .granularity = GRAM_PER_CHANNEL, .act_bits = 8,
      .codebook = &gram_int8v, .act_outlier = 6.0f},
     false, false, 0, 0},
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

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
    return GRAM_OK;
}

static enum gram_status check_group(const struct gram_scheme *s, int64_t least, int64_t most,
                                    const char *text, struct gram_error *err)
{
    if (s->granularity != GRAM_PER_GROUP || (s->group >= least && s->group <= most))
        return GRAM_OK;
    return gram_fail(err, GRAM_EINVAL,
                     "scheme '%s': a group has from %" PRId64 " to %" PRId64 " weights", text,
                     least, most);
}

static bool starts_granularity(const char *at)
{
    return (strncmp(at, "-g", 2) == 0 && at[2] >= '0' && at[2] <= '9') ||
           strncmp(at, "-channel", 8) == 0 || strncmp(at, "-tensor", 7) == 0;
}

static enum gram_status check_codes(const struct gram_scheme *s, const char *text,
                                    struct gram_error *err)
{
    GRAM_TRY(check_group(s, GRAM_MIN_GROUP, MAX_GROUP, text, err));
    if (s->is_static && s->act_bits == 0)
        return gram_fail(err, GRAM_EINVAL,
                         "scheme '%s': -static is about int8 activations; use w8a8-static", text);
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
        else if (take_word(&at, "-static"))
            s->is_static = true;
        else if (starts_granularity(at))
            GRAM_TRY(take_granularity(&at, s, &is_set, text, err));
        else
            return unknown(text, err);
    }
    return check_codes(s, text, err);
}

static enum gram_status check_family(const struct family *family, const struct gram_scheme *s,
                                     const char *text, struct gram_error *err)
{
    const bool is_whole = s->granularity != GRAM_PER_GROUP;

    if (is_whole && s->granularity != family->scheme.granularity && !family->takes_channel)
        return gram_fail(err, GRAM_EINVAL, "scheme '%s': %s takes neither -channel nor -tensor",
                         text, family->name);
    if (!is_whole && family->most_group == 0)
        return gram_fail(err, GRAM_EINVAL, "scheme '%s': %s has no groups", text, family->name);
    if (s->is_nested && !family->takes_nested)
        return gram_fail(err, GRAM_EINVAL, "scheme '%s': -dq goes with nf4 and fp4 only", text);
    if (!is_whole && family->takes_nested && (s->group & (s->group - 1)) != 0)
        return gram_fail(err, GRAM_EINVAL,
                         "scheme '%s': blocks have 32, 64, 128, .. 4096 weights", text);
    return check_group(s, family->least_group, family->most_group, text, err);
}

/* nf4, fp8, ternary, .. with options in any order. */
static enum gram_status parse_family(struct gram_scheme *s, const struct family *family,
                                     const char *text, struct gram_error *err)
{
    const char *at = text + strlen(family->name);
    bool is_set = false;

    *s = family->scheme;
    while (*at) {
        if (take_word(&at, "-dq"))
            s->is_nested = true;
        else if (starts_granularity(at))
            GRAM_TRY(take_granularity(&at, s, &is_set, text, err));
        else
            return unknown(text, err);
    }
    return check_family(family, s, text, err);
}

/* The family whose name the text starts with, alone or before a dash. */
static const struct family *family_of(const char *text)
{
    for (int i = 0; i < N_FAMILIES; i++) {
        const size_t n = strlen(families[i].name);
        if (strncmp(text, families[i].name, n) == 0 && (!text[n] || text[n] == '-'))
            return &families[i];
    }
    return NULL;
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
    if (gram_dtype_from_name(&dtype, name) &&
        (dtype == GRAM_F16 || dtype == GRAM_BF16 || dtype == GRAM_F32)) {
        *out = (struct gram_scheme){.kind = GRAM_SCHEME_CAST, .dtype = dtype};
        return GRAM_OK;
    }
    const struct family *family = family_of(name);
    if (family)
        return parse_family(out, family, name, err);
    return name[0] == 'w' && name[1] >= '0' && name[1] <= '9' ? parse_codes(out, name, err)
                                                              : unknown(text, err);
}

static bool is_of_family(const struct family *family, const struct gram_scheme *s)
{
    return s->codebook ? s->codebook == family->scheme.codebook
                       : s->is_ternary && family->scheme.is_ternary;
}

/* The name of the family, and what differs from it. False if the scheme is of none. */
static bool name_by_family(char out[GRAM_SCHEME_NAME], const struct gram_scheme *s)
{
    int i = 0;
    char spread[24] = "";

    while (i < N_FAMILIES && !is_of_family(&families[i], s))
        i++;
    if (i == N_FAMILIES)
        return false;
    const struct gram_scheme *usual = &families[i].scheme;
    if (s->granularity == GRAM_PER_GROUP && s->group != usual->group)
        snprintf(spread, sizeof spread, "-g%" PRId64, s->group);
    else if (s->granularity != usual->granularity)
        snprintf(spread, sizeof spread, "%s",
                 s->granularity == GRAM_PER_TENSOR ? "-tensor" : "-channel");
    snprintf(out, GRAM_SCHEME_NAME, "%s%s%s", families[i].name, spread, s->is_nested ? "-dq" : "");
    return true;
}

void gram_scheme_name(char out[GRAM_SCHEME_NAME], const struct gram_scheme *s)
{
    char spread[24] = "";

    if (s->kind != GRAM_SCHEME_CODES) {
        snprintf(out, GRAM_SCHEME_NAME, "%s",
                 s->kind == GRAM_SCHEME_KEEP ? "keep" : gram_dtype_name(s->dtype));
        return;
    }
    if (name_by_family(out, s))
        return;
    if (s->granularity == GRAM_PER_GROUP)
        snprintf(spread, sizeof spread, "-g%" PRId64, s->group);
    else if (s->granularity == GRAM_PER_TENSOR)
        snprintf(spread, sizeof spread, "-tensor");
    else if (s->act_bits == 0)
        snprintf(spread, sizeof spread, "-channel");
    snprintf(out, GRAM_SCHEME_NAME, "w%da%d%s%s%s", s->bits, s->act_bits ? s->act_bits : 16, spread,
             s->asymmetric ? "-asym" : "", s->is_static ? "-static" : "");
}

/* What a weight's codes stand for; NULL: integers. */
static const struct gram_codebook *codebook_of(const struct gram_weight *w)
{
    if (w->act_outlier > 0.0f)
        return &gram_int8v;
    for (int i = 0; w->table && i < N_FAMILIES; i++) {
        const struct gram_codebook *book = families[i].scheme.codebook;
        if (book && book->values == w->table)
            return book;
    }
    return NULL;
}

struct gram_scheme gram_weight_scheme_of(const struct gram_weight *w)
{
    const bool one_scale = w->scale_stride == 0;
    const bool by_block = w->table && w->bits == 4; /* also where one block is one row */

    return (struct gram_scheme){
        .kind = w->bits ? GRAM_SCHEME_CODES : GRAM_SCHEME_CAST,
        .dtype = w->dtype,
        .bits = w->bits,
        .asymmetric = w->zeros != NULL,
        .granularity = one_scale             ? GRAM_PER_TENSOR
                       : w->group >= w->cols && !by_block ? GRAM_PER_CHANNEL
                                                          : GRAM_PER_GROUP,
        .group = w->group,
        .act_bits = w->act_bits,
        .codebook = codebook_of(w),
        .is_nested = w->is_nested,
        .is_static = w->act_scale > 0.0f,
    };
}

void gram_weight_scheme(char out[GRAM_SCHEME_NAME], const struct gram_weight *w)
{
    const struct gram_scheme scheme = gram_weight_scheme_of(w);
    gram_scheme_name(out, &scheme);
}

struct gram_grid gram_scheme_grid(const struct gram_scheme *s, enum gram_dtype scale_dtype)
{
    const bool has_choice = strcmp(gram_scheme_container(s), "bitsandbytes") != 0;
    return (struct gram_grid){.bits = s->bits,
                              .asymmetric = s->asymmetric,
                              .scale_dtype = has_choice ? scale_dtype : GRAM_F32,
                              .codebook = s->codebook,
                              .is_ternary = s->is_ternary};
}

const char *gram_scheme_container(const struct gram_scheme *s)
{
    if (s->kind != GRAM_SCHEME_CODES)
        return NULL;
    return s->codebook && s->codebook != &gram_e4m3 ? "bitsandbytes" : "compressed-tensors";
}

int64_t gram_scheme_span(const struct gram_scheme *scheme, int64_t cols)
{
    return scheme->granularity == GRAM_PER_GROUP ? scheme->group : cols;
}

/* A byte for each scale, f32 for 256 of them. */
static int64_t nested_bytes(int64_t scales)
{
    return scales + gram_ceil_div(scales, 256) * 4;
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
    const bool is_plain = s->act_bits != 0 || s->codebook;
    const int64_t code_row = is_plain ? cols * s->bits / 8 : gram_code_row_bytes(cols, s->bits);
    const enum gram_dtype stored = gram_scheme_grid(s, scale_dtype).scale_dtype;
    const int64_t scales = s->is_nested ? nested_bytes(scale_rows * groups)
                                        : scale_rows * groups * (gram_dtype_bits(stored) / 8);
    const int64_t zeros = s->asymmetric ? gram_code_row_bytes(scale_rows, s->bits) * groups : 0;
    return (uint64_t)(rows * code_row + scales + zeros);
}
