/* What a model is calibrated on, where activations wait between blocks, and malformed data sets. */
#include "support.h"

#include "base/rng.h"
#include "calib/boundary.h"
#include "calib/corpus.h"

static struct gram_tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    struct gram_error err;
    (void)state;
    return gram_tokenizer_open(&tokenizer, source_path("models/hamlet"), &err) == GRAM_OK ? 0 : -1;
}

static int close_tokenizer(void **state)
{
    (void)state;
    gram_tokenizer_close(&tokenizer);
    return 0;
}

static const char *file_of(const char *name, const char *text)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", fresh_folder(), name);
    write_file(path, text, strlen(text));
    return path;
}

static enum gram_status read_corpus(struct gram_corpus *corpus, const char *path, int64_t context,
                                    int64_t max_tokens, uint64_t seed, struct gram_error *err)
{
    const struct gram_corpus_options options = {path, context, max_tokens, seed};
    return gram_corpus_read(corpus, tokenizer, &options, err);
}

/* The text of a corpus whose only window holds it all. */
static void assert_says(const char *name, const char *bytes, const char *text)
{
    struct gram_corpus corpus;
    struct gram_error err;
    char *said;

    MUST(read_corpus(&corpus, file_of(name, bytes), 4096, 0, 0, &err));
    assert_int_equal(corpus.n_windows, 1);
    MUST(gram_tokenizer_decode(tokenizer, corpus.windows[0].tokens, (size_t)corpus.windows[0].n,
                               true, &said, NULL, &err));
    assert_string_equal(said, text);
    free(said);
    gram_corpus_reset(&corpus);
}

static void every_form_of_record_is_read(void **state)
{
    static const struct {
        const char *record, *text;
    } cases[] = {
        {"{\"text\": \"to be\"}", "to be"},
        {"{\"prompt\": \"to be \", \"response\": \"or not\", \"extra\": [1, null]}", "to be or not"},
        {"{\"instruction\": \"to\", \"input\": \"\", \"output\": \"be\"}", "to be"},
        {"{\"instruction\": \"to\", \"output\": \"be\"}", "to be"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"to\"}, "
         "{\"role\": \"assistant\", \"content\": [{\"type\": \"text\", \"text\": \"be\"}]}]}",
         "to be"},
        {"{\"conversations\": [{\"from\": \"human\", \"value\": \"to\"}, "
         "{\"from\": \"gpt\", \"value\": \"be\"}]}",
         "to be"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_says("a.jsonl", cases[i].record, cases[i].text);
}

static void byte_order_marks_and_blank_lines_are_passed_over(void **state)
{
    struct gram_corpus corpus;
    struct gram_error err;

    (void)state;
    assert_says("a.txt", "\xef\xbb\xbfto be", "to be");
    const char *path =
        file_of("a.jsonl", "\xef\xbb\xbf{\"text\":\"to\"}\r\n\r\n \n{\"text\":\"be\"}\n\n");
    MUST(read_corpus(&corpus, path, 64, 0, 0, &err));
    assert_int_equal(corpus.records, 2);
    gram_corpus_reset(&corpus);
}

static void bad_lines_are_named_by_number(void **state)
{
    static const struct {
        const char *bytes, *part;
    } cases[] = {
        {"{\"text\":\"a\"}\n\n{\"txt\":\"b\"}\n", "record in line 3: no field text"},
        {"{\"text\":\"a\"}\n{\"text\":}\n", "line 2"},
        {"{\"text\":\"a\"}\n42\n", "line 2: a record must be an object"},
        {"{\"text\":null}\n", "line 1: text is not a string"},
        {"{\"messages\":[{\"role\":\"root\",\"content\":\"a\"}]}", "'root' is not a role"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}", "'image'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gram_corpus corpus;
        struct gram_error err;
        MUST_FAIL(GRAM_EFORMAT, cases[i].part,
                  read_corpus(&corpus, file_of("a.jsonl", cases[i].bytes), 64, 0, 0, &err));
        gram_corpus_reset(&corpus);
    }
}

static void too_few_tokens_are_refused(void **state)
{
    struct gram_corpus corpus;
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_EINVAL, "too few", read_corpus(&corpus, file_of("a.txt", ""), 64, 0, 0, &err));
    gram_corpus_reset(&corpus);
}

static void windows_follow_the_seed(void **state)
{
    static char text[20000];
    struct gram_corpus a, b, c, some;
    struct gram_error err;

    (void)state;
    for (int i = 0; i < 2000; i++)
        snprintf(text + 9 * i, 10, "word%04d ", i);
    const char *path = file_of("a.txt", text);
    MUST(read_corpus(&a, path, 64, 0, 7, &err));
    MUST(read_corpus(&b, path, 64, 0, 7, &err));
    MUST(read_corpus(&c, path, 64, 0, 8, &err));
    MUST(read_corpus(&some, path, 64, 200, 7, &err));
    assert_string_equal(a.hash, b.hash);
    assert_string_not_equal(a.hash, c.hash);
    assert_int_equal(a.tokens, c.tokens);
    assert_int_equal(some.tokens, 200);
    assert_memory_equal(some.windows[0].tokens, a.windows[0].tokens, 64 * sizeof(int32_t));
    for (size_t i = 0; i < a.n_windows; i++)
        assert_in_range(a.windows[i].n, 2, 64);
    gram_corpus_reset(&a);
    gram_corpus_reset(&b);
    gram_corpus_reset(&c);
    gram_corpus_reset(&some);
}

/* ds_*.json and *.jsonl of the shared hostile files: refused or read, as their manifest says. */
static void hostile_data_sets_end_as_stated(void **state)
{
    char *save = NULL;
    int n = 0;

    (void)state;
    need_shared("hostile/MANIFEST.tsv");
    char *text = read_file(shared_path("hostile/MANIFEST.tsv"), NULL);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char path[256], full[512];
        struct gram_corpus corpus;
        struct gram_error err = {0};
        if (sscanf(line, "%255[^\t]\tdataset", path) != 1 || strncmp(path, "dataset/", 8) != 0)
            continue;
        snprintf(full, sizeof full, "hostile/%s", path);
        const bool is_ok =
            read_corpus(&corpus, shared_path(full), 256, 0, 0, &err) == GRAM_OK;
        gram_corpus_reset(&corpus);
        if (is_ok != (strcmp(strrchr(line, '\t') + 1, "ok") == 0))
            fail_msg("%s: %s %s", path, is_ok ? "read" : "refused:", err.message);
        assert_true(is_ok || err.message[0]);
        n++;
    }
    free(text);
    assert_true(n >= 25);
}

