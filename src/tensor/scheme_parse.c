/* Reading the names of schemes; the grammar is in gram/quantize.h. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "tensor/dtype.h"
#include "tensor/scheme_inside.h"

enum { DEFAULT_GROUP = 128 };

static const int code_bits[] = {2, 3, 4, 5, 6, 8};

static bool take_word(const char **at, const char *word)
{
    const size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0)
        return false;
    *at += n;
    return true;
}

/* Digits as a number, at most GRAM_MAX_GROUP + 1; -1 if there is none. */
static int64_t take_number(const char **at)
{
    int64_t value = -1;

    for (; **at >= '0' && **at <= '9'; (*at)++) {
        value = (value < 0 ? 0 : value * 10) + (**at - '0');
        value = gram_min_i64(value, GRAM_MAX_GROUP + 1);
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
    GRAM_TRY(check_group(s, GRAM_MIN_GROUP, GRAM_MAX_GROUP, text, err));
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
        return gram_scheme_unknown(text, err);
    at++;
    const int64_t act = take_number(&at);
    if (act != 8 && act != 16)
        return gram_scheme_unknown(text, err);
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
            return gram_scheme_unknown(text, err);
    }
    return check_codes(s, text, err);
}

static enum gram_status check_family(const struct gram_scheme_family *family, const struct gram_scheme *s,
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
static enum gram_status parse_family(struct gram_scheme *s, const struct gram_scheme_family *family,
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
            return gram_scheme_unknown(text, err);
    }
    return check_family(family, s, text, err);
}

/* The family whose name the text starts with, alone or before a dash. */
static const struct gram_scheme_family *family_of(const char *text)
{
    for (const struct gram_scheme_family *f = gram_scheme_families(); f->name; f++) {
        const size_t n = strlen(f->name);
        if (strncmp(text, f->name, n) == 0 && (!text[n] || text[n] == '-'))
            return f;
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
    const struct gram_scheme_family *family = family_of(name);
    if (family)
        return parse_family(out, family, name, err);
    return name[0] == 'w' && name[1] >= '0' && name[1] <= '9' ? parse_codes(out, name, err)
                                                              : gram_scheme_unknown(text, err);
}
