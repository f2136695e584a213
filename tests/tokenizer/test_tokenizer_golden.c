/* Token for token against the reference implementations: transformers, sentencepiece, llama.cpp's
 * lists. */
#include "support.h"

#include <jansson.h>

struct texts {
    const struct gram_tokenizer *tokenizer;
    size_t compared;
};

static struct gram_tokenizer *open_shared(const char *relative)
{
    struct gram_tokenizer *tokenizer;
    struct gram_error err;

    need_shared(relative);
    MUST(gram_tokenizer_open(&tokenizer, shared_path(relative), &err));
    return tokenizer;
}

static json_t *load_json(const char *relative)
{
    json_error_t problem;
    json_t *root = json_load_file(shared_path(relative), JSON_ALLOW_NUL, &problem);

    if (!root)
        fail_msg("%s: %s", relative, problem.text);
    return root;
}

/* Same ids, or a failure that shows the first difference. */
static void expect_ids(struct texts *t, const char *text, size_t len, unsigned flags,
                       const json_t *expected)
{
    struct gram_ids ids = {0};
    struct gram_error err;

    MUST(gram_tokenizer_encode(t->tokenizer, text, len, flags, &ids, &err));
    const size_t n = json_array_size(expected);
    for (size_t i = 0; i < n || i < ids.len; i++) {
        const int wanted = i < n ? (int)json_integer_value(json_array_get(expected, i)) : -1;
        const int got = i < ids.len ? ids.at[i] : -1;
        if (wanted != got)
            fail_msg("'%s': id %zu is %d, expected %d", text, i, got, wanted);
    }
    gram_ids_reset(&ids);
    t->compared++;
}

static void expect_text(struct texts *t, const json_t *ids, const json_t *expected)
{
    const size_t n = json_array_size(ids);
    int32_t *list = calloc(n + 1, sizeof *list);
    struct gram_error err;
    char *text;
    size_t len;

    for (size_t i = 0; i < n; i++)
        list[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    MUST(gram_tokenizer_decode(t->tokenizer, list, n, false, &text, &len, &err));
    if (len != json_string_length(expected) || memcmp(text, json_string_value(expected), len) != 0)
        fail_msg("decoded '%s', expected '%s'", text, json_string_value(expected));
    free(text);
    free(list);
}

/* Which ids of a case are what the flags give. */
struct column {
    const char *key;
    unsigned flags;
};

static void expect_cases(const char *tokenizer_path, const char *cases_path,
                         const struct column *columns, size_t n_columns)
{
    struct gram_tokenizer *tokenizer = open_shared(tokenizer_path);
    struct texts t = {.tokenizer = tokenizer};
    json_t *root = load_json(cases_path), *item;
    size_t i;

    json_array_foreach(json_object_get(root, "cases"), i, item)
    {
        const json_t *text = json_object_get(item, "text");
        for (size_t c = 0; c < n_columns; c++)
            expect_ids(&t, json_string_value(text), json_string_length(text), columns[c].flags,
                       json_object_get(item, columns[c].key));
        expect_text(&t, json_object_get(item, "ids"), json_object_get(item, "decoded"));
    }
    assert_true(t.compared >= 31 * n_columns);
    json_decref(root);
    gram_tokenizer_close(&tokenizer);
}

/* llamacpp.inp: texts between separator lines; llamacpp.out: a line of ids for each. */
static void expect_llamacpp(const char *tokenizer_path, const char *inp, const char *out)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    struct gram_tokenizer *tokenizer = open_shared(tokenizer_path);
    struct texts t = {.tokenizer = tokenizer};
    char *texts = read_file(shared_path(inp), NULL), *lines = read_file(shared_path(out), NULL);
    char *text = texts, *line = lines;

    for (char *end = texts; end; text = end ? end + strlen(separator) : text) {
        json_t *ids = json_array();
        const size_t line_len = strcspn(line, "\n");
        end = strstr(text, separator);
        line[line_len] = '\0';
        for (char *at = line; *at; at += strspn(at, " "))
            json_array_append_new(ids, json_integer(strtol(at, &at, 10)));
        if (end)
            *end = '\0';
        expect_ids(&t, text, strlen(text), 0, ids);
        json_decref(ids);
        line += line_len + (end != NULL);
    }
    assert_int_equal(t.compared, 47);
    free(texts);
    free(lines);
    gram_tokenizer_close(&tokenizer);
}

static void bart_cases_match(void **state)
{
    static const struct column columns[] = {{"ids", 0}, {"with_special", GRAM_ENCODE_SPECIAL}};
    (void)state;
    expect_cases("golden/tokenizers/bart_florence2", "golden/tokenizers/bart_florence2/case.json",
                 columns, 2);
}

static void bart_matches_llamacpp(void **state)
{
    (void)state;
    expect_llamacpp("golden/tokenizers/bart_florence2",
                    "golden/tokenizers/bart_florence2/llamacpp.inp",
                    "golden/tokenizers/bart_florence2/llamacpp.out");
}

static void qwen2_cases_match(void **state)
{
    static const struct column columns[] = {{"ids", 0}, {"ids", GRAM_ENCODE_SPECIAL}};
    (void)state;
    expect_cases("golden/tokenizers/qwen2", "golden/tokenizers/qwen2/case.json", columns, 2);
}

static void qwen2_matches_llamacpp(void **state)
{
    (void)state;
    expect_llamacpp("golden/tokenizers/qwen2", "golden/tokenizers/qwen2/llamacpp.inp",
                    "golden/tokenizers/qwen2/llamacpp.out");
}

/* sentencepiece itself knows no special tokens in text; transformers does. */
static void llama2_cases_match(void **state)
{
    static const struct column columns[] = {{"ids", GRAM_ENCODE_PLAIN},
                                            {"hf_with_bos", GRAM_ENCODE_SPECIAL}};
    (void)state;
    expect_cases("golden/tokenizers/llama2_sentencepiece",
                 "golden/tokenizers/llama2_sentencepiece/case.json", columns, 2);
}

static void llama2_matches_llamacpp(void **state)
{
    (void)state;
    expect_llamacpp("golden/tokenizers/llama2_sentencepiece",
                    "golden/tokenizers/llama2_sentencepiece/llamacpp.inp",
                    "golden/tokenizers/llama2_sentencepiece/llamacpp.out");
}

/* Florence-2's task prompts, those without its added location tokens. */
static void florence_prompts_match(void **state)
{
    (void)state;
    struct gram_tokenizer *tokenizer = open_shared("golden/tokenizers/bart_florence2");
    struct texts t = {.tokenizer = tokenizer};
    json_t *root = load_json("golden/tokenizers/florence2_processor/case.json"), *item;
    size_t i;

    json_array_foreach(json_object_get(root, "prompts"), i, item)
    {
        const json_t *prompt = json_object_get(item, "prompt");
        if (!strstr(json_string_value(prompt), "<loc_"))
            expect_ids(&t, json_string_value(prompt), json_string_length(prompt),
                       GRAM_ENCODE_SPECIAL, json_object_get(item, "ids"));
    }
    assert_int_equal(t.compared, 11);
    json_decref(root);
    gram_tokenizer_close(&tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bart_cases_match),       cmocka_unit_test(bart_matches_llamacpp),
        cmocka_unit_test(qwen2_cases_match),      cmocka_unit_test(qwen2_matches_llamacpp),
        cmocka_unit_test(llama2_cases_match),     cmocka_unit_test(llama2_matches_llamacpp),
        cmocka_unit_test(florence_prompts_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