static void a_model_generates_its_own_windows(void **state)
{
    struct gram_runtime *rt;
    struct gram_model *model;
    struct gram_corpus a, b;
    struct gram_error err;

    (void)state;
    MUST(gram_runtime_open(&rt, NULL, &err));
    MUST(gram_model_open(&model, rt, source_path("models/hamlet"), &err));
    MUST(gram_corpus_generate(&a, model, tokenizer, 24, 60, 5, NULL, &err));
    MUST(gram_corpus_generate(&b, model, tokenizer, 24, 60, 5, NULL, &err));
    assert_in_range(a.tokens, 59, 60);
    assert_string_equal(a.hash, b.hash);
    gram_corpus_reset(&a);
    gram_corpus_reset(&b);
    gram_model_close(&model);
    gram_runtime_close(&rt);
}

static void a_boundary_gives_back_what_it_was_given(void **state)
{
    enum { ROWS = 300, COLS = 50 };
    static float x[ROWS * COLS], y[ROWS * COLS];
    struct gram_rng rng = {1};

    (void)state;
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = (float)gram_rng_unit(&rng);
    for (int spill = 0; spill < 2; spill++) {
        struct gram_boundary b;
        struct gram_error err;
        MUST(gram_boundary_open(&b, ROWS, COLS, spill, fresh_folder(), &err));
        assert_true((b.data == NULL) == (spill != 0));
        for (int64_t r = 0; r < ROWS; r += 100)
            MUST(gram_boundary_write(&b, r, 100, x + r * COLS, &err));
        MUST(gram_boundary_read(&b, 0, ROWS, y, &err));
        assert_memory_equal(x, y, sizeof x);
        gram_boundary_close(&b);
    }
}

static void a_boundary_in_no_folder_is_refused(void **state)
{
    struct gram_boundary b;
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_ENOENT, "/nowhere/at/all",
              gram_boundary_open(&b, 4, 4, true, "/nowhere/at/all", &err));
    gram_boundary_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_record_is_read),
        cmocka_unit_test(byte_order_marks_and_blank_lines_are_passed_over),
        cmocka_unit_test(bad_lines_are_named_by_number),
        cmocka_unit_test(too_few_tokens_are_refused),
        cmocka_unit_test(windows_follow_the_seed),
        cmocka_unit_test(hostile_data_sets_end_as_stated),
        cmocka_unit_test(a_model_generates_its_own_windows),
        cmocka_unit_test(a_boundary_gives_back_what_it_was_given),
        cmocka_unit_test(a_boundary_in_no_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
