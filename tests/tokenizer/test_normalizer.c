/* Normalizers: each kind on a text, and the normal forms on their hard cases. */
#include "stages.h"

#include "tokenizer/normalizer.h"
#include "tokenizer/unicode.h"

static void expect(const char *json, const char *text, const char *expected)
{
    struct gram_normalizers list = {0};
    struct gram_buf work[2] = {0};
    struct bench b;
    const char *out;
    size_t len;

    bench_start(&b, json);
    struct gram_matcher matcher = {.err = &b.err};
    assert_int_equal(gram_normalizers_load(&list, &b.source, b.json), GRAM_OK);
    assert_int_equal(
        gram_normalizers_apply(&list, &matcher, text, strlen(text), true, work, &out, &len),
        GRAM_OK);
    if (len != strlen(expected) || memcmp(out, expected, len) != 0)
        fail_msg("%s on '%s': '%.*s', expected '%s'", json, text, (int)len, out, expected);
    gram_matcher_reset(&matcher);
    gram_buf_reset(&work[0]);
    gram_buf_reset(&work[1]);
    bench_end(&b);
}

static void expect_refused(const char *json, enum gram_status status, const char *part)
{
    struct gram_normalizers list = {0};
    struct bench b;

    bench_start(&b, json);
    if (gram_normalizers_load(&list, &b.source, b.json) != status || !strstr(b.err.message, part))
        fail_msg("%s: '%s'", json, b.err.message);
    bench_end(&b);
}

static void each_kind_does_its_part(void **state)
{
    (void)state;
    expect("null", "A b", "A b");
    expect("{'type':'NFC'}", "e\u0301", "\u00e9");
    expect("{'type':'NFD'}", "\u00e9", "e\u0301");
    expect("{'type':'NFKC'}", "\ufb01\u00bd", "fi1\u20442");
    expect("{'type':'NFKD'}", "\u1e9b\u0323", "s\u0323\u0307");
    expect("{'type':'Lowercase'}", "\u00c4\u0130\u03a3A", "\u00e4i\u0307\u03c3a");
    expect("{'type':'StripAccents'}", "e\u0301\u20dd\u0903x", "ex");
    expect("{'type':'Strip'}", " \u3000a b\n", "a b");
    expect("{'type':'Strip','strip_left':false}", " a ", " a");
    expect("{'type':'Strip','strip_right':false}", " a ", "a ");
    expect("{'type':'Strip'}", "  ", "");
    expect("{'type':'Prepend','prepend':'_'}", "a", "_a");
    expect("{'type':'Prepend','prepend':'_'}", "", "");
    expect("{'type':'Replace','pattern':{'String':'ab'},'content':'x'}", "ababa", "xxa");
    expect("{'type':'Replace','pattern':{'Regex':' {2,}'},'content':' '}", "a   b c", "a b c");
    expect("{'type':'Sequence','normalizers':[{'type':'Prepend','prepend':'\u2581'},"
           "{'type':'Replace','pattern':{'String':' '},'content':'\u2581'}]}",
           "a b", "\u2581a\u2581b");
}

static void unknown_kinds_are_refused_by_name(void **state)
{
    (void)state;
    expect_refused("{'type':'Precompiled','precompiled_charsmap':'@@'}", GRAM_EUNSUPPORTED,
                   "'Precompiled'");
    expect_refused("{'type':'Replace','pattern':{'Regex':'(a+)+b'},'content':''}",
                   GRAM_EUNSUPPORTED, "(a+)+b");
    expect_refused("{'type':'Prepend','prepend':5}", GRAM_EFORMAT, "prepend");
}

static void expect_form(enum gram_normal_form form, const char *text, const char *expected)
{
    struct gram_buf out = {0};

    assert_true(gram_normal_form(&out, text, strlen(text), form));
    assert_string_equal(out.at, expected);
    gram_buf_reset(&out);
}

/* From Unicode's NormalizationTest.txt: Hangul, reordering of marks, composition exclusions. */
static void hard_cases_of_the_normal_forms(void **state)
{
    (void)state;
    expect_form(GRAM_NFD, "\uac01", "\u1100\u1161\u11a8");
    expect_form(GRAM_NFC, "\u1100\u1161\u11a8", "\uac01");
    expect_form(GRAM_NFC, "D\u0307\u0323", "\u1e0c\u0307");
    expect_form(GRAM_NFD, "\u1e0a\u0323", "D\u0323\u0307");
    expect_form(GRAM_NFC, "\u0958", "\u0915\u093c");
    expect_form(GRAM_NFC, "\u212b", "\u00c5");
    expect_form(GRAM_NFC, "a\u0315\u0300\u05ae\u0300b", "\u00e0\u05ae\u0300\u0315b");
    expect_form(GRAM_NFKC, "\ufdfa",
                "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064a\u0647 "
                "\u0648\u0633\u0644\u0645");
}

/* Alternating classes are the worst case for the sorting of marks; a quadratic one would not
 * return. */
static void half_a_million_marks_are_sorted_at_once(void **state)
{
    enum { PAIRS = 250000 };
    struct gram_buf text = {0}, out = {0};
    (void)state;
    gram_buf_str(&text, "b");
    for (int i = 0; i < PAIRS; i++)
        gram_buf_str(&text, "\u0301\u0323"); /* classes 230, 220 */
    assert_true(gram_normal_form(&out, text.at, text.len, GRAM_NFD));
    assert_int_equal(out.len, text.len);
    assert_memory_equal(out.at, "b\u0323\u0323", 5);
    assert_memory_equal(out.at + out.len - 4, "\u0301\u0301", 4);
    gram_buf_reset(&text);
    gram_buf_reset(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_does_its_part),
        cmocka_unit_test(unknown_kinds_are_refused_by_name),
        cmocka_unit_test(hard_cases_of_the_normal_forms),
        cmocka_unit_test(half_a_million_marks_are_sorted_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
