/* Pre-tokenizers: what every kind does to a text, as the `tokenizers` library documents it. */
#include "stages.h"

#include "tokenizer/pretokenizer.h"

/* The pieces with | between them. */
static char *cut(struct bench *b, const char *text, size_t len, bool is_first,
                 enum gram_status *status)
{
    struct gram_pretokenizers list = {0};
    struct gram_pieces pieces = {0}, spare = {0};
    struct gram_matcher matcher = {.err = &b->err};
    struct gram_buf out = {0};

    *status = gram_pretokenizers_load(&list, &b->source, b->json);
    if (*status == GRAM_OK) {
        assert_true(gram_pieces_start(&pieces, text, len, is_first));
        *status = gram_pretokenizers_apply(&list, &matcher, &pieces, &spare);
    }
    gram_buf_add(&out, "", 0);
    for (size_t i = 0; *status == GRAM_OK && i < pieces.n; i++) {
        gram_buf_str(&out, i > 0 ? "|" : "");
        gram_buf_add(&out, pieces.text.at + pieces.at[i].begin,
                     pieces.at[i].end - pieces.at[i].begin);
    }
    gram_pieces_reset(&pieces);
    gram_pieces_reset(&spare);
    gram_matcher_reset(&matcher);
    return out.at;
}

struct row {
    const char *json, *text, *pieces;
};

static void expect_rows(const struct row *rows, size_t n, bool is_first)
{
    for (size_t i = 0; i < n; i++) {
        struct bench b;
        enum gram_status status;
        bench_start(&b, rows[i].json);
        char *got = cut(&b, rows[i].text, strlen(rows[i].text), is_first, &status);
        if (status != GRAM_OK || strcmp(got, rows[i].pieces) != 0)
            fail_msg("%s on '%s': '%s', expected '%s' (%s)", rows[i].json, rows[i].text, got,
                     rows[i].pieces, b.err.message);
        free(got);
        bench_end(&b);
    }
}
#define EXPECT_ROWS(rows, is_first) expect_rows(rows, sizeof(rows) / sizeof *(rows), is_first)

static void a_split_treats_delimiters_in_five_ways(void **state)
{
    static const struct row rows[] = {
        {"{'type':'Split','pattern':{'String':'-'},'behavior':'Removed'}", "the-final--x",
         "the|final|x"},
        {"{'type':'Split','pattern':{'String':'-'},'behavior':'Isolated'}", "the-final--x",
         "the|-|final|-|-|x"},
        {"{'type':'Split','pattern':{'String':'-'},'behavior':'MergedWithPrevious'}",
         "the-final--x", "the-|final-|-|x"},
        {"{'type':'Split','pattern':{'String':'-'},'behavior':'MergedWithNext'}", "the-final--x",
         "the|-final|-|-x"},
        {"{'type':'Split','pattern':{'String':'-'},'behavior':'Contiguous'}", "the-final--x",
         "the|-|final|--|x"},
    };
    (void)state;
    EXPECT_ROWS(rows, true);
}

static void an_inverted_split_swaps_matches_and_the_rest(void **state)
{
    static const struct row rows[] = {
        {"{'type':'Split','pattern':{'Regex':'[a-z]+'},'behavior':'Removed','invert':true}",
         "ab, cd!", "ab|cd"},
        {"{'type':'Split','pattern':{'Regex':'[a-z]+'},'behavior':'Isolated','invert':true}",
         "ab, cd!", "ab|, |cd|!"},
        {"{'type':'Split','pattern':{'Regex':'[a-z]'},'behavior':'MergedWithNext','invert':true}",
         "--ab", "--a|b"},
    };
    (void)state;
    EXPECT_ROWS(rows, true);
}

static void empty_matches_cut_without_taking_text(void **state)
{
    static const struct row rows[] = {
        {"{'type':'Split','pattern':{'Regex':'(?=x)'},'behavior':'Isolated'}", "axbxx", "a|xb|x|x"},
        {"{'type':'Split','pattern':{'Regex':'x*'},'behavior':'Removed'}", "axxb", "a|b"},
    };
    (void)state;
    EXPECT_ROWS(rows, true);
}

