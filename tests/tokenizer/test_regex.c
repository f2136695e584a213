/* Which patterns may run, and that those that may are linear. */
#include "stages.h"

#include "tokenizer/pretokenizer.h"
#include "tokenizer/regex_check.h"

static const char llama3[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
#define CASED   "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SMALL   "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define ENGLISH "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
#define LEAD    "[^\\r\\n\\p{L}\\p{N}]?"
static const char o200k[] =
    LEAD CASED "*" SMALL "+" ENGLISH "|" LEAD CASED "+" SMALL "*" ENGLISH
               "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char tiktoken[] = "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+|"
                               " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+"
                               "|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s";

/* Published patterns, and simple ones. */
static const char *const accepted[] = {
    llama3,
    o200k,
    tiktoken,
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+", /* BLOOM: a class in a class */
    "[0-9][0-9][0-9]",
    "\\s?[A-Za-z\u00b5\u00c0-\u00d6]+",
    "[!\"#$%&'()*+,\\-./"
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", /* DeepSeek V3 */
    "\\s+",
    "\\s+$", /* DeepSeek: the end of a line */
    "(?:ab)+",
    "a|b|cd?",
    "\\x{4e00}|\\u00e9|\\x41",
    "[\\w.]+|\\W",
    "x{2,5}",
};

/* What could run away, and what the engines do not share. */
static const struct {
    const char *pattern, *part;
} refused[] = {
    {"(x+x+)+y", "quadratic"},
    {"(a+)+", "exponential"},
    {"(a|a)+b", "exponential"},
    {"(a?){30}", "exponential"},
    {"(?:a*)*", "exponential"},
    {"(x{1,3}){1,64}y", "exponential"},
    {"\\s+x", "quadratic"},
    {"[a-z]+\\d|.", "quadratic"},
    {".*?x", "quadratic"},
    {"(?:a+)?b", "quadratic"},
    {"\\s*\\s*\\s*x", "quadratic"},
    {"(?=a*)b", "look-around"},
    {"a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaa", "combinations"},
    {"(a*)*\\1b", "exponential"},
    {"(a)\\1", "back-reference"},
    {"[a&&b]", "intersection"},
    {"[[:alpha:]]", "POSIX"},
    {"\\h", "escape"},
    {"\\bword\\b", "escape"},
    {"(?<name>a)", "group"},
    {"(?#x)", "group"},
    {"(?R)", "group"},
    {"(*SKIP)a", "verb"},
    {"a{,3}", "lower bound"},
};

static const char *const broken[] = {"(a",     "a)", "[a",    "*a",   "a{2",
                                     "a{3,1}", "\\", "\\p{L", "\\pL", "\\x{zz}"};

static enum gram_status translate(const char *pattern, struct gram_error *err)
{
    struct gram_buf out = {0};
    const enum gram_status status =
        gram_regex_translate(&out, pattern, strlen(pattern), "test", err);
    gram_buf_reset(&out);
    return status;
}

static void published_and_simple_patterns_compile(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        const struct gram_regex *regex;
        struct bench b;
        bench_start(&b, "null");
        if (gram_regex_open(&regex, &b.source, accepted[i], strlen(accepted[i])) != GRAM_OK)
            fail_msg("%s", b.err.message);
        bench_end(&b);
    }
}

static void dangerous_patterns_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct gram_error err = {0};
        if (translate(refused[i].pattern, &err) != GRAM_EUNSUPPORTED ||
            !strstr(err.message, refused[i].part))
            fail_msg("%s: '%s', expected '%s'", refused[i].pattern, err.message, refused[i].part);
    }
}

static void malformed_patterns_are_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct gram_error err = {0};
        if (translate(broken[i], &err) != GRAM_EFORMAT)
            fail_msg("%s: '%s'", broken[i], err.message);
    }
}

static void deep_and_long_patterns_are_refused(void **state)
{
    struct gram_buf deep = {0}, wide = {0};
    struct gram_error err;
    (void)state;
    for (int i = 0; i < 100; i++)
        gram_buf_str(&deep, "(");
    for (int i = 0; i < 6000; i++)
        gram_buf_str(&wide, "a|");
    assert_int_equal(translate(deep.at, &err), GRAM_EUNSUPPORTED);
    assert_int_equal(translate(wide.at, &err), GRAM_EUNSUPPORTED);
    for (int i = 0; i < 6000; i++)
        gram_buf_str(&wide, "ab");
    assert_int_equal(translate(wide.at, &err), GRAM_EUNSUPPORTED);
    assert_int_equal(translate("", &err), GRAM_EUNSUPPORTED);
    gram_buf_reset(&deep);
    gram_buf_reset(&wide);
}

/* A megabyte of one unit through a pattern; the pieces must be the text again. */
static void split_attack(const struct gram_pattern *pattern, const char *unit)
{
    const size_t step = strlen(unit), n = ((size_t)1 << 20) / step;
    struct gram_pieces from = {0}, to = {0};
    struct gram_error err = {0};
    struct gram_matcher matcher = {.err = &err};
    struct gram_buf text = {0};

    for (size_t i = 0; i < n; i++)
        gram_buf_add(&text, unit, step);
    gram_buf_str(&text, "!");
    assert_true(gram_pieces_start(&from, text.at, text.len, true));
    if (gram_split_piece(&to, &from, from.at[0], pattern, GRAM_SPLIT_ISOLATED, false, &matcher) !=
        GRAM_OK)
        fail_msg("'%s': %s", unit, err.message);
    size_t done = 0;
    for (size_t i = 0; i < to.n; i++) {
        assert_int_equal(to.at[i].begin, done);
        done = to.at[i].end;
    }
    assert_int_equal(done, text.len);
    gram_matcher_reset(&matcher);
    gram_pieces_reset(&from);
    gram_pieces_reset(&to);
    gram_buf_reset(&text);
}

/* Quadratic matching would take minutes here. */
static void accepted_patterns_are_linear_on_attack_texts(void **state)
{
    static const char *const units[] = {" ",   "a", "A",      "Aa", "1",   "\n",
                                        " \n", ".", "\u00e9", "'",  "ab ", "\t"};
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        struct gram_pattern pattern = {0};
        struct bench b;
        bench_start(&b, "null");
        assert_int_equal(
            gram_regex_open(&pattern.regex, &b.source, accepted[i], strlen(accepted[i])), GRAM_OK);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++)
            split_attack(&pattern, units[u]);
        bench_end(&b);
    }
}

static void digits_in_braces_with_a_plus_repeat_as_in_oniguruma(void **state)
{
    struct gram_pattern pattern = {0};
    struct gram_matcher matcher = {0};
    struct gram_search search;
    struct bench b;
    (void)state;
    bench_start(&b, "null");
    assert_int_equal(gram_regex_open(&pattern.regex, &b.source, tiktoken, strlen(tiktoken)),
                     GRAM_OK);
    gram_search_start(&search, &pattern, &matcher, "12345", 5);
    assert_true(gram_search_next(&search));
    assert_int_equal(search.end, 5);
    gram_matcher_reset(&matcher);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_and_simple_patterns_compile),
        cmocka_unit_test(dangerous_patterns_are_refused_by_name),
        cmocka_unit_test(malformed_patterns_are_malformed),
        cmocka_unit_test(deep_and_long_patterns_are_refused),
        cmocka_unit_test(accepted_patterns_are_linear_on_attack_texts),
        cmocka_unit_test(digits_in_braces_with_a_plus_repeat_as_in_oniguruma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
