/* tokenizer.model: a small one of our own (data/make_data.py), and what is refused. */
#include "support.h"

#include "tokenizer/parts.h"
#include "tokenizer/protobuf.h"

static struct gram_tokenizer *open_small(void)
{
    struct gram_tokenizer *tokenizer;
    struct gram_error err;

    MUST(gram_tokenizer_open(&tokenizer, source_path("tests/tokenizer/data/sentencepiece"), &err));
    return tokenizer;
}

static void expect(const struct gram_tokenizer *tokenizer, const char *text, unsigned flags,
                   const char *expected)
{
    struct gram_ids ids = {0};
    struct gram_buf out = {0};
    struct gram_error err;

    MUST(gram_tokenizer_encode(tokenizer, text, strlen(text), flags, &ids, &err));
    gram_buf_add(&out, "", 0);
    for (size_t i = 0; i < ids.len; i++)
        gram_buf_printf(&out, i > 0 ? " %d" : "%d", (int)ids.at[i]);
    if (strcmp(out.at, expected) != 0)
        fail_msg("'%s': %s, expected %s", text, out.at, expected);
    gram_buf_reset(&out);
    gram_ids_reset(&ids);
}

/* Pieces: 0 <unk> 1 <s> 2 </s> 3 <tool>(user) 4 _ 5 a 6 b 7 ab 8 bb 9 _a 10 y 11 xy; ab and bb tie.
 */
static void pieces_merge_by_score_and_ties_go_left(void **state)
{
    struct gram_tokenizer *t = open_small();
    (void)state;
    expect(t, "ab", 0, "4 7");
    expect(t, "abb", 0, "4 7 6");
    expect(t, "bbb", 0, "4 8 6");
    expect(t, "a", 0, "9");
    gram_tokenizer_close(&t);
}

static void a_character_that_is_no_piece_can_merge_into_one(void **state)
{
    struct gram_tokenizer *t = open_small();
    (void)state;
    expect(t, "xy", 0, "4 11");
    expect(t, "x", 0, "4 0");
    expect(t, "xxqy", 0, "4 0 10");
    gram_tokenizer_close(&t);
}

static void extra_spaces_go_and_one_comes_in_front(void **state)
{
    struct gram_tokenizer *t = open_small();
    (void)state;
    expect(t, "  a   b ", 0, "9 4 6");
    expect(t, "   ", 0, "");
    expect(t, "", GRAM_ENCODE_SPECIAL, "1");
    gram_tokenizer_close(&t);
}

static void control_pieces_are_found_unless_plain_and_user_defined_always(void **state)
{
    struct gram_tokenizer *t = open_small();
    (void)state;
    expect(t, "a<s>b", 0, "9 1 6");
    expect(t, "a<s>b", GRAM_ENCODE_PLAIN, "9 0 6");
    expect(t, "a<tool>b", GRAM_ENCODE_PLAIN, "9 3 6");
    expect(t, "ab", GRAM_ENCODE_SPECIAL, "1 4 7");
    assert_int_equal(gram_tokenizer_bos(t), 1);
    assert_true(gram_tokenizer_is_eos(t, 2));
    assert_int_equal(gram_tokenizer_find(t, "<s>"), 1);
    gram_tokenizer_close(&t);
}

static void every_cut_of_a_model_file_is_an_error(void **state)
{
    size_t n;
    char *bytes = read_file(source_path("tests/tokenizer/data/sentencepiece/tokenizer.model"), &n);
    (void)state;
    for (size_t cut = 0; cut < n; cut++) {
        struct gram_tokenizer *t;
        struct gram_error err = {0};
        const enum gram_status status =
            gram_tokenizer_parse_sentencepiece(&t, bytes, cut, "cut", &err);
        if (status == GRAM_OK) /* only behind the specs, where a model may end */
            assert_true(cut > n - 20);
        else
            assert_true(err.message[0] != '\0');
        gram_tokenizer_close(&t);
    }
    free(bytes);
}

static void every_flipped_bit_opens_or_is_refused(void **state)
{
    size_t n;
    char *bytes = read_file(source_path("tests/tokenizer/data/sentencepiece/tokenizer.model"), &n);
    (void)state;
    for (size_t bit = 0; bit < n * 8; bit++) {
        struct gram_tokenizer *t;
        struct gram_error err;
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        (void)gram_tokenizer_parse_sentencepiece(&t, bytes, n, "flip", &err);
        gram_tokenizer_close(&t);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    free(bytes);
}

static void groups_are_skipped_to_a_depth(void **state)
{
    (void)state;
    for (size_t depth = 16; depth <= 17; depth++) {
        uint8_t bytes[40];
        struct gram_field field;
        for (size_t i = 0; i < depth; i++) {
            bytes[i] = 5 << 3 | 3;
            bytes[depth + i] = 5 << 3 | 4;
        }
        bytes[2 * depth] = 1 << 3;
        bytes[2 * depth + 1] = 42;
        struct gram_message message = {bytes, 2 * depth + 2, 0, NULL};
        assert_int_equal(gram_message_next(&message, &field), depth == 16);
        assert_int_equal(field.value, depth == 16 ? 42 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_merge_by_score_and_ties_go_left),
        cmocka_unit_test(a_character_that_is_no_piece_can_merge_into_one),
        cmocka_unit_test(extra_spaces_go_and_one_comes_in_front),
        cmocka_unit_test(control_pieces_are_found_unless_plain_and_user_defined_always),
        cmocka_unit_test(every_cut_of_a_model_file_is_an_error),
        cmocka_unit_test(every_flipped_bit_opens_or_is_refused),
        cmocka_unit_test(groups_are_skipped_to_a_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
