/* Statistics that were kept are those that were collected. */
#include "support.h"

#include <unistd.h>

#include "calib/stats_file.h"

enum { COLS = 3 };

static const char corpus_hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char model_hash[] = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

static float low[COLS] = {-1, -2, -3}, high[COLS] = {1, 2, 3}, absmax[COLS] = {1, 2, 3};
static float square[COLS * COLS] = {1, 2, 3, 2, 4, 5, 3, 5, 6};

static const char *saved(void)
{
    static char path[4096];
    const struct gram_input_stats ranges = {
        .cols = COLS, .tokens = 77, .low = low, .high = high, .absmax = absmax};
    const struct gram_input_stats moments = {.cols = COLS, .tokens = 78, .gram = square};
    const struct gram_kept_input inputs[] = {{"layers.0.attn.q", COLS, GRAM_NEED_RANGE},
                                             {"layers.0.mlp.down", COLS, GRAM_NEED_GRAM}};
    struct gram_stats_writer *writer;
    struct gram_error err;

    snprintf(path, sizeof path, "%s/stats.safetensors", fresh_folder());
    MUST(gram_stats_writer_open(&writer, path, inputs, 2, corpus_hash, model_hash, &err));
    MUST(gram_stats_writer_put(writer, &ranges, &err));
    assert_int_equal(access(path, F_OK), -1); /* not before it is whole */
    MUST(gram_stats_writer_put(writer, &moments, &err));
    MUST(gram_stats_writer_publish(&writer, &err));
    return path;
}

static void what_is_kept_is_found_again(void **state)
{
    struct gram_stats_file file;
    struct gram_input_stats stats;
    struct gram_error err;

    (void)state;
    MUST(gram_stats_file_open(&file, saved(), model_hash, &err));
    assert_string_equal(file.corpus_hash, corpus_hash);
    MUST(gram_stats_file_find(&file, "layers.0.attn.q", COLS, GRAM_NEED_RANGE, &stats, &err));
    assert_int_equal(stats.tokens, 77);
    assert_memory_equal(stats.low, low, sizeof low);
    assert_memory_equal(stats.high, high, sizeof high);
    assert_memory_equal(stats.absmax, absmax, sizeof absmax);
    assert_null(stats.gram);
    MUST(gram_stats_file_find(&file, "layers.0.mlp.down", COLS, GRAM_NEED_GRAM, &stats, &err));
    assert_int_equal(stats.tokens, 78);
    assert_memory_equal(stats.gram, square, sizeof square);
    gram_stats_file_close(&file);
}

static void what_is_not_there_is_said(void **state)
{
    struct gram_stats_file file;
    struct gram_input_stats stats;
    struct gram_error err;

    (void)state;
    MUST(gram_stats_file_open(&file, saved(), model_hash, &err));
    MUST_FAIL(GRAM_ENOENT, "layers.9.attn.q",
              gram_stats_file_find(&file, "layers.9.attn.q", COLS, 0, &stats, &err));
    MUST_FAIL(GRAM_ENOENT, "mean_abs",
              gram_stats_file_find(&file, "layers.0.attn.q", COLS, GRAM_NEED_MEAN_ABS, &stats, &err));
    MUST_FAIL(GRAM_ENOENT, "histogram",
              gram_stats_file_find(&file, "layers.0.attn.q", COLS, GRAM_NEED_HISTOGRAM, &stats,
                                   &err));
    MUST_FAIL(GRAM_EFORMAT, "expected f32 for 4 inputs",
              gram_stats_file_find(&file, "layers.0.attn.q", 4, 0, &stats, &err));
    gram_stats_file_close(&file);
}

static void statistics_of_another_model_are_refused(void **state)
{
    struct gram_stats_file file;
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_EINVAL, "another model",
              gram_stats_file_open(&file, saved(), corpus_hash, &err));
    MUST_FAIL(GRAM_EFORMAT, "not a file of calibration statistics",
              gram_stats_file_open(&file, source_path("models/hamlet"), model_hash, &err));
}

/* The format stands behind the header, before all else. */
static void statistics_of_another_version_are_refused(void **state)
{
    const char *path = saved();
    struct gram_stats_file file;
    struct gram_error err;
    uint64_t header;
    (void)state;

    FILE *f = fopen(path, "r+b");
    assert_int_equal(fread(&header, sizeof header, 1, f), 1);
    assert_int_equal(fseek(f, (long)(sizeof header + header), SEEK_SET), 0);
    assert_int_equal(fputc(2, f), 2);
    fclose(f);
    MUST_FAIL(GRAM_EINVAL, "another version", gram_stats_file_open(&file, path, model_hash, &err));
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    struct gram_stats_writer *writer;
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_ENOENT, "/nowhere/at/all",
              gram_stats_writer_open(&writer, "/nowhere/at/all", NULL, 0, corpus_hash, model_hash, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_found_again),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test(statistics_of_another_model_are_refused),
        cmocka_unit_test(statistics_of_another_version_are_refused),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
