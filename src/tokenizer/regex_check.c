/*
 * Patterns come with the model, from strangers, and a backtracking matcher can be made to run for
 * ever. So a pattern is read here first, by a small grammar, and accepted when it provably matches
 * a whole text in linear time, because
 *   - what is repeated more than once has one way to match (no quantifier or alternative inside),
 *   - behind an unbounded repeat nothing can fail, so no text is consumed in vain,
 *   - the choices of bounded repeats multiply to a small number;
 * or when it is one of the published ones that break these rules and are known to be linear. Their
 * common way of splitting white space breaks the second rule harmlessly: what the first alternative
 * consumes in vain, the next one takes. So the rules are not applied to an ending listed in
 * `space_endings`.
 *
 * The reference engine is Oniguruma. Where PCRE2 means something else by the same words the pattern
 * is rewritten: \s is White_Space, \w is Alphabetic + M + Nd + Pc, \v is U+000B, \uHHHH is a
 * character, {1,3}+ repeats a repeat, a class inside a class is a union. What remains different
 * (\h, \b, &&, x-mode) is refused by name.
 */
#include "tokenizer/regex_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tokenizer/regex_read.h"

enum {
    MAX_PATTERN = 16384, /* bytes */
    MAX_DEPTH = 32,      /* groups */
    MAX_BOUNDED = 64,    /* a repeat above this counts as unbounded */
    MAX_WAYS = 512,      /* combinations of bounded repeats, over all branches */
};

#define UPPER           "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER           "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD            "[^\\r\\n\\p{L}\\p{N}]?"
#define ENGLISH         "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
#define SIGNS           " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
#define SPACES          "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define TIKTOKEN_SPACES "\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"

/* GPT-4o, gpt-oss, Llama 4 */
#define O200K                                                                                      \
    LEAD UPPER "*" LOWER "+" ENGLISH "|" LEAD UPPER "+" LOWER "*" ENGLISH "|\\p{N}{1,3}|" SIGNS    \
               "|" SPACES
/* Mistral Nemo, Pixtral */
#define TEKKEN LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER "*|\\p{N}|" SIGNS "|" SPACES
/* GPT-4 as tiktoken writes it today */
#define CL100K                                                                                     \
    "'(?i:[sdmt]|ll|ve|re)|" LEAD                                                                  \
    "+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|" TIKTOKEN_SPACES

static const char *const known_patterns[] = {O200K, TEKKEN, CL100K};

static const char *const space_endings[] = {
    SPACES,
    "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    "\\s+(?!\\S)|\\s+",
    "\\s*[\\r\\n]+|\\s+(?!\\S)",
    "\\s+(?!\\S)",
    TIKTOKEN_SPACES,
};

/* DeepSeek cuts white space at the end of a line. If that fails somewhere in a run of spaces it
 * fails in all the rest of it, which is skipped here. */
static const char line_end[] = "\\s+$";
static const char line_end_skipping[] = "\\p{White_Space}+$|\\p{White_Space}++(*SKIP)(*FAIL)";

/* What matters about a part of the pattern. */
struct shape {
    bool can_fail;  /* after everything before it matched */
    bool varies;    /* there is more than one way to match */
    bool unbounded; /* can consume any length */
    uint32_t ways;  /* of its bounded repeats */
};

/* A broken rule of time, at the part that starts at `from`. */
static bool risky(struct gram_pattern_reader *r, size_t from, const char *problem)
{
    return from >= r->trusted || gram_pattern_refuse(r, problem);
}

static bool read_choice(struct gram_pattern_reader *r, int depth, struct shape *shape);

/* (...), (?:...), (?i:...), (?<name>...), look-around. */
static bool read_group(struct gram_pattern_reader *r, int depth, struct shape *shape)
{
    static const char *const openings[] = {"(?:", "(?i:", "(?-i:", "(?i-:", "(?>"};
    static const char *const looks[] = {"(?=", "(?!", "(?<=", "(?<!"};
    const size_t from = r->at;
    bool looks_around = false;

    if (depth >= MAX_DEPTH)
        return gram_pattern_refuse(r, "groups nested too deep");
    if (gram_pattern_peek(r, 1) != '?') {
        if (gram_pattern_peek(r, 1) == '*')
            return gram_pattern_refuse(r, "verbs are not supported");
        r->at++;
        gram_buf_str(r->out, "(?:"); /* nobody asks for the captures */
    } else {
        bool taken = false;
        for (size_t i = 0; i < sizeof looks / sizeof *looks && !taken; i++)
            taken = looks_around = gram_pattern_take(r, looks[i], looks[i]);
        for (size_t i = 0; i < sizeof openings / sizeof *openings && !taken; i++)
            taken = gram_pattern_take(r, openings[i], openings[i]);
        if (!taken)
            return gram_pattern_refuse(r, "a kind of group that is not supported");
    }
    if (!read_choice(r, depth + 1, shape))
        return false;
    if (gram_pattern_peek(r, 0) != ')')
        return gram_pattern_malformed(r, "a group without its )");
    gram_pattern_copy(r, 1);
    if (looks_around) {
        if (shape->unbounded && !risky(r, from, "look-around of unbounded length"))
            return false;
        *shape = (struct shape){.can_fail = true, .varies = true, .ways = shape->ways};
    }
    return true;
}