static void byte_level_splits_like_gpt2_and_writes_bytes_as_characters(void **state)
{
    static const struct row rows[] = {
        {"{'type':'ByteLevel','add_prefix_space':false}", "I'm  here, 42\n\n",
         "I|'m|\u0120|\u0120here|,|\u012042|\u010a\u010a"},
        {"{'type':'ByteLevel','add_prefix_space':true}", "a\u00e9", "\u0120a\u00c3\u00a9"},
        {"{'type':'ByteLevel','add_prefix_space':true}", " a", "\u0120a"},
        {"{'type':'ByteLevel','add_prefix_space':false,'use_regex':false}", "a b", "a\u0120b"},
    };
    (void)state;
    EXPECT_ROWS(rows, true);
}

static void metaspace_marks_spaces_and_the_beginning(void **state)
{
    static const struct row first[] = {
        {"{'type':'Metaspace'}", "Hey you", "\u2581Hey|\u2581you"},
        {"{'type':'Metaspace','prepend_scheme':'never'}", "Hey you", "Hey|\u2581you"},
        {"{'type':'Metaspace','prepend_scheme':'first'}", "Hey you", "\u2581Hey|\u2581you"},
        {"{'type':'Metaspace','prepend_scheme':'always','split':false}", "Hey you",
         "\u2581Hey\u2581you"},
        {"{'type':'Metaspace','prepend_scheme':'always'}", " a  b", "\u2581a|\u2581|\u2581b"},
        {"{'type':'Metaspace','replacement':'_','add_prefix_space':false}", "a b", "a|_b"},
        {"{'type':'Sequence','pretokenizers':[{'type':'WhitespaceSplit'},"
         "{'type':'Metaspace','prepend_scheme':'first'}]}",
         "a b", "\u2581a|b"},
    };
    static const struct row later[] = {
        {"{'type':'Metaspace','prepend_scheme':'first'}", "Hey you", "Hey|\u2581you"},
        {"{'type':'Metaspace','prepend_scheme':'always'}", "Hey you", "\u2581Hey|\u2581you"},
    };
    (void)state;
    EXPECT_ROWS(first, true);
    EXPECT_ROWS(later, false);
}

static void the_simple_kinds_cut_at_their_characters(void **state)
{
    static const struct row rows[] = {
        {"{'type':'Digits','individual_digits':true}", "a123 \u0664\u00bd",
         "a|1|2|3| |\u0664|\u00bd"},
        {"{'type':'Digits','individual_digits':false}", "a123 45", "a|123| |45"},
        {"{'type':'Punctuation'}", "Hey, man!\u3002$", "Hey|,| man|!|\u3002|$"},
        {"{'type':'Punctuation','behavior':'Removed'}", "a,b", "a|b"},
        {"{'type':'Whitespace'}", "Hey man! \u0939\u093f\u0902-x",
         "Hey|man|!|\u0939\u093f\u0902|-|x"},
        {"{'type':'WhitespaceSplit'}", " Hey\u3000man!\n", "Hey|man!"},
    };
    (void)state;
    EXPECT_ROWS(rows, true);
}

static void a_sequence_runs_its_parts_in_order(void **state)
{
    static const struct row rows[] = {
        {"{'type':'Sequence','pretokenizers':[{'type':'Sequence','pretokenizers':["
         "{'type':'Digits','individual_digits':true}]},"
         "{'type':'ByteLevel','add_prefix_space':false,'use_regex':false}]}",
         "a 12", "a\u0120|1|2"},
    };
    (void)state;
    EXPECT_ROWS(rows, true);
}

static void white_space_is_what_oniguruma_means_by_it(void **state)
{
    static const struct row rows[] = {
        /* U+180E is none, U+0085 and U+3000 are */
        {"{'type':'Split','pattern':{'Regex':'\\\\s+'},'behavior':'Isolated'}",
         "a\u180eb\xc2\x85\u3000c", "a\u180eb|\xc2\x85\u3000|c"},
        {"{'type':'Split','pattern':{'Regex':'[^\\\\s]+'},'behavior':'Isolated'}",
         "a\u180eb\u3000c", "a\u180eb|\u3000|c"},
    };
    (void)state;
    EXPECT_ROWS(rows, true);
}

