/*
 * JSON as RFC 8259 has it, by a table of texts that must be read, must be refused, or may be
 * either; both the tree (gram_json_parse) and the cursor are held to it. Then the limits, and the
 * typed getters.
 */
#include "support.h"

#include <math.h>

#include "base/json.h"
#include "base/json_cursor.h"

/* 'y' must be read and 'n' refused by both. 't': keys that only the tree compares, and refuses.
 * 'o': numbers that the tree cannot hold and refuses, and that the cursor passes over. */
struct json_case {
    char verdict;
    const char *text;
    size_t len; /* 0: strlen */
};

static const struct json_case cases[] = {
    /* values at the root */
    {'y', "null", 0},
    {'y', "true", 0},
    {'y', "false", 0},
    {'y', "0", 0},
    {'y', "\"\"", 0},
    {'y', "[]", 0},
    {'y', "{}", 0},
    {'y', " [] ", 0},
    {'y', "\t\n\r [\t1\n,\r2 ]\n", 0},
    {'n', "", 0},
    {'n', " ", 0},
    {'n', "nul", 0},
    {'n', "nulll", 0},
    {'n', "True", 0},
    {'n', "TRUE", 0},
    {'n', "undefined", 0},
    {'n', "NaN", 0},
    {'n', "[NaN]", 0},
    {'n', "[-NaN]", 0},
    {'n', "[Infinity]", 0},
    {'n', "[-Infinity]", 0},
    {'n', "[nan]", 0},
    {'n', "a", 0},
    {'n', "\0", 1},
    {'n', "[]\0", 3},
    {'n', "[1]\0[2]", 7},
    {'n', "[1\0]", 4},
    {'n', "-922\0", 5},
    {'n', "[1.5\0,2]", 8},
    {'n', "[true\0]", 7},
    {'n', "\xef\xbb\xbf[]", 0}, /* byte order mark */
    {'n', "\xff\xfe[\0]\0", 6}, /* UTF-16 */
    {'n', "\f[]", 0},
    {'n', "\v[]", 0},
    {'n', "\xc2\xa0[]", 0}, /* a no-break space is no white space */
    {'n', "\xe2\x81\xa0[]", 0},
    {'n', "[] []", 0},
    {'n', "[]]", 0},
    {'n', "{}}", 0},
    {'n', "1 2", 0},
    {'n', "[]x", 0},
    {'n', "// c\n[]", 0},
    {'n', "[/* c */]", 0},
    {'n', "[]#", 0},
    {'n', "<html>", 0},
    /* numbers */
    {'y', "[-0]", 0},
    {'y', "[0]", 0},
    {'y', "[-1]", 0},
    {'y', "[10]", 0},
    {'y', "[1.5]", 0},
    {'y', "[-0.0]", 0},
    {'y', "[1e5]", 0},
    {'y', "[1E5]", 0},
    {'y', "[1e+5]", 0},
    {'y', "[1e-5]", 0},
    {'y', "[0e1]", 0},
    {'y', "[0e+1]", 0},
    {'y', "[1.25e10]", 0},
    {'y', "[123.456e78]", 0},
    {'y', "[1e-400]", 0},
    {'y', "[9223372036854775807]", 0},
    {'y', "[-9223372036854775808]", 0},
    {'n', "[1.]", 0},
    {'n', "[.5]", 0},
    {'n', "[-]", 0},
    {'n', "[-.5]", 0},
    {'n', "[+1]", 0},
    {'n', "[01]", 0},
    {'n', "[-01]", 0},
    {'n', "[00]", 0},
    {'n', "[1e]", 0},
    {'n', "[1e+]", 0},
    {'n', "[1.e5]", 0},
    {'n', "[1.5.5]", 0},
    {'n', "[1 000]", 0},
    {'n', "[1_000]", 0},
    {'n', "[0x10]", 0},
    {'n', "[--1]", 0},
    {'n', "[1-2]", 0},
    {'n', "[1a]", 0},
    {'n', "[1e1.5]", 0},
    {'n', "[- 1]", 0},
    {'n', "[\xef\xbc\x91]", 0}, /* a full-width digit */
    {'n', "[1", 0},
    {'n', "-", 0},
    {'o', "[9223372036854775808]", 0},
    {'o', "[-9223372036854775809]", 0},
    {'o', "[18446744073709551616]", 0},
    {'o', "[100000000000000000000000000000]", 0},
    {'o', "[1e400]", 0},
    {'o', "[-1e999999999999]", 0},
    /* strings */
    {'y', "[\"a\"]", 0},
    {'y', "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", 0},
    {'y', "[\"\\u0041\\u00e9\\u20AC\"]", 0},
    {'y', "[\"\\uD834\\uDd1e\"]", 0},
    {'y', "[\"\\u0000\"]", 0},
    {'y', "[\"\\uFFFF\\uFDD0\"]", 0}, /* noncharacters are characters */
    {'y', "[\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\"]", 0},
    {'y', "[\"\x7f\"]", 0},
    {'y', "[\"\xe2\x80\xa8\"]", 0}, /* U+2028 */
    {'y', "[\"\\u0022\"]", 0},
    {'y', "[\"a/*b*/c//d\"]", 0},
    {'y', "[\"]\"]", 0},
    {'n', "[\"", 0},
    {'n', "[\"a", 0},
    {'n', "[\"a\\\"", 0},
    {'n', "[\"\\", 0},
    {'n', "['a']", 0},
    {'n', "[a]", 0},
    {'n', "[\"\n\"]", 0},
    {'n', "[\"\t\"]", 0},
    {'n', "[\"\x1f\"]", 0},
    {'n', "[\"a\0b\"]", 7},
    {'n', "[\"\\a\"]", 0},
    {'n', "[\"\\x41\"]", 0},
    {'n', "[\"\\U0041\"]", 0},
    {'n', "[\"\\u\"]", 0},
    {'n', "[\"\\u00\"]", 0},
    {'n', "[\"\\u004g\"]", 0},
    {'n', "[\"\\\0\"]", 5},
    {'n', "[\"\\'\"]", 0},
    {'n', "[\"\\uD800\"]", 0},
    {'n', "[\"\\uDC00\"]", 0},
    {'n', "[\"\\uD800\\n\"]", 0},
    {'n', "[\"\\uD800\\uD800\"]", 0},
    {'n', "[\"\\uD800\\u0041\"]", 0},
    {'n', "[\"\\uDd1e\\uD834\"]", 0},
    {'n', "[\"\\uD834\\uDd\"]", 0},
    {'n', "[\"\xff\"]", 0},
    {'n', "[\"\x80\"]", 0},
    {'n', "[\"\xc0\x80\"]", 0}, /* overlong */
    {'n', "[\"\xe0\x80\x80\"]", 0},
    {'n', "[\"\xed\xa0\x80\"]", 0},     /* a surrogate */
    {'n', "[\"\xf4\x90\x80\x80\"]", 0}, /* above U+10FFFF */
    {'n', "[\"\xe2\x82\"]", 0},         /* cut short */
    {'n', "[\"\xf0\x9d\x84", 0},
    /* lists and objects */
    {'y', "[1,2]", 0},
    {'y', "[[],[[]],{}]", 0},
    {'y', "{\"a\":1,\"b\":[{\"c\":null}]}", 0},
    {'y', "{\"\":0}", 0},
    {'y', "{ \"a\" : 1 }", 0},
    {'y', "{\"a\":{\"a\":{\"a\":1}}}", 0},
    {'n', "[", 0},
    {'n', "]", 0},
    {'n', "{", 0},
    {'n', "}", 0},
    {'n', "[1,]", 0},
    {'n', "[,1]", 0},
    {'n', "[,]", 0},
    {'n', "[1,,2]", 0},
    {'n', "[1 2]", 0},
    {'n', "[1:2]", 0},
    {'n', "[1}", 0},
    {'n', "{]", 0},
    {'n', "[[]", 0},
    {'n', "[1,", 0},
    {'n', "{\"a\"}", 0},
    {'n', "{\"a\":}", 0},
    {'n', "{\"a\":1", 0},
    {'n', "{\"a\":1,", 0},
    {'n', "{\"a\":1,}", 0},
    {'n', "{,\"a\":1}", 0},
    {'n', "{\"a\" 1}", 0},
    {'n', "{\"a\",1}", 0},
    {'n', "{\"a\"::1}", 0},
    {'n', "{\"a\":1 \"b\":2}", 0},
    {'n', "{\"a\":1;\"b\":2}", 0},
    {'n', "{a:1}", 0},
    {'n', "{'a':1}", 0},
    {'n', "{1:1}", 0},
    {'n', "{null:1}", 0},
    {'n', "{[]:1}", 0},
    {'n', "{\"a\":1 2}", 0},
    {'n', "{\"a\":1}\"b\"", 0},
    /* what RFC 8259 leaves open and gram refuses: a key that is there twice, or holds a NUL */
    {'t', "{\"a\":1,\"a\":2}", 0},
    {'t', "{\"a\":1,\"\\u0061\":1}", 0},
    {'t', "[{\"b\":{\"a\":1,\"a\":1}}]", 0},
    {'t', "{\"a\\u0000b\":1}", 0},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static size_t length(const struct json_case *c)
{
    return c->len ? c->len : strlen(c->text);
}

/* In fresh memory of exactly its size, so that a sanitizer sees a read behind it. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static void the_tree_reads_what_rfc_8259_allows_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct gram_error err = {0};
        json_t *root;
        char *text = exact_copy(cases[i].text, length(&cases[i]));
        const enum gram_status status =
            gram_json_parse(&root, text, length(&cases[i]), "file.json", &err);
        if ((status == GRAM_OK) != (cases[i].verdict == 'y'))
            fail_msg("case %zu, %s: status %d, %s", i, cases[i].text, (int)status, err.message);
        if (status != GRAM_OK) {
            assert_int_equal(status, GRAM_EFORMAT);
            assert_null(root);
            assert_ptr_equal(strstr(err.message, "file.json: "), err.message);
        }
        json_decref(root);
        free(text);
    }
}

static enum gram_status skip_all(const char *text, size_t len, struct gram_error *err)
{
    struct gram_json_cursor c;
    gram_cursor_init(&c, text, len, "file.json", err);
    const enum gram_status status = gram_cursor_skip(&c);
    return status == GRAM_OK ? gram_cursor_end(&c) : status;
}

static void the_cursor_passes_over_what_rfc_8259_allows_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct gram_error err = {0};
        char *text = exact_copy(cases[i].text, length(&cases[i]));
        const enum gram_status status = skip_all(text, length(&cases[i]), &err);
        if ((status == GRAM_OK) != (cases[i].verdict != 'n'))
            fail_msg("case %zu, %s: status %d, %s", i, cases[i].text, (int)status, err.message);
        free(text);
    }
}

static void fill_nested(char *text, int depth)
{
    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
}

static void nesting_of_128_is_read_and_of_129_refused(void **state)
{
    char text[2 * (GRAM_JSON_DEPTH + 1)];
    struct gram_error err = {0};
    json_t *root;
    (void)state;

    fill_nested(text, GRAM_JSON_DEPTH);
    MUST(gram_json_parse(&root, text, 2 * GRAM_JSON_DEPTH, "f", &err));
    json_decref(root);
    MUST(skip_all(text, 2 * GRAM_JSON_DEPTH, &err));
    fill_nested(text, GRAM_JSON_DEPTH + 1);
    MUST_FAIL(GRAM_EFORMAT, "deeper than 128",
              gram_json_parse(&root, text, sizeof text, "f", &err));
    MUST_FAIL(GRAM_EFORMAT, "byte 128", skip_all(text, sizeof text, &err));
}

static void brackets_inside_strings_do_not_nest(void **state)
{
    struct gram_error err = {0};
    char text[1000];
    json_t *root;
    (void)state;
    memset(text, '[', sizeof text);
    memcpy(text, "[\"\\\"", 4);
    memcpy(text + sizeof text - 2, "\"]", 2);
    MUST(gram_json_parse(&root, text, sizeof text, "f", &err));
    json_decref(root);
}

static void integers_keep_all_64_bits(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {" 42 ", 42},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"-9223372036854775807", -INT64_MAX},
        {"9007199254740993", 9007199254740993}, /* 2^53 + 1 */
    };
    static const char *const bad[] = {
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999",
        "1.0",
        "1e1",
        "1E1",
        "01",
        "-01",
        "-",
        "+1",
        "\"1\"",
        "true",
        "",
    };
    struct gram_json_cursor c;
    struct gram_error err = {0};
    int64_t value;
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        json_t *root;
        gram_cursor_init(&c, good[i].text, strlen(good[i].text), "f", &err);
        MUST(gram_cursor_int(&c, &value));
        assert_true(value == good[i].value);
        MUST(gram_json_parse(&root, good[i].text, strlen(good[i].text), "f", &err));
        assert_true(json_is_integer(root) && json_integer_value(root) == good[i].value);
        json_decref(root);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        gram_cursor_init(&c, bad[i], strlen(bad[i]), "f", &err);
        if (gram_cursor_int(&c, &value) != GRAM_EFORMAT)
            fail_msg("'%s' was read as %lld", bad[i], (long long)value);
    }
}