static bool read_atom(struct gram_pattern_reader *r, int depth, struct shape *shape)
{
    const int c = gram_pattern_peek(r, 0);

    *shape = (struct shape){.can_fail = true, .ways = 1};
    if (c == '(')
        return read_group(r, depth, shape);
    if (c == '[')
        return gram_pattern_class(r);
    if (c == '\\')
        return gram_pattern_escape(r, false);
    if (c == '*' || c == '+' || c == '?' || c == '{')
        return gram_pattern_malformed(r, "a quantifier with nothing before it");
    gram_pattern_copy(r, 1);
    while ((gram_pattern_peek(r, 0) & 0xc0) == 0x80 &&
           gram_pattern_peek(r, 0) >= 0) /* the rest of a character */
        gram_pattern_copy(r, 1);
    return true;
}

/* The shape of an item repeated min to max times. */
static bool repeat(struct gram_pattern_reader *r, size_t from, struct shape *item, uint32_t min,
                   uint32_t max)
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
 * An atom with its quantifiers; "+" behind braces repeats once more, elsewhere it is possessive. A
 * group repeated without bound is made possessive: as nothing behind it can fail that changes no
 * match, and a matcher that can not go back need not remember a million ways back.
 */
static bool read_item(struct gram_pattern_reader *r, int depth, struct shape *item)
{
    const size_t from = r->at, start = r->out->len;
    const bool is_group = gram_pattern_peek(r, 0) == '(';
    uint32_t min, max;
    bool found;

    if (!read_atom(r, depth, item))
        return false;
    const bool braces = gram_pattern_peek(r, 0) == '{';
    if (!gram_pattern_bounds(r, &min, &max, &found) || !repeat(r, from, item, min, max))
        return false;
    if (!found || (gram_pattern_peek(r, 0) != '+' && gram_pattern_peek(r, 0) != '?')) {
        if (is_group && max > MAX_BOUNDED)
            gram_buf_str(r->out, "+");
        return true;
    }
    if (!braces) { /* possessive or lazy */
        gram_pattern_copy(r, 1);
        return true;
    }
    if (gram_pattern_peek(r, 0) == '?')
        return gram_pattern_refuse(r, "a lazy quantifier in braces is not supported");
    if (r->out->failed || !gram_buf_room(r->out, 3))
        return gram_pattern_refuse(r, "memory ran out");
    memmove(r->out->at + start + 3, r->out->at + start, r->out->len - start);
    memcpy(r->out->at + start, "(?:", 3);
    r->out->len += 3;
    gram_buf_str(r->out, ")++");
    r->at++;
    return repeat(r, from, item, 1, UINT32_MAX);
}

static bool read_branch(struct gram_pattern_reader *r, int depth, struct shape *branch)
{
    *branch = (struct shape){.ways = 1};
    while (gram_pattern_peek(r, 0) >= 0 && gram_pattern_peek(r, 0) != '|' &&
           gram_pattern_peek(r, 0) != ')') {
        const size_t from = r->at;
        struct shape item;

        if (!read_item(r, depth, &item))
            return false;
        if (branch->unbounded && item.can_fail &&
            !risky(r, from,
                   "what stands behind an unbounded repeat can fail, which can take "
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

static bool read_choice(struct gram_pattern_reader *r, int depth, struct shape *shape)
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
        if (gram_pattern_peek(r, 0) != '|')
            return true;
        gram_pattern_copy(r, 1);
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
    struct gram_pattern_reader r = {.pattern = pattern, .len = len, .out = out};
    struct shape shape;

    if (len == 0 || len > MAX_PATTERN)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: a pattern of %zu bytes, must have from 1 to %d", where, len,
                         MAX_PATTERN);
    if (len == sizeof line_end - 1 && memcmp(pattern, line_end, len) == 0) {
        gram_buf_str(out, line_end_skipping);
        return out->failed ? gram_fail_memory(err, where) : GRAM_OK;
    }
    r.trusted = trusted_from(pattern, len);
    if (read_choice(&r, 0, &shape) && r.at < len)
        gram_pattern_malformed(&r, "a ) without its group");
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
