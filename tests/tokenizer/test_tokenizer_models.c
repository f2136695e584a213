/* The tokenizers of real small models: reference ids, token counts of whole files, and their traps.
 */
#include "support.h"

#include <jansson.h>

static struct gram_tokenizer *open_model(const char *name)
{
    struct gram_tokenizer *tokenizer;
    struct gram_error err;
    char path[256];

    snprintf(path, sizeof path, "data/models/%s", name);
    need_shared(path);
    MUST(gram_tokenizer_open(&tokenizer, shared_path(path), &err));
    return tokenizer;
}

static void expect(const struct gram_tokenizer *tokenizer, const char *text, size_t len,
                   unsigned flags, const int32_t *ids, size_t n)
{
    struct gram_ids got = {0};
    struct gram_error err;

    MUST(gram_tokenizer_encode(tokenizer, text, len, flags, &got, &err));
    for (size_t i = 0; i < n && i < got.len; i++)
        if (got.at[i] != ids[i])
            fail_msg("'%s': id %zu is %d, expected %d", text, i, got.at[i], ids[i]);
    if (got.len != n)
        fail_msg("'%s': %zu ids, expected %zu", text, got.len, n);
    gram_ids_reset(&got);
}

static void expect_json(const struct gram_tokenizer *tokenizer, const json_t *text,
                        const json_t *list)
{
    const size_t n = json_array_size(list);
    int32_t *ids = calloc(n + 1, sizeof *ids);

    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    expect(tokenizer, json_string_value(text), json_string_length(text), GRAM_ENCODE_SPECIAL, ids,
           n);
    free(ids);
}

static void expect_count(const struct gram_tokenizer *tokenizer, const char *file, size_t tokens)
{
    struct gram_ids ids = {0};
    struct gram_error err;
    char path[256];
    size_t n;

    snprintf(path, sizeof path, "data/text/%s", file);
    need_shared(path);
    char *text = read_file(shared_path(path), &n);
    MUST(gram_tokenizer_encode(tokenizer, text, n, GRAM_ENCODE_SPECIAL, &ids, &err));
    assert_int_equal(ids.len, tokens);
    gram_ids_reset(&ids);
    free(text);
}

/* Everything that reference.json says about one model. */
static void expect_reference(const char *model)
{
    struct gram_tokenizer *tokenizer = open_model(model);
    json_t *root = json_load_file(shared_path("data/reference.json"), 0, NULL), *item;
    json_t *entry = json_object_get(json_object_get(root, "models"), model);
    const char *file;
    size_t i;

    assert_true(json_array_size(json_object_get(entry, "encode")) >= 15);
    json_array_foreach(json_object_get(entry, "encode"), i, item)
        expect_json(tokenizer, json_object_get(item, "text"), json_object_get(item, "ids"));
    json_array_foreach(json_object_get(entry, "greedy"), i, item) expect_json(
        tokenizer, json_object_get(item, "prompt"), json_object_get(item, "prompt_ids"));
    json_object_foreach(json_object_get(entry, "ppl"), file, item)
        expect_count(tokenizer, file, (size_t)json_integer_value(json_object_get(item, "tokens")));
    json_decref(root);
    gram_tokenizer_close(&tokenizer);
}

static void stories3m_matches_its_reference(void **state)
{
    (void)state;
    expect_reference("stories3M");
}

static void stories260k_matches_its_reference(void **state)
{
    (void)state;
    expect_reference("stories260K");
}

static void tinystories_656k_matches_its_reference(void **state)
{
    (void)state;
    expect_reference("TinyStories-656K");
}

static void babyllama_matches_its_reference(void **state)
{
    (void)state;
    expect_reference("BabyLlama-tok105");
}

static size_t count_of(const struct gram_ids *ids, int32_t id)
{
    size_t n = 0;
    for (size_t i = 0; i < ids->len; i++)
        n += ids->at[i] == id;
    return n;
}

