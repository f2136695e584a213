/*
 * Patterns come with the model, from strangers, and a backtracking matcher can be made to run for ever. So
 * a pattern is read here first, by a small grammar, and accepted when it provably matches a whole text in
 * linear time, because
 *   - what is repeated more than once has one way to match (no quantifier or alternative inside),
 *   - behind an unbounded repeat nothing can fail, so no text is consumed in vain,
 *   - the choices of bounded repeats multiply to a small number;
 * or when it is one of the published ones that break these rules and are known to be linear. Their common
 * way of splitting white space breaks the second rule harmlessly: what the first alternative consumes in
 * vain, the next one takes. So the rules are not applied to an ending listed in `space_endings`.
 *
 * The reference engine is Oniguruma. Where PCRE2 means something else by the same words the pattern is
 * rewritten: \s is White_Space, \w is Alphabetic + M + Nd + Pc, \v is U+000B, \uHHHH is a character, {1,3}+
 * repeats a repeat, a class inside a class is a union. What remains different (\h, \b, &&, x-mode) is
 * refused by name.
 */
#include "tokenizer/regex_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    MAX_PATTERN = 16384, /* bytes */
    MAX_DEPTH = 32,      /* groups */
    MAX_BOUNDED = 64,    /* a repeat above this counts as unbounded */
    MAX_WAYS = 512,      /* combinations of bounded repeats, over all branches */
};

#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define ENGLISH "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
#define SIGNS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define TIKTOKEN_SPACES "\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"

/* GPT-4o, gpt-oss, Llama 4 */
#define O200K                                                                                      \
    LEAD UPPER "*" LOWER "+" ENGLISH "|" LEAD UPPER "+" LOWER "*" ENGLISH                          \
               "|\\p{N}{1,3}|" SIGNS "|" SPACES
/* Mistral Nemo, Pixtral */
#define TEKKEN LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER "*|\\p{N}|" SIGNS "|" SPACES
/* GPT-4 as tiktoken writes it today */
#define CL100K                                                                                     \
    "'(?i:[sdmt]|ll|ve|re)|" LEAD "+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|"       \
    TIKTOKEN_SPACES

static const char *const known_patterns[] = {O200K, TEKKEN, CL100K};

static const char *const space_endings[] = {
    SPACES,
    "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    "\\s+(?!\\S)|\\s+",
    "\\s*[\\r\\n]+|\\s+(?!\\S)",
    "\\s+(?!\\S)",
    TIKTOKEN_SPACES,
};

struct reader {
    const char *pattern;
    size_t len, at;
    size_t trusted; /* the rules do not apply from this offset on */
    struct gram_buf *out;
    const char *problem; /* why it is refused, NULL if it is not */
    bool is_malformed;
};

/* What matters about a part of the pattern. */
struct shape {
    bool can_fail;  /* after everything before it matched */
    bool varies;    /* there is more than one way to match */
    bool unbounded; /* can consume any length */
    uint32_t ways;  /* of its bounded repeats */
};

static bool refuse(struct reader *r, const char *problem)
{
    if (!r->problem)
        r->problem = problem;
    return false;
}

static bool malformed(struct reader *r, const char *problem)
{
    r->is_malformed = r->is_malformed || !r->problem;
    return refuse(r, problem);
}

/* A broken rule of time, at the part that starts at `from`. */
static bool risky(struct reader *r, size_t from, const char *problem)
{
    return from >= r->trusted || refuse(r, problem);
}

static int peek(const struct reader *r, size_t ahead)
{
    return ahead < r->len - r->at ? (unsigned char)r->pattern[r->at + ahead] : -1;
}

static bool looking_at(const struct reader *r, const char *s)
{
    const size_t n = strlen(s);
    return n <= r->len - r->at && memcmp(r->pattern + r->at, s, n) == 0;
}

/* Copy the next n bytes as they are. */
static void copy(struct reader *r, size_t n)
{
    gram_buf_add(r->out, r->pattern + r->at, n);
    r->at += n;
}

