/* Added tokens: where a text is cut. */
#include "support.h"

#include "base/buf.h"
#include "tokenizer/added.h"

static struct gram_added_token token(const char *text, int32_t id)
{
    return (struct gram_added_token){.text = text, .len = strlen(text), .id = id};
}

/* "text|<id>|text" */
static void expect(const struct gram_added *added, const char *text, bool plain,
                   const char *expected)
{
    struct gram_cutter cutter;
    struct gram_buf out = {0};
    struct gram_cut cut;
    size_t done = 0;

    gram_buf_add(&out, "", 0);
    gram_cutter_start(&cutter, added, text, strlen(text), plain);
    while (gram_cutter_next(&cutter, &cut)) {
        assert_int_equal(cut.begin, done);
        assert_true(cut.end > cut.begin);
        done = cut.end;
        gram_buf_str(&out, out.len > 0 ? "|" : "");
        if (cut.token)
            gram_buf_printf(&out, "<%d>", (int)cut.token->id);
        else
            gram_buf_add(&out, text + cut.begin, cut.end - cut.begin);
    }
    assert_int_equal(done, strlen(text));
    assert_string_equal(out.at, expected);
    gram_buf_reset(&out);
}

static void the_leftmost_and_longest_wins(void **state)
{
    struct gram_added_token tokens[] = {token("<a>", 1), token("<a><b>", 2), token("<", 3),
                                        token("b>c", 4), token("", 5),       token("<a>", 6)};
    struct gram_added added;
    (void)state;
    gram_added_build(&added, tokens, 6);
    assert_int_equal(added.n, 4);
    expect(&added, "x<a>y", false, "x|<1>|y");
    expect(&added, "<a><b>c", false, "<2>|c");
    expect(&added, "<a><c", false, "<1>|<3>|c");
    expect(&added, "<<<", false, "<3>|<3>|<3>");
    expect(&added, "a>b>c", false, "a>|<4>");
    expect(&added, "", false, "");
    expect(&added, "plain", false, "plain");
}

static void special_tokens_are_text_when_asked(void **state)
{
    struct gram_added_token tokens[] = {token("<s>", 1), token("tool", 2)};
    struct gram_added added;
    (void)state;
    tokens[0].is_special = true;
    gram_added_build(&added, tokens, 2);
    expect(&added, "<s>tool", false, "<1>|<2>");
    expect(&added, "<s>tool", true, "<s>|<2>");
}

static void white_space_beside_a_token_can_belong_to_it(void **state)
{
    struct gram_added_token tokens[] = {token("<l>", 1), token("<r>", 2), token("<n>", 3)};
    struct gram_added added;
    (void)state;
    tokens[0].takes_left = tokens[1].takes_right = true;
    gram_added_build(&added, tokens, 3);
    expect(&added, "a \xe3\x80\x80<l> b", false, "a|<1>| b");
    expect(&added, "a <r> \n b", false, "a |<2>|b");
    expect(&added, "a <n> b", false, "a |<3>| b");
    expect(&added, "<r>  <l>", false, "<2>|<1>");
    expect(&added, " <l>", false, "<1>");
    expect(&added, "<r> ", false, "<2>");
}

static void a_single_word_is_not_found_inside_words(void **state)
{
    struct gram_added_token tokens[] = {token("tool", 1)};
    struct gram_added added;
    (void)state;
    tokens[0].single_word = true;
    gram_added_build(&added, tokens, 1);
    expect(&added, "a tool, tools \xc3\xa9tool tool", false, "a |<1>|, tools \xc3\xa9tool |<1>");
    expect(&added, "tool", false, "<1>");
    expect(&added, "tool_", false, "tool_");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_leftmost_and_longest_wins),
        cmocka_unit_test(special_tokens_are_text_when_asked),
        cmocka_unit_test(white_space_beside_a_token_can_belong_to_it),
        cmocka_unit_test(a_single_word_is_not_found_inside_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