static void white_space_at_the_end_of_a_line_is_found(void **state)
{
    static const struct row rows[] = {
        {"{'type':'Split','pattern':{'Regex':'\\\\s+$'},'behavior':'Isolated'}", "a  b  \n c\n\n ",
         "a  b|  |\n c|\n\n "},
        {"{'type':'Split','pattern':{'Regex':'\\\\s+$'},'behavior':'Isolated'}", "a  \n  b",
         "a|  |\n  b"},
    };
    (void)state;
    EXPECT_ROWS(rows, true);
}

static void what_is_not_known_is_refused_by_name(void **state)
{
    static const struct {
        const char *json, *part;
        enum gram_status status;
    } rows[] = {
        {"{'type':'BertPreTokenizer'}", "BertPreTokenizer", GRAM_EUNSUPPORTED},
        {"{'type':'Split','pattern':{'String':'-'},'behavior':'Eaten'}", "Eaten", GRAM_EFORMAT},
        {"{'type':'Split','pattern':{'String':'-'}}", "behavior", GRAM_EFORMAT},
        {"{'type':'Split','pattern':{'String':''},'behavior':'Removed'}", "pattern", GRAM_EFORMAT},
        {"{'type':'Split','pattern':'-','behavior':'Removed'}", "pattern", GRAM_EFORMAT},
        {"{'type':'Metaspace','replacement':'__'}", "one character", GRAM_EFORMAT},
        {"{'type':'Metaspace','prepend_scheme':'last'}", "last", GRAM_EFORMAT},
        {"{'type':7}", "type", GRAM_EFORMAT},
        {"{}", "type is missing", GRAM_EFORMAT},
        {"['ByteLevel']", "an object", GRAM_EFORMAT},
        {"{'type':'Sequence'}", "pretokenizers", GRAM_EFORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench b;
        enum gram_status status;
        bench_start(&b, rows[i].json);
        char *got = cut(&b, "a", 1, true, &status);
        if (status != rows[i].status || !strstr(b.err.message, rows[i].part))
            fail_msg("%s: status %d, '%s'", rows[i].json, (int)status, b.err.message);
        free(got);
        bench_end(&b);
    }
}

static void sequences_nest_64_deep_and_no_deeper(void **state)
{
    (void)state;
    for (int depth = 63; depth <= 64; depth++) {
        struct gram_buf json = {0};
        struct bench b;
        enum gram_status status;
        for (int i = 0; i < depth - 1; i++)
            gram_buf_str(&json, "{'type':'Sequence','pretokenizers':[");
        gram_buf_str(&json, "{'type':'Sequence','pretokenizers':[{'type':'WhitespaceSplit'}]}");
        for (int i = 0; i < depth - 1; i++)
            gram_buf_str(&json, "]}");
        if (depth == 63) {
            bench_start(&b, json.at);
            char *got = cut(&b, "a b", 3, true, &status);
            assert_string_equal(got, "a|b");
            free(got);
        } else { /* two brackets a level: beyond the limit of JSON itself */
            bench_start(&b, "null");
            json_t *deep = json_pack("{s:s}", "type", "WhitespaceSplit");
            for (int i = 0; i < 64; i++)
                deep = json_pack("{s:s, s:[o]}", "type", "Sequence", "pretokenizers", deep);
            json_decref(b.json);
            b.json = deep;
            char *got = cut(&b, "a b", 3, true, &status);
            assert_int_equal(status, GRAM_EFORMAT);
            assert_non_null(strstr(b.err.message, "deeper than 64"));
            free(got);
        }
        bench_end(&b);
        gram_buf_reset(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_treats_delimiters_in_five_ways),
        cmocka_unit_test(an_inverted_split_swaps_matches_and_the_rest),
        cmocka_unit_test(empty_matches_cut_without_taking_text),
        cmocka_unit_test(byte_level_splits_like_gpt2_and_writes_bytes_as_characters),
        cmocka_unit_test(metaspace_marks_spaces_and_the_beginning),
        cmocka_unit_test(the_simple_kinds_cut_at_their_characters),
        cmocka_unit_test(a_sequence_runs_its_parts_in_order),
        cmocka_unit_test(white_space_is_what_oniguruma_means_by_it),
        cmocka_unit_test(white_space_at_the_end_of_a_line_is_found),
        cmocka_unit_test(what_is_not_known_is_refused_by_name),
        cmocka_unit_test(sequences_nest_64_deep_and_no_deeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