static bool take(struct reader *r, const char *s, const char *instead)
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
static bool read_property(struct reader *r)
{
    size_t n = 2;

    if (peek(r, n) != '{')
        return malformed(r, "\\p without a name in braces");
    while (peek(r, n) >= 0 && peek(r, n) != '}')
        n++;
    if (peek(r, n) != '}')
        return malformed(r, "\\p without a closing brace");
    copy(r, n + 1);
    return true;
}

/* \xHH, \x{H..}, \uHHHH: a character by its number. */
static bool read_number(struct reader *r)
{
    const bool braces = peek(r, 2) == '{';
    const size_t most = braces ? 6 : peek(r, 1) == 'u' ? 4 : 2, first = braces ? 3 : 2;
    size_t n = 0;

    while (n < most && is_hex(peek(r, first + n)))
        n++;
    if (n == 0 || (peek(r, 1) == 'u' && (n != 4 || braces)) ||
        (braces && peek(r, first + n) != '}'))
        return malformed(r, "a character number that is not hexadecimal");
    gram_buf_printf(r->out, "\\x{%.*s}", (int)n, r->pattern + r->at + first);
    r->at += first + n + braces;
    return true;
}

static bool read_escape(struct reader *r, bool in_class)
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
    const int c = peek(r, 1);

    if (c < 0)
        return malformed(r, "it ends in a backslash");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *to = in_class ? words[i].to_in_class : words[i].to;
        if (to && take(r, words[i].from, to))
            return true;
    }
    if (c == 'p' || c == 'P')
        return read_property(r);
    if (c == 'x' || c == 'u')
        return read_number(r);
    if (c >= '1' && c <= '9')
        return refuse(r, "back-references are not supported");
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return refuse(r, "an escape that is not supported");
    copy(r, 2); /* an escaped punctuation mark, or the first byte of a longer character */
    return true;
}

/* [...]: nested classes are unions and are written out flat. */
static bool read_class(struct reader *r)
{
    int open = 0;
    bool first = true;

    do {
        const int c = peek(r, 0);
        if (c < 0)
            return malformed(r, "a class without its ]");
        if (looking_at(r, "&&"))
            return refuse(r, "intersections of classes are not supported");
        if (looking_at(r, "[:"))
            return refuse(r, "POSIX classes are not supported");
        if (c == '[') {
            if (open > 0 && peek(r, 1) == '^')
                return refuse(r, "a negated class inside a class is not supported");
            if (open++ == 0)
                copy(r, 1);
            else
                r->at++;
            if (peek(r, 0) == '^')
                copy(r, 1);
            first = true;
            continue;
        }
        if (c == ']' && !first) {
            if (--open == 0)
                copy(r, 1);
            else
                r->at++;
        } else if (c == '\\') {
            if (!read_escape(r, true))
                return false;
        } else {
            copy(r, 1);
        }
        first = false;
    } while (open > 0);
    return true;
}

static bool read_choice(struct reader *r, int depth, struct shape *shape);

/* (...), (?:...), (?i:...), (?<name>...), look-around. */
static bool read_group(struct reader *r, int depth, struct shape *shape)
{
    static const char *const openings[] = {"(?:", "(?i:", "(?-i:", "(?i-:", "(?>"};
    static const char *const looks[] = {"(?=", "(?!", "(?<=", "(?<!"};
    const size_t from = r->at;
    bool looks_around = false;

    if (depth >= MAX_DEPTH)
        return refuse(r, "groups nested too deep");
    if (peek(r, 1) != '?') {
        if (peek(r, 1) == '*')
            return refuse(r, "verbs are not supported");
        r->at++;
        gram_buf_str(r->out, "(?:"); /* nobody asks for the captures */
    } else {
        bool taken = false;
        for (size_t i = 0; i < sizeof looks / sizeof *looks && !taken; i++)
            taken = looks_around = take(r, looks[i], looks[i]);
        for (size_t i = 0; i < sizeof openings / sizeof *openings && !taken; i++)
            taken = take(r, openings[i], openings[i]);
        if (!taken)
            return refuse(r, "a kind of group that is not supported");
    }
    if (!read_choice(r, depth + 1, shape))
        return false;
    if (peek(r, 0) != ')')
        return malformed(r, "a group without its )");
    copy(r, 1);
    if (looks_around) {
        if (shape->unbounded && !risky(r, from, "look-around of unbounded length"))
            return false;
        *shape = (struct shape){.can_fail = true, .varies = true, .ways = shape->ways};
    }
    return true;
}