static void strings_are_decoded_the_same_by_tree_and_cursor(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct gram_error err = {0};
        struct gram_json_cursor c;
        struct gram_json_text text;
        char pool[256], *next = pool;
        bool more;
        json_t *root;
        if (cases[i].verdict != 'y' || strncmp(cases[i].text, "[\"", 2) != 0)
            continue;
        gram_cursor_init(&c, cases[i].text, length(&cases[i]), "f", &err);
        MUST(gram_cursor_enter(&c, '['));
        MUST(gram_cursor_more(&c, &more));
        MUST(gram_cursor_string(&c, &next, &text));
        MUST(gram_json_parse(&root, cases[i].text, length(&cases[i]), "f", &err));
        const json_t *value = json_array_get(root, 0);
        assert_int_equal(text.len, json_string_length(value));
        assert_memory_equal(text.at, json_string_value(value), text.len + 1);
        assert_ptr_equal(next, pool + text.len + 1);
        json_decref(root);
    }
}

static void a_cursor_walks_members_in_order(void **state)
{
    static const char source[] = "{\"a\": [1, 2], \"b\": {}, \"c\": [{\"d\": 3}], \"e\": -4}";
    static const char *const keys[] = {"a", "b", "c", "e"};
    struct gram_error err = {0};
    struct gram_json_cursor c;
    char pool[sizeof source], *next = pool;
    int n = 0;
    (void)state;

    gram_cursor_init(&c, source, strlen(source), "f", &err);
    MUST(gram_cursor_enter(&c, '{'));
    for (bool more;;) {
        struct gram_json_text key;
        MUST(gram_cursor_more(&c, &more));
        if (!more)
            break;
        MUST(gram_cursor_key(&c, &next, &key));
        assert_string_equal(key.at, keys[n++]);
        MUST(gram_cursor_skip(&c));
    }
    MUST(gram_cursor_end(&c));
    assert_int_equal(n, 4);
}

