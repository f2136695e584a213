/* The public interface on the project's own small tokenizers. */
#include "support.h"

#include <jansson.h>
#include <pthread.h>
#include <unistd.h>

#include "base/rng.h"
#include "tokenizer/parts.h"

static struct gram_tokenizer *open_small(const char *name)
{
    struct gram_tokenizer *tokenizer;
    struct gram_error err;
    char path[256];

    snprintf(path, sizeof path, "tests/tokenizer/data/%s", name);
    MUST(gram_tokenizer_open(&tokenizer, source_path(path), &err));
    return tokenizer;
}

static void expect(const struct gram_tokenizer *tokenizer, const char *text, unsigned flags,
                   const char *expected)
{
    struct gram_ids ids = {0};
    struct gram_error err;
    struct gram_buf out = {0};

    MUST(gram_tokenizer_encode(tokenizer, text, strlen(text), flags, &ids, &err));
    gram_buf_add(&out, "", 0);
    for (size_t i = 0; i < ids.len; i++)
        gram_buf_printf(&out, i > 0 ? " %d" : "%d", (int)ids.at[i]);
    if (strcmp(out.at, expected) != 0)
        fail_msg("'%s': %s, expected %s", text, out.at, expected);
    gram_buf_reset(&out);
    gram_ids_reset(&ids);
}

/* 256..265: he ll hell hello _w or _wor ld _world U+00E9; 266 <|begin|> 267 <|end|> 268 <mask> 269
 * tool */
static void byte_level_text_becomes_ids(void **state)
{
    struct gram_tokenizer *t = open_small("byte_level");
    (void)state;
    expect(t, "hello world", 0, "259 264");
    expect(t, "hello world", GRAM_ENCODE_SPECIAL, "266 259 264 267");
    expect(t, "\xc3\xa9", 0, "265");
    expect(t, "hello<|end|>hell", 0, "259 267 258");
    expect(t, "<|end|>", GRAM_ENCODE_PLAIN, "27 91 68 77 67 91 29");
    expect(t, "hello  <mask>", 0, "259 268");
    expect(t, "tool,tools", GRAM_ENCODE_PLAIN, "269 11 83 78 78 75 82");
    expect(t, "", GRAM_ENCODE_SPECIAL, "266 267");
    assert_int_equal(gram_tokenizer_vocab(t), 270);
    assert_int_equal(gram_tokenizer_find(t, "<|begin|>"), 266);
    assert_int_equal(gram_tokenizer_find(t, "hello"), 259);
    assert_int_equal(gram_tokenizer_bos(t), -1);
    gram_tokenizer_close(&t);
}

/* 259 _ 260..264 a..e 265 U+00E9 266 _a 267 bc 268 _abc 269 _b 270 de 271 __ */
static void text_with_byte_fallback_becomes_ids(void **state)
{
    struct gram_tokenizer *t = open_small("byte_fallback");
    (void)state;
    expect(t, "abc", GRAM_ENCODE_SPECIAL, "1 268");
    expect(t, "abc  de", 0, "268 271 270");
    expect(t, "\xe2\x82\xac", 0, "259 229 133 175");
    expect(t, "a</s>a", 0, "266 2 266"); /* every segment gets its own prefix */
    gram_tokenizer_close(&t);
}

static void decoding_returns_the_text(void **state)
{
    static const char *const names[] = {"byte_level", "byte_fallback"};
    static const char text[] = "abc  de\n\xe2\x82\xac \xf0\x9f\x98\x80 x";
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct gram_tokenizer *t = open_small(names[i]);
        struct gram_ids ids = {0};
        struct gram_error err;
        char *back;
        size_t len;
        MUST(gram_tokenizer_encode(t, text, sizeof text - 1, GRAM_ENCODE_SPECIAL, &ids, &err));
        MUST(gram_tokenizer_decode(t, ids.at, ids.len, true, &back, &len, &err));
        assert_string_equal(back, text);
        assert_int_equal(len, sizeof text - 1);
        free(back);
        gram_ids_reset(&ids);
        gram_tokenizer_close(&t);
    }
}

static void a_nul_is_a_character_like_any_other(void **state)
{
    struct gram_tokenizer *t = open_small("byte_level");
    struct gram_ids ids = {0};
    struct gram_error err;
    char *back;
    size_t len;
    (void)state;
    MUST(gram_tokenizer_encode(t, "a\0b", 3, 0, &ids, &err));
    assert_int_equal(ids.len, 3);
    MUST(gram_tokenizer_decode(t, ids.at, ids.len, true, &back, &len, &err));
    assert_int_equal(len, 3);
    assert_memory_equal(back, "a\0b", 4);
    free(back);
    gram_ids_reset(&ids);
    gram_tokenizer_close(&t);
}