static bool read_atom(struct reader *r, int depth, struct shape *shape)
{
    const int c = peek(r, 0);

    *shape = (struct shape){.can_fail = true, .ways = 1};
    if (c == '(')
        return read_group(r, depth, shape);
    if (c == '[')
        return read_class(r);
    if (c == '\\')
        return read_escape(r, false);
    if (c == '*' || c == '+' || c == '?' || c == '{')
        return malformed(r, "a quantifier with nothing before it");
    copy(r, 1);
    while ((peek(r, 0) & 0xc0) == 0x80 && peek(r, 0) >= 0) /* the rest of a character */
        copy(r, 1);
    return true;
}

/* {n}, {n,}, {n,m}, {,m}; false if the brace is not one of these. */
static bool read_braces(struct reader *r, uint32_t *min, uint32_t *max)
{
    uint32_t bound[2] = {0, 0};
    size_t n = 1, digits[2] = {0, 0};
    int which = 0;

    for (; peek(r, n) != '}'; n++) {
        const int c = peek(r, n);
        if (c == ',' && which == 0) {
            which = 1;
        } else if (c >= '0' && c <= '9' && digits[which] < 4) {
            bound[which] = bound[which] * 10 + (uint32_t)(c - '0');
            digits[which]++;
        } else {
            return malformed(r, "a brace that is no quantifier");
        }
    }
    if (digits[0] == 0)
        return refuse(r, "a quantifier without a lower bound is not supported");
    *min = bound[0];
    *max = which == 0 ? bound[0] : digits[1] ? bound[1] : UINT32_MAX;
    if (*max < *min)
        return malformed(r, "a quantifier whose bounds are the wrong way round");
    copy(r, n + 1);
    return true;
}

/* One quantifier, if there is one: max is 1 and *found false if there is none. */
static bool read_bounds(struct reader *r, uint32_t *min, uint32_t *max, bool *found)
{
    const int c = peek(r, 0);

    *min = *max = 1;
    *found = c == '*' || c == '+' || c == '?' || c == '{';
    if (!*found)
        return true;
    if (c == '{')
        return read_braces(r, min, max);
    *min = c == '+';
    *max = c == '?' ? 1 : UINT32_MAX;
    copy(r, 1);
    return true;
}

/* The shape of an item repeated min to max times. */
static bool repeat(struct reader *r, size_t from, struct shape *item, uint32_t min, uint32_t max)
{
    if (max > 1 && item->varies &&
        !risky(r, from, "repeats inside a repeat can take exponential time"))
        return false;
    item->can_fail = item->can_fail && min > 0;
    item->unbounded = item->unbounded || max > MAX_BOUNDED;
    item->varies = item->varies || min != max;
    if (max <= MAX_BOUNDED)
        item->ways = item->ways > MAX_WAYS ? item->ways : item->ways * (max - min + 1);
    return true;
}

/*
 * An atom with its quantifiers; "+" behind braces repeats once more, elsewhere it is possessive. A group
 * repeated without bound is made possessive: as nothing behind it can fail that changes no match, and a
 * matcher that can not go back need not remember a million ways back.
 */
