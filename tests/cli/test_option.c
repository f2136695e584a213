/* Rows, values, suggestions and sizes. */
#include "support.h"

#include "command.h"
#include "output.h"
#include "suggest.h"

struct sample {
    struct common_options common;
    int64_t count;
    double share;
    uint64_t bytes;
    const char *text;
    struct text_list names;
};

#define AT(field) offsetof(struct sample, field)
static const struct option_row rows[] = {
    {.name = "count", .letter = 'n', .type = OPTION_INT, .argument = "N", .fallback = "7", .low = 1,
     .high = 100, .help = "", .offset = AT(count)},
    {.name = "share", .type = OPTION_REAL, .argument = "X", .low = 0, .high = 1, .help = "",
     .offset = AT(share)},
    {.name = "bytes", .type = OPTION_SIZE, .argument = "SIZE", .help = "", .offset = AT(bytes)},
    {.name = "text", .type = OPTION_TEXT, .argument = "TEXT", .help = "", .offset = AT(text)},
    {.name = "name", .type = OPTION_LIST, .argument = "NAME", .help = "", .offset = AT(names)},
    {.name = NULL},
};

static void command_line_in_any_order_is_understood(void **state)
{
    char *argv[] = {(char[]){"x"}, (char[]){"a"}, (char[]){"--name=p"}, (char[]){"-n5"}, (char[]){"b"},
                    (char[]){"--share"}, (char[]){"0.5"}, (char[]){"--name"}, (char[]){"q"},
                    (char[]){"--"}, (char[]){"-c"}, NULL};
    struct sample sample = {.count = 0};
    struct parsed parsed = {.options = &sample};
    struct gram_error err;

    (void)state;
    MUST(options_parse(rows, 11, argv, &parsed, &err));
    assert_int_equal(sample.count, 5);
    assert_true(sample.share > 0.49 && sample.share < 0.51);
    assert_int_equal(sample.names.n, 2);
    assert_string_equal(sample.names.at[1], "q");
    assert_int_equal(parsed.n_operands, 3);
    assert_string_equal(parsed.operands[0], "a");
    assert_string_equal(parsed.operands[2], "-c");
    options_reset(rows, &sample);
}

static void defaults_are_read_as_if_they_were_typed(void **state)
{
    char *argv[] = {(char[]){"x"}, NULL};
    struct sample sample = {.count = 0};
    struct parsed parsed = {.options = &sample};
    struct gram_error err;

    (void)state;
    MUST(options_parse(rows, 1, argv, &parsed, &err));
    assert_int_equal(sample.count, 7);
    assert_null(sample.text);
}

static void sizes_take_decimal_and_binary_suffixes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0}, {"17", 17}, {"5k", 5000}, {"5G", 5000000000u}, {"3MB", 3000000},
                {"2ki", 2048}, {"4GiB", 4ull << 30}, {"7b", 7}, {"1t", 1000000000000u}};
    static const char *const bad[] = {"", "k", "-1", "1x", "1 k", "1kk", "1.5g", "1kbb", "1i",
                                      "99999999999999999999", "9999999999t", "0x10"};
    struct sample sample;
    struct gram_error err;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        MUST(option_store(&rows[2], good[i].text, &sample, &err));
        assert_int_equal(sample.bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        MUST_FAIL(GRAM_EINVAL, "--bytes", option_store(&rows[2], bad[i], &sample, &err));
}

static void integers_at_the_ends_of_their_type_are_read(void **state)
{
    int64_t value;

    (void)state;
    assert_true(parse_integer("9223372036854775807", &value) && value == INT64_MAX);
    assert_true(parse_integer("-9223372036854775808", &value) && value == INT64_MIN);
    assert_false(parse_integer("9223372036854775808", &value));
    assert_false(parse_integer("-9223372036854775809", &value));
    assert_false(parse_integer("", &value) || parse_integer("-", &value));
    assert_false(parse_integer("+1", &value) || parse_integer(" 1", &value));
}

static void near_names_are_suggested_and_far_ones_not(void **state)
{
    static const struct gram_choice names[] = {
        {"quantize", ""}, {"eval", ""}, {"w4a16", ""}, {"w8a16", ""}, {NULL, NULL}};

    (void)state;
    assert_string_equal(suggest_choice("quantise", names), "quantize");
    assert_string_equal(suggest_choice("qauntize", names), "quantize");
    assert_string_equal(suggest_choice("w4a61", names), "w4a16");
    assert_null(suggest_choice("xyzzy", names));
    assert_null(suggest_choice("", names));
}

static void rows_of_every_command_are_consistent(void **state)
{
    (void)state;
    for (const struct command *const *c = commands; *c; c++) {
        struct gram_error err;
        char buffer[1024] = {0};

        assert_true((*c)->options_size <= sizeof buffer);
        for (const struct option_row *row = (*c)->options; row && row->name; row++) {
            assert_true(row->offset >= sizeof(struct common_options));
            assert_true(row->offset < (*c)->options_size);
            assert_int_equal(row->type == OPTION_FLAG, row->argument == NULL);
            assert_true(row->type != OPTION_CHOICE || row->choices);
            if (row->fallback)
                MUST(option_store(row, row->fallback, buffer, &err));
            for (const struct option_row *other = common_rows; other->name; other++) {
                assert_string_not_equal(row->name, other->name);
                assert_false(row->letter && row->letter == other->letter);
            }
            for (const struct option_row *other = (*c)->options; other < row; other++) {
                assert_string_not_equal(row->name, other->name);
                assert_false(row->letter && row->letter == other->letter);
            }
        }
    }
}

static void sizes_for_people_keep_three_digits(void **state)
{
    char text[HUMAN_SIZE];

    (void)state;
    assert_string_equal(human_bytes(text, 0), "0 B");
    assert_string_equal(human_bytes(text, 999), "999 B");
    assert_string_equal(human_bytes(text, 1000), "1.00 kB");
    assert_string_equal(human_bytes(text, 9999), "10.0 kB");
    assert_string_equal(human_bytes(text, 712345678), "712 MB");
    assert_string_equal(human_bytes(text, 999999), "1.00 MB");
    assert_string_equal(human_bytes(text, UINT64_MAX), "18447 PB");
    assert_string_equal(human_count(text, 999), "999");
    assert_string_equal(human_count(text, 1234567), "1,234,567");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_line_in_any_order_is_understood),
        cmocka_unit_test(defaults_are_read_as_if_they_were_typed),
        cmocka_unit_test(sizes_take_decimal_and_binary_suffixes),
        cmocka_unit_test(integers_at_the_ends_of_their_type_are_read),
        cmocka_unit_test(near_names_are_suggested_and_far_ones_not),
        cmocka_unit_test(rows_of_every_command_are_consistent),
        cmocka_unit_test(sizes_for_people_keep_three_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