static void text_that_is_not_utf8_is_refused_and_ids_stay(void **state)
{
    struct gram_tokenizer *t = open_small("byte_level");
    struct gram_ids ids = {0};
    struct gram_error err;
    (void)state;
    MUST(gram_tokenizer_encode(t, "hello", 5, 0, &ids, &err));
    MUST_FAIL(GRAM_EFORMAT, "byte 2", gram_tokenizer_encode(t, "ab\xff", 3, 0, &ids, &err));
    assert_int_equal(ids.len, 1);
    gram_ids_reset(&ids);
    gram_tokenizer_close(&t);
}

static void an_id_outside_the_vocabulary_is_refused(void **state)
{
    struct gram_tokenizer *t = open_small("byte_level");
    struct gram_error err;
    char *text;
    (void)state;
    MUST_FAIL(GRAM_EINVAL, "270",
              gram_tokenizer_decode(t, (const int32_t[]){270}, 1, true, &text, NULL, &err));
    MUST_FAIL(GRAM_EINVAL, "-1",
              gram_tokenizer_decode(t, (const int32_t[]){-1}, 1, true, &text, NULL, &err));
    assert_null(text);
    gram_tokenizer_close(&t);
}

/* Random ids one by one give what all at once give, and every part is UTF-8. */
static void streaming_equals_decoding(void **state)
{
    static const char *const names[] = {"byte_level", "byte_fallback", "sentencepiece"};
    struct gram_rng rng = {3};
    (void)state;
    for (int i = 0; i < 600; i++) {
        struct gram_tokenizer *t = open_small(names[i % 3]);
        struct gram_detokenizer *d;
        struct gram_buf streamed = {0};
        struct gram_error err;
        const char *part;
        int32_t ids[24];
        char *text;
        size_t len;
        for (int k = 0; k < 24; k++)
            ids[k] = (int32_t)(gram_rng_u64(&rng) % (uint64_t)gram_tokenizer_vocab(t));
        MUST(gram_tokenizer_decode(t, ids, 24, i % 2, &text, &len, &err));
        MUST(gram_detokenizer_open(&d, t, i % 2, &err));
        for (int k = 0; k <= 24; k++) {
            MUST(k < 24 ? gram_detokenizer_push(d, ids[k], &part, &err)
                        : gram_detokenizer_flush(d, &part, &err));
            json_t *valid = json_string(part);
            assert_non_null(valid);
            json_decref(valid);
            gram_buf_str(&streamed, part);
        }
        if (strlen(text) == len) /* parts are strings: a NUL would end them */
            assert_string_equal(streamed.at, text);
        free(text);
        gram_buf_reset(&streamed);
        gram_detokenizer_close(&d);
        gram_tokenizer_close(&t);
    }
}

static void a_character_in_parts_is_held_back(void **state)
{
    struct gram_tokenizer *t = open_small("byte_fallback");
    struct gram_detokenizer *d;
    struct gram_error err;
    const char *part;
    (void)state;
    MUST(gram_detokenizer_open(&d, t, true, &err));
    MUST(gram_detokenizer_push(d, 3 + 0xe2, &part, &err));
    assert_string_equal(part, "");
    MUST(gram_detokenizer_push(d, 3 + 0x82, &part, &err));
    assert_string_equal(part, "");
    MUST(gram_detokenizer_push(d, 3 + 0xac, &part, &err));
    assert_string_equal(part, "\xe2\x82\xac");
    MUST(gram_detokenizer_push(d, 3 + 0xe2, &part, &err));
    MUST(gram_detokenizer_flush(d, &part, &err));
    assert_string_equal(part, "\xef\xbf\xbd");
    MUST_FAIL(GRAM_EINVAL, "vocabulary", gram_detokenizer_push(d, 9999, &part, &err));
    assert_string_equal(part, "");
    gram_detokenizer_close(&d);
    gram_detokenizer_close(&d);
    gram_tokenizer_close(&t);
}

/* A folder of tokenizer files; NULL contents are left out. */
static const char *folder_with(const char *const (*files)[2], size_t n)
{
    const char *folder = fresh_folder();
    for (size_t i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, files[i][0]);
        write_file(path, files[i][1], strlen(files[i][1]));
    }
    return folder;
}

