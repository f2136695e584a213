/* What is learned from: which tokens are labels, what is held out, and malformed data sets. */
#include "support.h"

#include "train/dataset.h"
#include "train/loss.h"

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
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", fresh_folder(), name);
    write_file(path, text, strlen(text));
    return path;
}

static enum gram_status read_data(struct gram_dataset *data, const char *path, int64_t context,
                                  bool skip_bad, struct gram_error *err)
{
    return gram_dataset_read(data, tokenizer, &(struct gram_dataset_options){path, context, skip_bad},
                             err);
}

/* The text of all labels that count. */
static char *learned(const struct gram_sample *s)
{
    struct gram_error err;
    int32_t ids[512];
    size_t n = 0;
    char *text;

    for (int64_t t = 0; t < s->n; t++)
        if (s->labels[t] != GRAM_IGNORE)
            ids[n++] = s->labels[t];
    MUST(gram_tokenizer_decode(tokenizer, ids, n, false, &text, NULL, &err));
    return text;
}

static void only_answers_are_learned(void **state)
{
    static const struct {
        const char *record, *text;
    } cases[] = {
        {"{\"prompt\": \"to be\", \"response\": \"or not\"}", " or not"},
        {"{\"instruction\": \"to\", \"input\": \"be\", \"output\": \"or\"}", " or"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"to be\"}, "
         "{\"role\": \"assistant\", \"content\": \"or not\"}, "
         "{\"role\": \"user\", \"content\": \"that is\"}, "
         "{\"role\": \"assistant\", \"content\": \"the question\"}]}",
         " or not the question"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gram_dataset data;
        struct gram_error err;
        MUST(read_data(&data, file_of("a.jsonl", cases[i].record), 128, false, &err));
        assert_int_equal(data.n, 1);
        char *text = learned(&data.samples[0]);
        if (strncmp(text, cases[i].text, strlen(cases[i].text)) != 0)
            fail_msg("%s: learned '%s'", cases[i].record, text);
        free(text);
        gram_dataset_reset(&data);
    }
}

static void a_plain_record_is_learned_as_a_whole_and_ends(void **state)
{
    struct gram_dataset data;
    struct gram_error err;

    (void)state;
    MUST(read_data(&data, file_of("a.jsonl", "{\"text\": \"to be or not to be\"}\n"), 128, false, &err));
    const struct gram_sample *s = &data.samples[0];
    assert_int_equal(s->counted, s->n);
    for (int64_t t = 0; t + 1 < s->n; t++)
        assert_int_equal(s->labels[t], s->tokens[t + 1]);
    assert_true(gram_tokenizer_is_eos(tokenizer, s->labels[s->n - 1]));
    gram_dataset_reset(&data);
}

static void a_text_is_cut_without_losing_a_token(void **state)
{
    char file[512];
    struct gram_dataset whole, cut;
    struct gram_error err;

    (void)state;
    snprintf(file, sizeof file, "%s", file_of("a.txt", "To be, or not to be, that is the question: whether "
                                                       "'tis nobler in the mind to suffer"));
    MUST(read_data(&whole, file, 512, false, &err));
    MUST(read_data(&cut, file, 5, false, &err));
    assert_int_equal(whole.n, 1);
    assert_int_equal(whole.tokens, cut.tokens);
    for (size_t i = 0, at = 0; i < cut.n; at += (size_t)cut.samples[i++].n) {
        assert_true(cut.samples[i].n <= 5);
        assert_memory_equal(cut.samples[i].labels, whole.samples[0].labels + at,
                            (size_t)cut.samples[i].n * sizeof(int32_t));
    }
    gram_dataset_reset(&whole);
    gram_dataset_reset(&cut);
}

static void bad_records_are_refused_by_line_or_counted(void **state)
{
    static const char text[] = "{\"text\": \"one\"}\n\n{\"text\": 7}\nnothing\n{\"text\": \"two\"}\n";
    struct gram_dataset data;
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_EFORMAT, "line 3", read_data(&data, file_of("a.jsonl", text), 64, false, &err));
    gram_dataset_reset(&data);
    MUST(read_data(&data, file_of("a.jsonl", text), 64, true, &err));
    assert_int_equal(data.n, 2);
    assert_int_equal(data.records, 2);
    assert_int_equal(data.skipped, 2);
    assert_non_null(strstr(data.first_skipped.message, "line 3"));
    gram_dataset_reset(&data);
}

