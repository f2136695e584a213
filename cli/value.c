/* The text of an option's argument, checked and stored by the type of its row. */
#include "option.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "suggest.h"

bool parse_integer(const char *text, int64_t *out)
{
    const bool negative = *text == '-';
    const char *at = text + negative;
    int64_t value = 0;

    if (!*at)
        return false;
    for (; *at; at++)
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *at - '0', &value))
            return false;
    return negative ? (*out = value, true) : !__builtin_sub_overflow(0, value, out);
}

/* Digits, a point, an exponent; not "inf", "nan" or hexadecimal. */
static bool parse_real(const char *text, double *out)
{
    char *end;

    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return false;
    *out = strtod(text, &end);
    return !*end && isfinite(*out);
}

static bool parse_size(const char *text, uint64_t *out)
{
    static const char letters[] = "kmgt";
    const size_t digits = strspn(text, "0123456789");
    char number[24];
    int64_t value;

    if (digits == 0 || digits >= sizeof number)
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    if (!parse_integer(number, &value))
        return false;
    *out = (uint64_t)value;
    const char *at = text + digits;
    const char *letter = *at ? strchr(letters, *at | 0x20) : NULL;
    if (letter) {
        const bool binary = at[1] == 'i';
        for (const char *power = letters; power <= letter; power++)
            if (__builtin_mul_overflow(*out, binary ? 1024u : 1000u, out))
                return false;
        at += 1 + binary;
    }
    return !*at || ((*at | 0x20) == 'b' && !at[1]);
}

static bool in_range(const struct option_row *row, double value)
{
    return (row->low == 0 && row->high == 0) || (value >= row->low && value <= row->high);
}

static enum gram_status bad_value(const struct option_row *row, const char *text,
                                  const char *wanted, struct gram_error *err)
{
    if (row->low == 0 && row->high == 0)
        return refuse(err, GRAM_EINVAL, "--%s: '%s' is not %s", row->name, text, wanted);
    if (row->high >= 1e15)
        return refuse(err, GRAM_EINVAL, "--%s: '%s' is not %s of at least %.15g", row->name, text,
                      wanted, row->low);
    return refuse(err, GRAM_EINVAL, "--%s: '%s' is not %s from %.15g to %.15g", row->name, text,
                  wanted, row->low, row->high);
}

static enum gram_status store_flag(const struct option_row *row, const char *text, void *field,
                                   struct gram_error *err)
{
    (void)row, (void)text, (void)err;
    *(bool *)field = true;
    return GRAM_OK;
}

static enum gram_status store_int(const struct option_row *row, const char *text, void *field,
                                  struct gram_error *err)
{
    int64_t value;

    if (!parse_integer(text, &value) || !in_range(row, (double)value))
        return bad_value(row, text, "a whole number", err);
    *(int64_t *)field = value;
    return GRAM_OK;
}

static enum gram_status store_real(const struct option_row *row, const char *text, void *field,
                                   struct gram_error *err)
{
    double value;

    if (!parse_real(text, &value) || !in_range(row, value))
        return bad_value(row, text, "a number", err);
    *(double *)field = value;
    return GRAM_OK;
}

static enum gram_status store_size(const struct option_row *row, const char *text, void *field,
                                   struct gram_error *err)
{
    uint64_t value;

    if (!parse_size(text, &value) || !in_range(row, (double)value))
        return refuse(err, GRAM_EINVAL, "--%s: '%s' is not a size such as 500m, 5g or 4gi",
                      row->name, text);
    *(uint64_t *)field = value;
    return GRAM_OK;
}

static enum gram_status store_text(const struct option_row *row, const char *text, void *field,
                                   struct gram_error *err)
{
    if (!*text)
        return refuse(err, GRAM_EINVAL, "--%s: %s is empty", row->name, row->argument);
    *(const char **)field = text;
    return GRAM_OK;
}

static enum gram_status store_choice(const struct option_row *row, const char *text, void *field,
                                     struct gram_error *err)
{
    char all[256] = "";
    size_t len = 0;

    for (const struct gram_choice *c = row->choices(); c->name; c++) {
        if (strcmp(c->name, text) == 0) {
            *(const char **)field = text;
            return GRAM_OK;
        }
        if (len < sizeof all)
            len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", len ? ", " : "", c->name);
    }
    const char *near = suggest_choice(text, row->choices());
    return refuse(err, GRAM_EINVAL, "--%s: there is no '%s'%s%s%s (%s)", row->name, text,
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", all);
}

static enum gram_status store_list(const struct option_row *row, const char *text, void *field,
                                   struct gram_error *err)
{
    struct text_list *list = field;

    if (!*text)
        return refuse(err, GRAM_EINVAL, "--%s: %s is empty", row->name, row->argument);
    const char **grown = realloc(list->at, (list->n + 1) * sizeof *grown);
    if (!grown)
        return refuse(err, GRAM_ENOMEM, "--%s: memory ran out", row->name);
    list->at = grown;
    list->at[list->n++] = text;
    return GRAM_OK;
}

static enum gram_status (*const store[])(const struct option_row *, const char *, void *,
                                         struct gram_error *) = {
    [OPTION_FLAG] = store_flag, [OPTION_INT] = store_int,   [OPTION_REAL] = store_real,
    [OPTION_SIZE] = store_size, [OPTION_TEXT] = store_text, [OPTION_CHOICE] = store_choice,
    [OPTION_LIST] = store_list,
};

enum gram_status option_store(const struct option_row *row, const char *text, void *options,
                              struct gram_error *err)
{
    return store[row->type](row, text, (char *)options + row->offset, err);
}
