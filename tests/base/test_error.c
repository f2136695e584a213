/* Sentences for the user: whole, short enough, and safe to print. */
#include "support.h"

#include <errno.h>

#include "base/error.h"

static void a_sentence_carries_its_status(void **state)
{
    struct gram_error err = {0};
    (void)state;
    assert_int_equal(gram_fail(&err, GRAM_EFORMAT, "%s: row %d", "a.bin", 7), GRAM_EFORMAT);
    assert_int_equal(err.status, GRAM_EFORMAT);
    assert_string_equal(err.message, "a.bin: row 7");
}

static void no_error_struct_is_fine(void **state)
{
    (void)state;
    assert_int_equal(gram_fail(NULL, GRAM_EIO, "%s", "x"), GRAM_EIO);
}

static void control_bytes_and_broken_utf8_are_escaped(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"a\nb", "a\\x0ab"},
        {"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"},
        {"tab\there\x7f", "tab\\x09here\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, /* the one-character CSI of U+009B */
        {"\xff\xc3", "\\xff\\xc3"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
    };
    struct gram_error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gram_fail(&err, GRAM_EFORMAT, "%s", cases[i].from);
        assert_string_equal(err.message, cases[i].to);
    }
}

static void long_sentences_are_cut_between_characters(void **state)
{
    static const char *const units[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                        "\x01"};
    (void)state;
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        for (int before = 0; before < 5; before++) {
            struct gram_error err;
            char text[4096] = "";
            memset(text, 'a', (size_t)before);
            while (strlen(text) < 3000)
                strncat(text, units[u], sizeof text - strlen(text) - 1);
            gram_fail(&err, GRAM_EFORMAT, "%s", text);
            const size_t n = strlen(err.message), unit = units[u][0] == 1 ? 4 : strlen(units[u]);
            assert_true(n < sizeof err.message && n + 4 >= sizeof err.message - 1);
            assert_int_equal((n - (size_t)before) % unit, 0);
        }
    }
}

static void every_status_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < GRAM_N_STATUS; i++) {
        const char *name = gram_status_name((enum gram_status)i);
        assert_non_null(name);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, gram_status_name((enum gram_status)j));
    }
    assert_non_null(gram_status_name(GRAM_N_STATUS));
    assert_non_null(gram_status_name((enum gram_status) - 1));
}

static void errno_values_map_to_what_a_user_can_act_on(void **state)
{
    (void)state;
    assert_int_equal(gram_status_of_errno(ENOENT), GRAM_ENOENT);
    assert_int_equal(gram_status_of_errno(ENOSPC), GRAM_ENOSPC);
    assert_int_equal(gram_status_of_errno(EDQUOT), GRAM_ENOSPC);
    assert_int_equal(gram_status_of_errno(ENOMEM), GRAM_ENOMEM);
    assert_int_equal(gram_status_of_errno(EACCES), GRAM_EIO);
}

static enum gram_status second_fails(int *calls)
{
    GRAM_TRY((++*calls, GRAM_OK));
    GRAM_TRY((++*calls, GRAM_ENOMEM));
    GRAM_TRY((++*calls, GRAM_OK));
    return GRAM_OK;
}

static void try_returns_at_the_first_failure(void **state)
{
    int calls = 0;
    (void)state;
    assert_int_equal(second_fails(&calls), GRAM_ENOMEM);
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentence_carries_its_status),
        cmocka_unit_test(no_error_struct_is_fine),
        cmocka_unit_test(control_bytes_and_broken_utf8_are_escaped),
        cmocka_unit_test(long_sentences_are_cut_between_characters),
        cmocka_unit_test(every_status_has_a_name),
        cmocka_unit_test(errno_values_map_to_what_a_user_can_act_on),
        cmocka_unit_test(try_returns_at_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