#define MODEL                                                                                      \
    "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"<s>\":2,\"</s>\":3,\"<e>\":4},\"merges\":[]}}"

static struct gram_tokenizer *open_files(const char *const (*files)[2], size_t n)
{
    struct gram_tokenizer *tokenizer;
    struct gram_error err;
    MUST(gram_tokenizer_open(&tokenizer, folder_with(files, n), &err));
    return tokenizer;
}

static void the_companion_files_name_bos_and_eos(void **state)
{
    static const char *const files[][2] = {
        {"tokenizer.json", MODEL},
        {"tokenizer_config.json",
         "{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"</s>\","
         "\"model_max_length\":1000000000000000019884624838656,\"x\":-12345678901234567890.5e1}"},
        {"generation_config.json", "{\"bos_token_id\":0,\"eos_token_id\":[4,99,-1]}"},
        {"config.json", "{\"eos_token_id\":1}"},
    };
    struct gram_tokenizer *t = open_files(files, 4);
    (void)state;
    assert_int_equal(gram_tokenizer_bos(t), 2);
    assert_false(gram_tokenizer_is_eos(t, 0));
    assert_true(gram_tokenizer_is_eos(t, 1));
    assert_false(gram_tokenizer_is_eos(t, 2));
    assert_true(gram_tokenizer_is_eos(t, 3));
    assert_true(gram_tokenizer_is_eos(t, 4));
    assert_false(gram_tokenizer_is_eos(t, -1));
    gram_tokenizer_close(&t);
}

static void a_null_bos_means_none_and_numbers_come_last(void **state)
{
    static const char *const null_bos[][2] = {
        {"tokenizer.json", MODEL},
        {"tokenizer_config.json", "{\"bos_token\":null}"},
        {"config.json", "{\"bos_token_id\":1}"},
    };
    static const char *const numbered[][2] = {
        {"tokenizer.json", MODEL},
        {"config.json", "{\"bos_token_id\":1}"},
    };
    static const char *const mapped[][2] = {
        {"tokenizer.json", MODEL},
        {"special_tokens_map.json", "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"<e>\"}}"},
        {"config.json", "{\"bos_token_id\":1}"},
    };
    struct gram_tokenizer *t = open_files(null_bos, 3);
    (void)state;
    assert_int_equal(gram_tokenizer_bos(t), -1);
    gram_tokenizer_close(&t);
    t = open_files(numbered, 2);
    assert_int_equal(gram_tokenizer_bos(t), 1);
    gram_tokenizer_close(&t);
    t = open_files(mapped, 3);
    assert_int_equal(gram_tokenizer_bos(t), 2);
    assert_true(gram_tokenizer_is_eos(t, 4));
    gram_tokenizer_close(&t);
}

static void vocab_and_merges_make_a_gpt2_tokenizer(void **state)
{
    static const char *const files[][2] = {
        {"vocab.json", "{\"a\":0,\"b\":1,\"ab\":2,\"\u0120\":3,\"<s>\":4,\"\u0120ab\":5}"},
        {"merges.txt", "#version: 0.2\r\na b\r\n\u0120 ab\n"},
        {"tokenizer_config.json", "{\"tokenizer_class\":\"GPT2TokenizerFast\",\"bos_token\":\"<s>"
                                  "\",\"add_bos_token\":true}"},
    };
    struct gram_tokenizer *t = open_files(files, 3);
    (void)state;
    expect(t, "ab ab<s>b", GRAM_ENCODE_SPECIAL, "4 2 5 4 1");
    gram_tokenizer_close(&t);
}

static void an_unknown_tokenizer_class_is_refused_by_name(void **state)
{
    static const char *const files[][2] = {
        {"vocab.json", "{\"a\":0}"},
        {"merges.txt", ""},
        {"tokenizer_config.json", "{\"tokenizer_class\":\"MagicTokenizer\"}"},
    };
    struct gram_tokenizer *t;
    struct gram_error err;
    (void)state;
    MUST_FAIL(GRAM_EUNSUPPORTED, "MagicTokenizer",
              gram_tokenizer_open(&t, folder_with(files, 3), &err));
    assert_null(t);
    MUST_FAIL(GRAM_ENOENT, "no tokenizer.json", gram_tokenizer_open(&t, fresh_folder(), &err));
}

