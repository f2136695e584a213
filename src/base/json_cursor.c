/* RFC 8259, one token at a time. */
#include "base/json_cursor.h"

#include <string.h>

#include "base/checked.h"
#include "base/utf8.h"

bool gram_json_text_is(const struct gram_json_text *text, const char *s)
{
    return text->len == strlen(s) && memcmp(text->at, s, text->len) == 0;
}

void gram_cursor_init(struct gram_json_cursor *c, const void *bytes, size_t len, const char *where,
                      struct gram_error *err)
{
    const char *text = bytes;
    *c = (struct gram_json_cursor){
        .begin = text, .at = text, .end = text + len, .where = where, .err = err};
}

enum gram_status gram_cursor_fail(const struct gram_json_cursor *c, const char *what)
{
    return gram_fail(c->err, GRAM_EFORMAT, "%s: %s%sJSON byte %zu: %s", c->where,
                     c->item ? c->item : "", c->item ? ": " : "", (size_t)(c->at - c->begin), what);
}

char gram_cursor_peek(struct gram_json_cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
    return c->at < c->end ? *c->at : '\0';
}

/* The byte at the cursor, without passing white space. */
static char here(const struct gram_json_cursor *c)
{
    return c->at < c->end ? *c->at : '\0';
}

enum gram_status gram_cursor_enter(struct gram_json_cursor *c, char bracket)
{
    if (gram_cursor_peek(c) != bracket)
        return gram_cursor_fail(c, bracket == '{' ? "an object expected" : "a list expected");
    if (c->depth == GRAM_JSON_DEPTH)
        return gram_cursor_fail(c, "nested too deeply");
    c->at++;
    c->closing[c->depth++] = bracket == '{' ? '}' : ']';
    c->is_first = true;
    return GRAM_OK;
}

enum gram_status gram_cursor_more(struct gram_json_cursor *c, bool *more)
{
    GRAM_ASSERT(c->depth > 0);
    const char closing = c->closing[c->depth - 1];
    const char next = gram_cursor_peek(c);

    *more = next != closing;
    if (!*more) {
        c->at++;
        c->depth--;
    } else if (!c->is_first) {
        if (next != ',')
            return gram_cursor_fail(c,
                                    closing == '}' ? "',' or '}' expected" : "',' or ']' expected");
        c->at++;
        if (gram_cursor_peek(c) == closing)
            return gram_cursor_fail(c, "a comma before the closing bracket");
    }
    c->is_first = false;
    return GRAM_OK;
}

static bool hex4(struct gram_json_cursor *c, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++) {
        const char digit = here(c);
        const bool is_decimal = digit >= '0' && digit <= '9';
        const char letter = (char)(digit | 0x20);
        if (!is_decimal && (letter < 'a' || letter > 'f'))
            return false;
        *value = *value << 4 | (uint32_t)(is_decimal ? digit - '0' : letter - 'a' + 10);
        c->at++;
    }
    return true;
}