/* wikitext writes <unk> 1,779 times in this file; the text behind each is a segment of its own. */
static void unk_in_the_text_is_the_special_token(void **state)
{
    (void)state;
    struct gram_tokenizer *tokenizer = open_model("stories3M");
    struct gram_ids ids = {0};
    struct gram_error err;
    size_t n;

    need_shared("data/text/wikitext2_test_200k.txt");
    char *text = read_file(shared_path("data/text/wikitext2_test_200k.txt"), &n);
    MUST(gram_tokenizer_encode(tokenizer, text, n, 0, &ids, &err));
    assert_int_equal(count_of(&ids, 0), 1779);
    ids.len = 0;
    MUST(gram_tokenizer_encode(tokenizer, text, n, GRAM_ENCODE_PLAIN, &ids, &err));
    assert_int_equal(count_of(&ids, 0), 0);
    gram_ids_reset(&ids);
    free(text);
    gram_tokenizer_close(&tokenizer);
}

static void normalized_added_tokens_match_behind_a_space_only(void **state)
{
    (void)state;
    struct gram_tokenizer *tokenizer = open_model("TinyStories-656K");
    struct gram_ids spaced = {0}, glued = {0};
    struct gram_error err;

    MUST(gram_tokenizer_encode(tokenizer, "Hi <unk> there", 14, 0, &spaced, &err));
    MUST(gram_tokenizer_encode(tokenizer, "Hi<unk>there", 12, 0, &glued, &err));
    assert_int_equal(count_of(&spaced, 0), 1);
    assert_int_equal(count_of(&glued, 0), 0);
    gram_ids_reset(&spaced);
    gram_ids_reset(&glued);
    gram_tokenizer_close(&tokenizer);
}

static void decoding_gives_the_continuations_of_the_reference(void **state)
{
    static const char *const models[] = {"stories3M", "stories260K", "BabyLlama-tok105"};
    (void)state;
    need_shared("data/reference.json");
    json_t *root = json_load_file(shared_path("data/reference.json"), 0, NULL), *item;

    for (size_t m = 0; m < 3; m++) {
        struct gram_tokenizer *tokenizer = open_model(models[m]);
        json_t *entry = json_object_get(json_object_get(root, "models"), models[m]);
        size_t i;
        json_array_foreach(json_object_get(entry, "greedy"), i, item)
        {
            const json_t *list = json_object_get(item, "new_ids");
            int32_t ids[64];
            struct gram_error err;
            char *text;
            const size_t n = json_array_size(list);
            assert_true(n <= 64);
            for (size_t k = 0; k < n; k++)
                ids[k] = (int32_t)json_integer_value(json_array_get(list, k));
            MUST(gram_tokenizer_decode(tokenizer, ids, n, true, &text, NULL, &err));
            const char *wanted = json_string_value(json_object_get(item, "new_text"));
            assert_string_equal(text + (*text == ' ' && *wanted != ' '), wanted);
            free(text);
        }
        gram_tokenizer_close(&tokenizer);
    }
    json_decref(root);
}

static void bos_and_eos_come_from_the_companion_files(void **state)
{
    (void)state;
    struct gram_tokenizer *tokenizer = open_model("TinyStories-656K");

    assert_int_equal(gram_tokenizer_bos(tokenizer), 1);
    assert_true(gram_tokenizer_is_eos(tokenizer, 2));
    assert_false(gram_tokenizer_is_eos(tokenizer, 1));
    assert_int_equal(gram_tokenizer_find(tokenizer, "<|end_story|>"), 2);
    assert_int_equal(gram_tokenizer_find(tokenizer, "no such token"), -1);
    assert_int_equal(gram_tokenizer_vocab(tokenizer), 2048);
    gram_tokenizer_close(&tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories3m_matches_its_reference),
        cmocka_unit_test(stories260k_matches_its_reference),
        cmocka_unit_test(tinystories_656k_matches_its_reference),
        cmocka_unit_test(babyllama_matches_its_reference),
        cmocka_unit_test(unk_in_the_text_is_the_special_token),
        cmocka_unit_test(normalized_added_tokens_match_behind_a_space_only),
        cmocka_unit_test(decoding_gives_the_continuations_of_the_reference),
        cmocka_unit_test(bos_and_eos_come_from_the_companion_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