static void every_flipped_byte_of_a_json_file_opens_or_is_refused(void **state)
{
    size_t n;
    char *bytes = read_file(source_path("tests/tokenizer/data/byte_fallback/tokenizer.json"), &n);
    (void)state;
    for (size_t i = 0; i + 1 < n; i++) { /* the last byte is a newline */
        static const char put[] = {'0', '"', ',', '}', '-', '\xff'};
        const char old = bytes[i];
        struct gram_tokenizer *t;
        struct gram_error err;
        bytes[i] = put[i % sizeof put];
        (void)gram_tokenizer_parse_json(&t, bytes, n, "flip", &err);
        gram_tokenizer_close(&t);
        bytes[i] = old;
        assert_int_not_equal(gram_tokenizer_parse_json(&t, bytes, i, "cut", &err), GRAM_OK);
    }
    free(bytes);
}

static void a_vocabulary_with_a_far_id_is_refused_before_memory_is_taken(void **state)
{
    static const char json[] = "{\"model\":{\"vocab\":{\"a\":0,\"b\":2000000000},\"merges\":[]}}";
    struct gram_tokenizer *t;
    struct gram_error err;
    (void)state;
    MUST_FAIL(GRAM_EFORMAT, "too high",
              gram_tokenizer_parse_json(&t, json, sizeof json - 1, "far", &err));
}

static void *encode_often(void *argument)
{
    const struct gram_tokenizer *t = argument;
    for (int i = 0; i < 200; i++)
        expect(t, "hello world<|end|>\n hello 12345", 0,
               "259 264 267 198 220 259 220 16 17 18 19 20");
    return NULL;
}

static void threads_share_a_tokenizer(void **state)
{
    struct gram_tokenizer *t = open_small("byte_level");
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, t), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    gram_tokenizer_close(&t);
}

/* The model that the repository carries, against ids from the script that trained it. */
static void the_own_model_matches_its_golden_tokens(void **state)
{
    const char *path = source_path("models/hamlet-golden/tokens.json");
    struct gram_tokenizer *t;
    struct gram_error err;
    json_t *item;
    size_t i;
    (void)state;
    if (access(path, R_OK) != 0) {
        print_message("# skipped: %s is not there\n", path);
        skip();
    }
    json_error_t problem;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &problem);
    if (!root)
        fail_msg("%s: %s", path, problem.text);
    assert_true(json_array_size(root) > 0);
    MUST(gram_tokenizer_open(&t, source_path("models/hamlet"), &err));
    json_array_foreach(root, i, item)
    {
        const json_t *text = json_object_get(item, "text"), *list = json_object_get(item, "ids"),
                     *id;
        struct gram_ids ids = {0};
        size_t k, len;
        char *back;
        MUST(gram_tokenizer_encode(t, json_string_value(text), json_string_length(text), 0, &ids,
                                   &err));
        assert_int_equal(ids.len, json_array_size(list));
        json_array_foreach(list, k, id) assert_int_equal(ids.at[k], json_integer_value(id));
        MUST(gram_tokenizer_decode(t, ids.at, ids.len, false, &back, &len, &err));
        assert_int_equal(len, json_string_length(text));
        assert_memory_equal(back, json_string_value(text), len);
        free(back);
        gram_ids_reset(&ids);
    }
    json_decref(root);
    gram_tokenizer_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_text_becomes_ids),
        cmocka_unit_test(text_with_byte_fallback_becomes_ids),
        cmocka_unit_test(decoding_returns_the_text),
        cmocka_unit_test(a_nul_is_a_character_like_any_other),
        cmocka_unit_test(text_that_is_not_utf8_is_refused_and_ids_stay),
        cmocka_unit_test(an_id_outside_the_vocabulary_is_refused),
        cmocka_unit_test(streaming_equals_decoding),
        cmocka_unit_test(a_character_in_parts_is_held_back),
        cmocka_unit_test(the_companion_files_name_bos_and_eos),
        cmocka_unit_test(a_null_bos_means_none_and_numbers_come_last),
        cmocka_unit_test(vocab_and_merges_make_a_gpt2_tokenizer),
        cmocka_unit_test(an_unknown_tokenizer_class_is_refused_by_name),
        cmocka_unit_test(every_flipped_byte_of_a_json_file_opens_or_is_refused),
        cmocka_unit_test(a_vocabulary_with_a_far_id_is_refused_before_memory_is_taken),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(the_own_model_matches_its_golden_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