/* Behind "\u": a character, maybe as a pair of surrogates. */
static bool unicode_escape(struct gram_json_cursor *c, uint32_t *value)
{
    uint32_t low;

    if (!hex4(c, value) || (*value >= 0xdc00 && *value < 0xe000))
        return false;
    if (*value < 0xd800 || *value > 0xdbff)
        return true;
    if (c->end - c->at < 2 || c->at[0] != '\\' || c->at[1] != 'u')
        return false;
    c->at += 2;
    if (!hex4(c, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *value = 0x10000 + ((*value - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* Behind a backslash; writes 1 to 4 bytes, never more than were read. 0 if there is no such escape.
 */
static size_t escape(struct gram_json_cursor *c, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t value;

    if (here(c) == 'u') {
        c->at++;
        return unicode_escape(c, &value) ? gram_utf8_put(out, value) : 0;
    }
    const char *found = here(c) ? strchr(from, here(c)) : NULL;
    if (!found)
        return 0;
    c->at++;
    out[0] = to[found - from];
    return 1;
}

/* A string, decoded to out unless that is NULL. */
static enum gram_status scan_string(struct gram_json_cursor *c, char *out, size_t *len)
{
    if (gram_cursor_peek(c) != '"')
        return gram_cursor_fail(c, "a string expected");
    c->at++;
    *len = 0;
    while (c->at < c->end && *c->at != '"') {
        char bytes[4];
        uint32_t value;
        size_t n;
        if (*c->at == '\\') {
            c->at++;
            n = escape(c, bytes);
            if (n == 0)
                return gram_cursor_fail(c, "a broken escape in a string");
        } else {
            n = gram_utf8_next(c->at, (size_t)(c->end - c->at), &value);
            if (n == 0 || value < 0x20)
                return gram_cursor_fail(c, n ? "a control character in a string" : "not UTF-8");
            memcpy(bytes, c->at, n);
            c->at += n;
        }
        if (out)
            memcpy(out + *len, bytes, n);
        *len += n;
    }
    if (c->at == c->end)
        return gram_cursor_fail(c, "a string that does not end");
    c->at++;
    return GRAM_OK;
}

static enum gram_status colon(struct gram_json_cursor *c)
{
    if (gram_cursor_peek(c) != ':')
        return gram_cursor_fail(c, "':' expected");
    c->at++;
    return GRAM_OK;
}

enum gram_status gram_cursor_string(struct gram_json_cursor *c, char **pool,
                                    struct gram_json_text *text)
{
    text->at = *pool;
    GRAM_TRY(scan_string(c, *pool, &text->len));
    (*pool)[text->len] = '\0'; /* has room: the two quotes were not copied */
    *pool += text->len + 1;
    return GRAM_OK;
}

enum gram_status gram_cursor_key(struct gram_json_cursor *c, char **pool,
                                 struct gram_json_text *text)
{
    GRAM_TRY(gram_cursor_string(c, pool, text));
    return colon(c);
}

enum gram_status gram_cursor_skip_key(struct gram_json_cursor *c)
{
    size_t len;
    GRAM_TRY(scan_string(c, NULL, &len));
    return colon(c);
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool skip_digits(struct gram_json_cursor *c)
{
    const char *start = c->at;
    while (is_digit(here(c)))
        c->at++;
    return c->at > start;
}

enum gram_status gram_cursor_int(struct gram_json_cursor *c, int64_t *value)
{
    const bool is_negative = gram_cursor_peek(c) == '-';

    c->at += is_negative;
    if (!is_digit(here(c)))
        return gram_cursor_fail(c, "a whole number expected");
    *value = 0;
    const char *start = c->at;
    for (; is_digit(here(c)); c->at++) { /* counted downwards: -2^63 fits, 2^63 does not */
        if (!gram_mul_i64(value, *value, 10) ||
            __builtin_sub_overflow(*value, (int64_t)(*c->at - '0'), value))
            return gram_cursor_fail(c, "a whole number of more than 64 bits");
    }
    if (*start == '0' && c->at - start > 1)
        return gram_cursor_fail(c, "a number that starts with 0");
    if (here(c) == '.' || here(c) == 'e' || here(c) == 'E')
        return gram_cursor_fail(c, "a whole number expected, without fraction and exponent");
    if (!is_negative && !gram_mul_i64(value, *value, -1))
        return gram_cursor_fail(c, "a whole number of more than 64 bits");
    return GRAM_OK;
}

static bool skip_number(struct gram_json_cursor *c)
{
    c->at += here(c) == '-';
    if (here(c) == '0')
        c->at++;
    else if (!skip_digits(c))
        return false;
    if (here(c) == '.') {
        c->at++;
        if (!skip_digits(c))
            return false;
    }
    if (here(c) == 'e' || here(c) == 'E') {
        c->at++;
        c->at += here(c) == '+' || here(c) == '-';
        return skip_digits(c);
    }
    return true;
}

static enum gram_status skip_scalar(struct gram_json_cursor *c)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t len;

    if (here(c) == '"')
        return scan_string(c, NULL, &len);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        len = strlen(words[i]);
        if ((size_t)(c->end - c->at) >= len && memcmp(c->at, words[i], len) == 0) {
            c->at += len;
            return GRAM_OK;
        }
    }
    return skip_number(c) ? GRAM_OK : gram_cursor_fail(c, "not a JSON value");
}

enum gram_status gram_cursor_skip(struct gram_json_cursor *c)
{
    const int outside = c->depth;
    bool more = true;

    do {
        const char next = gram_cursor_peek(c);
        if (next == '{' || next == '[')
            GRAM_TRY(gram_cursor_enter(c, next));
        else
            GRAM_TRY(skip_scalar(c));
        while (c->depth > outside) {
            GRAM_TRY(gram_cursor_more(c, &more));
            if (more)
                break;
        }
        if (c->depth > outside && c->closing[c->depth - 1] == '}')
            GRAM_TRY(gram_cursor_skip_key(c));
    } while (c->depth > outside);
    return GRAM_OK;
}

enum gram_status gram_cursor_end(struct gram_json_cursor *c)
{
    gram_cursor_peek(c);
    return c->at == c->end ? GRAM_OK : gram_cursor_fail(c, "nothing expected after the value");
}