static bool read_item(struct reader *r, int depth, struct shape *item)
{
    const size_t from = r->at, start = r->out->len;
    const bool is_group = peek(r, 0) == '(';
    uint32_t min, max;
    bool found;

    if (!read_atom(r, depth, item))
        return false;
    const bool braces = peek(r, 0) == '{';
    if (!read_bounds(r, &min, &max, &found) || !repeat(r, from, item, min, max))
        return false;
    if (!found || (peek(r, 0) != '+' && peek(r, 0) != '?')) {
        if (is_group && max > MAX_BOUNDED)
            gram_buf_str(r->out, "+");
        return true;
    }
    if (!braces) { /* possessive or lazy */
        copy(r, 1);
        return true;
    }
    if (peek(r, 0) == '?')
        return refuse(r, "a lazy quantifier in braces is not supported");
    if (r->out->failed || !gram_buf_room(r->out, 3))
        return refuse(r, "memory ran out");
    memmove(r->out->at + start + 3, r->out->at + start, r->out->len - start);
    memcpy(r->out->at + start, "(?:", 3);
    r->out->len += 3;
    gram_buf_str(r->out, ")++");
    r->at++;
    return repeat(r, from, item, 1, UINT32_MAX);
}

static bool read_branch(struct reader *r, int depth, struct shape *branch)
{
    *branch = (struct shape){.ways = 1};
    while (peek(r, 0) >= 0 && peek(r, 0) != '|' && peek(r, 0) != ')') {
        const size_t from = r->at;
        struct shape item;

        if (!read_item(r, depth, &item))
            return false;
        if (branch->unbounded && item.can_fail &&
            !risky(r, from, "what stands behind an unbounded repeat can fail, which can take "
                            "quadratic time"))
            return false;
        branch->can_fail = branch->can_fail || item.can_fail;
        branch->varies = branch->varies || item.varies;
        branch->unbounded = branch->unbounded || item.unbounded;
        branch->ways *= item.ways;
        if (branch->ways > MAX_WAYS) {
            branch->ways = MAX_WAYS + 1;
            if (!risky(r, from, "too many combinations of optional parts"))
                return false;
        }
    }
    return true;
}

static bool read_choice(struct reader *r, int depth, struct shape *shape)
{
    *shape = (struct shape){.can_fail = true, .ways = 0};
    for (bool first = true;; first = false) {
        struct shape branch;

        if (!read_branch(r, depth, &branch))
            return false;
        shape->can_fail = shape->can_fail && branch.can_fail;
        shape->varies = shape->varies || branch.varies || !first;
        shape->unbounded = shape->unbounded || branch.unbounded;
        shape->ways += branch.ways;
        if (peek(r, 0) != '|')
            return true;
        copy(r, 1);
    }
}

/* Where the part begins that is known to be harmless. */
static size_t trusted_from(const char *pattern, size_t len)
{
    for (size_t i = 0; i < sizeof known_patterns / sizeof *known_patterns; i++)
        if (strlen(known_patterns[i]) == len && memcmp(known_patterns[i], pattern, len) == 0)
            return 0;
    for (size_t i = 0; i < sizeof space_endings / sizeof *space_endings; i++) {
        const size_t n = strlen(space_endings[i]);
        if (n <= len && memcmp(pattern + len - n, space_endings[i], n) == 0 &&
            (n == len || pattern[len - n - 1] == '|'))
            return len - n;
    }
    return len;
}

enum gram_status gram_regex_translate(struct gram_buf *out, const char *pattern, size_t len,
                                      const char *where, struct gram_error *err)
{
    struct reader r = {.pattern = pattern, .len = len, .out = out};
    struct shape shape;

    if (len == 0 || len > MAX_PATTERN)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: a pattern of %zu bytes, must have from 1 to %d", where, len,
                         MAX_PATTERN);
    r.trusted = trusted_from(pattern, len);
    if (read_choice(&r, 0, &shape) && r.at < len)
        malformed(&r, "a ) without its group");
    else if (!r.problem && shape.ways > MAX_WAYS)
        risky(&r, 0, "too many alternatives");
    if (out->failed)
        return gram_fail_memory(err, where);
    if (!r.problem)
        return GRAM_OK;
    return gram_fail(err, r.is_malformed ? GRAM_EFORMAT : GRAM_EUNSUPPORTED,
                     "%s: pattern '%.*s' is refused at byte %zu: %s", where,
                     len > 120 ? 120 : (int)len, pattern, r.at, r.problem);
}
