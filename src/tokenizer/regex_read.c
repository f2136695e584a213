/* The words of a pattern, rewritten one by one: escapes, classes, quantifiers. */
#include "tokenizer/regex_read.h"

#include <string.h>

bool gram_pattern_refuse(struct gram_pattern_reader *r, const char *problem)
{
    if (!r->problem)
        r->problem = problem;
    return false;
}

bool gram_pattern_malformed(struct gram_pattern_reader *r, const char *problem)
{
    r->is_malformed = r->is_malformed || !r->problem;
    return gram_pattern_refuse(r, problem);
}

int gram_pattern_peek(const struct gram_pattern_reader *r, size_t ahead)
{
    return ahead < r->len - r->at ? (unsigned char)r->pattern[r->at + ahead] : -1;
}

static bool looking_at(const struct gram_pattern_reader *r, const char *s)
{
    const size_t n = strlen(s);
    return n <= r->len - r->at && memcmp(r->pattern + r->at, s, n) == 0;
}

/* Copy the next n bytes as they are. */
void gram_pattern_copy(struct gram_pattern_reader *r, size_t n)
{
    gram_buf_add(r->out, r->pattern + r->at, n);
    r->at += n;
}

bool gram_pattern_take(struct gram_pattern_reader *r, const char *s, const char *instead)
{
    if (!looking_at(r, s))
        return false;
    gram_buf_str(r->out, instead);
    r->at += strlen(s);
    return true;
}

static bool is_hex(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* \p{Name}, \P{Name}, \p{^Name}: both engines know the categories and scripts. */
static bool read_property(struct gram_pattern_reader *r)
{
    size_t n = 2;

    if (gram_pattern_peek(r, n) != '{')
        return gram_pattern_malformed(r, "\\p without a name in braces");
    while (gram_pattern_peek(r, n) >= 0 && gram_pattern_peek(r, n) != '}')
        n++;
    if (gram_pattern_peek(r, n) != '}')
        return gram_pattern_malformed(r, "\\p without a closing brace");
    gram_pattern_copy(r, n + 1);
    return true;
}

/* \xHH, \x{H..}, \uHHHH: a character by its number. */
static bool read_number(struct gram_pattern_reader *r)
{
    const bool braces = gram_pattern_peek(r, 2) == '{';
    const size_t most = braces ? 6 : gram_pattern_peek(r, 1) == 'u' ? 4 : 2, first = braces ? 3 : 2;
    size_t n = 0;

    while (n < most && is_hex(gram_pattern_peek(r, first + n)))
        n++;
    if (n == 0 || (gram_pattern_peek(r, 1) == 'u' && (n != 4 || braces)) ||
        (braces && gram_pattern_peek(r, first + n) != '}'))
        return gram_pattern_malformed(r, "a character number that is not hexadecimal");
    gram_buf_printf(r->out, "\\x{%.*s}", (int)n, r->pattern + r->at + first);
    r->at += first + n + braces;
    return true;
}

bool gram_pattern_escape(struct gram_pattern_reader *r, bool in_class)
{
    static const struct {
        const char *from, *to, *to_in_class; /* NULL: not there */
    } words[] = {
        {"\\s", "\\p{White_Space}", "\\p{White_Space}"},
        {"\\S", "\\P{White_Space}", "\\P{White_Space}"},
        {"\\w", "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"},
        {"\\W", "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]", NULL},
        {"\\d", "\\p{Nd}", "\\p{Nd}"},
        {"\\D", "\\P{Nd}", "\\P{Nd}"},
        {"\\v", "\\x{0b}", "\\x{0b}"},
        {"\\a", "\\x{07}", "\\x{07}"},
        {"\\r", "\\r", "\\r"},
        {"\\n", "\\n", "\\n"},
        {"\\t", "\\t", "\\t"},
        {"\\f", "\\f", "\\f"},
    };
    const int c = gram_pattern_peek(r, 1);

    if (c < 0)
        return gram_pattern_malformed(r, "it ends in a backslash");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *to = in_class ? words[i].to_in_class : words[i].to;
        if (to && gram_pattern_take(r, words[i].from, to))
            return true;
    }
    if (c == 'p' || c == 'P')
        return read_property(r);
    if (c == 'x' || c == 'u')
        return read_number(r);
    if (c >= '1' && c <= '9')
        return gram_pattern_refuse(r, "back-references are not supported");
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return gram_pattern_refuse(r, "an escape that is not supported");
    gram_pattern_copy(r,
                      2); /* an escaped punctuation mark, or the first byte of a longer character */
    return true;
}

/* [...]: nested classes are unions and are written out flat. */
bool gram_pattern_class(struct gram_pattern_reader *r)
{
    int open = 0;
    bool first = true;

    do {
        const int c = gram_pattern_peek(r, 0);
        if (c < 0)
            return gram_pattern_malformed(r, "a class without its ]");
        if (looking_at(r, "&&"))
            return gram_pattern_refuse(r, "intersections of classes are not supported");
        if (looking_at(r, "[:"))
            return gram_pattern_refuse(r, "POSIX classes are not supported");
        if (c == '[') {
            if (open > 0 && gram_pattern_peek(r, 1) == '^')
                return gram_pattern_refuse(r, "a negated class inside a class is not supported");
            if (open++ == 0)
                gram_pattern_copy(r, 1);
            else
                r->at++;
            if (gram_pattern_peek(r, 0) == '^')
                gram_pattern_copy(r, 1);
            first = true;
            continue;
        }
        if (c == ']' && !first) {
            if (--open == 0)
                gram_pattern_copy(r, 1);
            else
                r->at++;
        } else if (c == '\\') {
            if (!gram_pattern_escape(r, true))
                return false;
        } else {
            gram_pattern_copy(r, 1);
        }
        first = false;
    } while (open > 0);
    return true;
}

/* {n}, {n,}, {n,m}, {,m}; false if the brace is not one of these. */
static bool read_braces(struct gram_pattern_reader *r, uint32_t *min, uint32_t *max)
{
    uint32_t bound[2] = {0, 0};
    size_t n = 1, digits[2] = {0, 0};
    int which = 0;

    for (; gram_pattern_peek(r, n) != '}'; n++) {
        const int c = gram_pattern_peek(r, n);
        if (c == ',' && which == 0) {
            which = 1;
        } else if (c >= '0' && c <= '9' && digits[which] < 4) {
            bound[which] = bound[which] * 10 + (uint32_t)(c - '0');
            digits[which]++;
        } else {
            return gram_pattern_malformed(r, "a brace that is no quantifier");
        }
    }
    if (digits[0] == 0)
        return gram_pattern_refuse(r, "a quantifier without a lower bound is not supported");
    *min = bound[0];
    *max = which == 0 ? bound[0] : digits[1] ? bound[1] : UINT32_MAX;
    if (*max < *min)
        return gram_pattern_malformed(r, "a quantifier whose bounds are the wrong way round");
    gram_pattern_copy(r, n + 1);
    return true;
}

/* One quantifier, if there is one: max is 1 and *found false if there is none. */
bool gram_pattern_bounds(struct gram_pattern_reader *r, uint32_t *min, uint32_t *max, bool *found)
{
    const int c = gram_pattern_peek(r, 0);

    *min = *max = 1;
    *found = c == '*' || c == '+' || c == '?' || c == '{';
    if (!*found)
        return true;
    if (c == '{')
        return read_braces(r, min, max);
    *min = c == '+';
    *max = c == '?' ? 1 : UINT32_MAX;
    gram_pattern_copy(r, 1);
    return true;
}
