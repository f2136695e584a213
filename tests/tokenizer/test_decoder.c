/* Decoders: tokens to text, at once and as a stream, which must agree. */
#include "stages.h"

#include "tokenizer/decoder.h"

struct row {
    const char *json;
    const char *tokens[8];
    const char *text;
};

static void expect_row(const struct row *row)
{
    struct gram_decoders list = {0};
    struct gram_decoding state = {.list = &list};
    struct gram_buf out = {0};
    struct bench b;

    bench_start(&b, row->json);
    assert_int_equal(gram_decoders_load(&list, &b.source, b.json), GRAM_OK);
    for (int i = 0; i < 8 && row->tokens[i]; i++) {
        assert_int_equal(
            gram_decoding_push(&state, row->tokens[i], strlen(row->tokens[i]), &out, &b.err),
            GRAM_OK);
    }
    assert_int_equal(gram_decoding_finish(&state, &out, &b.err), GRAM_OK);
    gram_buf_add(&out, "", 0);
    if (strcmp(out.at, row->text) != 0)
        fail_msg("%s: '%s', expected '%s'", row->json, out.at, row->text);
    gram_decoding_reset(&state);
    gram_buf_reset(&out);
    bench_end(&b);
}

#define LLAMA                                                                                      \
    "{'type':'Sequence','decoders':[{'type':'Replace','pattern':{'String':'\u2581'},'content':' "  \
    "'},"                                                                                          \
    "{'type':'ByteFallback'},{'type':'Fuse'},{'type':'Strip','content':' ','start':1,'stop':0}]}"

static void each_kind_does_its_part(void **state)
{
    static const struct row rows[] = {
        {"null", {"a", "b"}, "a b"},
        {"{'type':'Fuse'}", {"a", "b"}, "ab"},
        {"{'type':'ByteLevel'}", {"\u0120a", "\u00c3", "\u00a9"}, " a\u00e9"},
        {"{'type':'ByteLevel'}", {"a", "<one two>", "b"}, "a<one two>b"}, /* a space is no byte */
        {"{'type':'ByteLevel'}", {"\u00e2\u0124", "x", "\u00c3"}, "\ufffdx\ufffd"},
        {"{'type':'Metaspace'}", {"\u2581Hey", "\u2581you"}, "Hey you"},
        {"{'type':'Metaspace','prepend_scheme':'never'}", {"\u2581Hey", "\u2581you"}, " Hey you"},
        {"{'type':'Strip','content':'_','start':1,'stop':2}", {"__a___", "_b"}, "_a_b"},
        {LLAMA, {"\u2581Hey", "\u2581you"}, "Hey you"},
        {LLAMA, {"\u2581", "\u2581a"}, " a"},
        {LLAMA, {"<0xE4>", "<0xBD>", "<0xA0>", "x"}, "\u4f60x"},
        {LLAMA, {"a", "<0xE4>", "<0xBD>", "b"}, "a\ufffd\ufffdb"},
        {LLAMA, {"a", "<0xFF>", "<0x20>", "<0xF0>"}, "a\ufffd \ufffd"},
        {LLAMA, {"<0x20>", "a"}, "a"},
        {LLAMA, {"", "<s>", "\u2581a"}, "<s> a"},
        {LLAMA, {NULL}, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_row(&rows[i]);
}

#define FUSED(step) "{'type':'Sequence','decoders':[{'type':'Fuse'}," step "]}"

static void what_cannot_be_streamed_is_refused(void **state)
{
    static const char *const refused[] = {
        FUSED("{'type':'Strip','content':' ','stop':1}"),
        FUSED("{'type':'Metaspace'}"),
        FUSED("{'type':'Replace','pattern':{'String':'ab'},'content':''}"),
        "{'type':'Sequence','decoders':[{'type':'ByteLevel'},{'type':'ByteFallback'}]}",
        "{'type':'CTC'}",
        "{'type':'WordPiece','prefix':'##','cleanup':true}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct gram_decoders list = {0};
        struct bench b;
        bench_start(&b, refused[i]);
        assert_int_equal(gram_decoders_load(&list, &b.source, b.json), GRAM_EUNSUPPORTED);
        assert_non_null(strstr(b.err.message, "decoder"));
        bench_end(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_does_its_part),
        cmocka_unit_test(what_cannot_be_streamed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