static void what_teaches_nothing_is_refused(void **state)
{
    struct gram_dataset data;
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_EINVAL, "nothing to learn", read_data(&data, file_of("a.jsonl", ""), 64, false, &err));
    gram_dataset_reset(&data);
    MUST_FAIL(GRAM_EINVAL, "1 records without an answer",
              read_data(&data, file_of("a.jsonl", "{\"prompt\": \"to be\"}"), 64, false, &err));
    gram_dataset_reset(&data);
}

static void what_is_held_out_is_not_learned(void **state)
{
    struct gram_dataset data, held, again, again_held;
    struct gram_error err;
    char text[2048] = "", file[512];

    (void)state;
    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "{\"text\": \"act %d\"}\n", i);
    snprintf(file, sizeof file, "%s", file_of("a.jsonl", text));
    MUST(read_data(&data, file, 64, false, &err));
    MUST(read_data(&again, file, 64, false, &err));
    MUST(gram_dataset_hold_out(&data, &held, 0.25, 7, &err));
    MUST(gram_dataset_hold_out(&again, &again_held, 0.25, 7, &err));
    assert_int_equal(held.n, 5);
    assert_int_equal(data.n, 15);
    assert_string_equal(data.hash, again.hash);
    assert_string_equal(held.hash, again_held.hash);
    for (size_t i = 0; i < held.n; i++)
        for (size_t k = 0; k < data.n; k++)
            assert_ptr_not_equal(held.samples[i].tokens, data.samples[k].tokens);
    gram_dataset_reset(&held);
    gram_dataset_reset(&data);
    gram_dataset_reset(&again_held);
    gram_dataset_reset(&again);
}

static void every_epoch_has_an_order_of_its_own(void **state)
{
    int64_t first[50], second[50], again[50];
    int seen[50] = {0};

    (void)state;
    gram_shuffled(first, 50, 1, 0);
    gram_shuffled(second, 50, 1, 1);
    gram_shuffled(again, 50, 1, 0);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, second, sizeof first);
    for (int i = 0; i < 50; i++)
        seen[second[i]]++;
    for (int i = 0; i < 50; i++)
        assert_int_equal(seen[i], 1);
}

/* Rows of the shared folder's list: "dataset/NAME <tab> dataset <tab> what <tab> ok or error". */
static void hostile_files_are_read_as_their_manifest_says(void **state)
{
    size_t n;
    int cases = 0;

    (void)state;
    need_shared("hostile/MANIFEST.tsv");
    char *text = read_file(shared_path("hostile/MANIFEST.tsv"), &n);
    for (char *line = text, *next; *line; line = next) {
        char *end = strchr(line, '\n'), path[256];
        next = end ? end + 1 : line + strlen(line);
        *(end ? end : next) = '\0';
        const char *tab = strchr(line, '\t'), *verdict = strrchr(line, '\t');
        if (strncmp(line, "dataset/", 8) != 0 || !tab)
            continue;
        snprintf(path, sizeof path, "hostile/%.*s", (int)(tab - line), line);
        struct gram_dataset data;
        struct gram_error err = {0};
        const enum gram_status status = read_data(&data, shared_path(path), 256, false, &err);
        const bool is_right = (status == GRAM_OK) == (strcmp(verdict, "\tok") == 0);
        if (!is_right || (status != GRAM_OK && !err.message[0]))
            fail_msg("%s: status %d, '%s'", line, (int)status, err.message);
        gram_dataset_reset(&data);
        cases++;
    }
    free(text);
    assert_true(cases > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_answers_are_learned),
        cmocka_unit_test(a_plain_record_is_learned_as_a_whole_and_ends),
        cmocka_unit_test(a_text_is_cut_without_losing_a_token),
        cmocka_unit_test(bad_records_are_refused_by_line_or_counted),
        cmocka_unit_test(what_teaches_nothing_is_refused),
        cmocka_unit_test(what_is_held_out_is_not_learned),
        cmocka_unit_test(every_epoch_has_an_order_of_its_own),
        cmocka_unit_test(hostile_files_are_read_as_their_manifest_says),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
