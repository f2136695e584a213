/* Every tokenizer of the hostile corpus does what its manifest says. */
#include "support.h"

/* The id is in range; only its model knows that the embedding is smaller. */
static bool is_checked_elsewhere(const char *path)
{
    return strcmp(path, "tokenizer/tk_id_over_vocab") == 0;
}

/* Open one, and when it opens, use it. */
static enum gram_status try_case(const char *path, struct gram_error *err)
{
    struct gram_tokenizer *tokenizer;
    struct gram_ids ids = {0};
    char relative[512];

    snprintf(relative, sizeof relative, "hostile/%s", path);
    const enum gram_status status = gram_tokenizer_open(&tokenizer, shared_path(relative), err);
    if (status == GRAM_OK)
        (void)gram_tokenizer_encode(tokenizer, "hello aaaaaaaaaaaaaa", 20, 0, &ids, err);
    gram_ids_reset(&ids);
    gram_tokenizer_close(&tokenizer);
    return status;
}

static void run_manifest(const char *manifest, bool is_ambiguous)
{
    char relative[256];
    size_t cases = 0, wrong = 0;

    snprintf(relative, sizeof relative, "hostile/%s", manifest);
    need_shared(relative);
    char *text = read_file(shared_path(relative), NULL), *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *tab = strchr(line, '\t'), *last = strrchr(line, '\t');
        if (!tab || strncmp(line, "tokenizer/", 10) != 0)
            continue;
        *tab = '\0';
        struct gram_error err = {0};
        const enum gram_status status = try_case(line, &err);
        const bool wants_ok = strcmp(last + 1, "ok") == 0;
        cases++;
        if (is_ambiguous || is_checked_elsewhere(line) || wants_ok == (status == GRAM_OK))
            continue;
        print_message("# %s: status %d, %s\n", line, (int)status, err.message);
        wrong++;
    }
    free(text);
    assert_true(cases > 0);
    assert_int_equal(wrong, 0);
}

static void the_manifest_holds(void **state)
{
    (void)state;
    run_manifest("MANIFEST.tsv", false);
}

static void the_ambiguous_ones_do_no_harm(void **state)
{
    (void)state;
    run_manifest("AMBIGUOUS.tsv", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manifest_holds),
        cmocka_unit_test(the_ambiguous_ones_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