static json_t *parse(const char *text)
{
    struct gram_error err = {0};
    json_t *root;
    MUST(gram_json_parse(&root, text, strlen(text), "f", &err));
    return root;
}

static void getters_tell_key_type_and_range(void **state)
{
    json_t *o = parse("{\"i\":7,\"r\":8.0,\"s\":\"x\",\"z\":\"a\\u0000b\",\"n\":null,\"t\":true}");
    struct gram_error err = {0};
    const char *text;
    int64_t i;
    double r;
    bool b;
    (void)state;

    MUST(gram_json_int(o, "i", 0, 10, -1, &i, "f", &err));
    assert_int_equal(i, 7);
    MUST(gram_json_int(o, "n", 0, 10, -1, &i, "f", &err));
    assert_int_equal(i, -1);
    MUST(gram_json_int(o, "absent", 0, 10, -1, &i, "f", &err));
    assert_int_equal(i, -1);
    MUST_FAIL(GRAM_EFORMAT, "f: i is 7, must be from 0 to 6",
              gram_json_int(o, "i", 0, 6, -1, &i, "f", &err));
    MUST_FAIL(GRAM_EFORMAT, "r: expected an integer, found a number",
              gram_json_int(o, "r", 0, 10, -1, &i, "f", &err));
    MUST(gram_json_real(o, "i", 0, 10, -1, &r, "f", &err));
    assert_true(r == 7.0);
    MUST_FAIL(GRAM_EFORMAT, "s: expected a number, found a string",
              gram_json_real(o, "s", 0, 10, -1, &r, "f", &err));
    MUST_FAIL(GRAM_EFORMAT, "must be from 9", gram_json_real(o, "r", 9, 10, -1, &r, "f", &err));
    MUST(gram_json_bool(o, "t", false, &b, "f", &err));
    assert_true(b);
    MUST_FAIL(GRAM_EFORMAT, "true or false", gram_json_bool(o, "i", false, &b, "f", &err));
    MUST(gram_json_str(o, "s", NULL, &text, "f", &err));
    assert_string_equal(text, "x");
    MUST_FAIL(GRAM_EFORMAT, "NUL", gram_json_str(o, "z", NULL, &text, "f", &err));
    assert_true(gram_json_has(o, "i"));
    assert_false(gram_json_has(o, "n"));
    assert_false(gram_json_has(o, "absent"));
    json_decref(o);
}

static void a_file_that_is_empty_or_no_file_is_refused(void **state)
{
    struct gram_error err = {0};
    char path[256];
    json_t *root;
    (void)state;

    snprintf(path, sizeof path, "%s/a.json", fresh_folder());
    MUST_FAIL(GRAM_ENOENT, path, gram_json_load(&root, path, &err));
    write_file(path, "", 0);
    MUST_FAIL(GRAM_EFORMAT, "empty", gram_json_load(&root, path, &err));
    write_file(path, "[1]", 3);
    MUST(gram_json_load(&root, path, &err));
    assert_int_equal(json_array_size(root), 1);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_reads_what_rfc_8259_allows_and_nothing_else),
        cmocka_unit_test(the_cursor_passes_over_what_rfc_8259_allows_and_nothing_else),
        cmocka_unit_test(nesting_of_128_is_read_and_of_129_refused),
        cmocka_unit_test(brackets_inside_strings_do_not_nest),
        cmocka_unit_test(integers_keep_all_64_bits),
        cmocka_unit_test(strings_are_decoded_the_same_by_tree_and_cursor),
        cmocka_unit_test(a_cursor_walks_members_in_order),
        cmocka_unit_test(getters_tell_key_type_and_range),
        cmocka_unit_test(a_file_that_is_empty_or_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
