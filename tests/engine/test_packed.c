/* Packed weights kept in a file: the same answers from the file, and no trust in one that is not ours. */
#include "support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_TOKENS = 20, HEADER = 4096 };

/* A quantized model in a folder of its own, and what opening it said. */
struct world {
    char path[300], packed[400];
    int warnings;
};

static void count_warning(void *user, const char *sentence)
{
    struct world *w = user;
    assert_non_null(strstr(sentence, "packed"));
    w->warnings++;
}

static void make_world(struct world *w)
{
    struct gram_quantize_options how = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_runtime *rt;
    struct gram_error err;

    *w = (struct world){0};
    snprintf(w->path, sizeof w->path, "%s/model", fresh_folder());
    snprintf(w->packed, sizeof w->packed, "%s/gram-packed.bin", w->path);
    how.scheme = "w4a16";
    MUST(gram_runtime_open(&rt, NULL, &err));
    MUST(gram_quantize(rt, source_path("models/hamlet"), w->path, &how, NULL, NULL, &err));
    gram_runtime_close(&rt);
}

/* The last logits of a short prompt; yours. *warnings grows with what opening has to say. */
static float *logits_of(struct world *w, bool cache_packed, const char *activations)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_runtime *rt;
    struct gram_model *model;
    struct gram_model_info info;
    struct gram_session *session;
    struct gram_error err;
    int32_t tokens[N_TOKENS];

    options.cache_packed = cache_packed;
    options.activations = activations;
    options.warn = count_warning;
    options.warn_user = w;
    MUST(gram_runtime_open(&rt, &options, &err));
    MUST(gram_model_open(&model, rt, w->path, &err));
    gram_model_info(model, &info);
    for (int i = 0; i < N_TOKENS; i++)
        tokens[i] = (int32_t)((i * 31 + 5) % info.vocab);
    float *logits = calloc((size_t)info.vocab, sizeof *logits);
    MUST(gram_session_open(&session, model, NULL, &err));
    MUST(gram_session_feed(session, tokens, N_TOKENS, logits, 1, &err));
    gram_session_close(&session);
    gram_model_close(&model);
    gram_runtime_close(&rt);
    return logits;
}

static void must_give_the_same(struct world *w, const float *expected, const char *activations)
{
    float *logits = logits_of(w, true, activations);
    assert_memory_equal(logits, expected, 64 * sizeof *logits);
    free(logits);
}

static struct stat state_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st;
}

static void the_second_open_maps_what_the_first_wrote(void **state)
{
    struct world w;
    (void)state;

    make_world(&w);
    float *plain = logits_of(&w, false, NULL);
    assert_int_equal(access(w.packed, F_OK), -1);
    must_give_the_same(&w, plain, NULL);
    const struct stat first = state_of(w.packed);
    must_give_the_same(&w, plain, NULL);
    assert_true(state_of(w.packed).st_ino == first.st_ino);
    assert_int_equal(w.warnings, 0);
    free(plain);
}

/* Overwrite n bytes at `at`, or cut the file there when n is 0. */
static void damage(const char *path, long at, size_t n)
{
    const char bytes[16] = "not what it was";

    if (n == 0) {
        assert_int_equal(truncate(path, at), 0);
        return;
    }
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void a_file_that_is_not_ours_is_told_and_written_anew(void **state)
{
    static const struct {
        long at;
        size_t n;
    } cases[] = {{0, 0}, {100, 0}, {HEADER, 0}, {HEADER + 4096, 0}, {0, 16}, {16, 16}, {88, 8}};
    struct world w;
    (void)state;

    make_world(&w);
    float *plain = logits_of(&w, false, NULL);
    must_give_the_same(&w, plain, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        damage(w.packed, cases[i].at, cases[i].n);
        w.warnings = 0;
        must_give_the_same(&w, plain, NULL);
        assert_int_equal(w.warnings, 1);
        must_give_the_same(&w, plain, NULL);
        assert_int_equal(w.warnings, 1);
    }
    free(plain);
}

static void another_state_of_the_model_is_repacked(void **state)
{
    const struct timespec times[2] = {{1, 0}, {1, 0}};
    struct world w;
    char weights[400];
    (void)state;

    make_world(&w);
    float *plain = logits_of(&w, true, NULL);
    snprintf(weights, sizeof weights, "%s/model.safetensors", w.path);
    assert_int_equal(utimensat(AT_FDCWD, weights, times, 0), 0);
    must_give_the_same(&w, plain, NULL);
    assert_int_equal(w.warnings, 1);
    free(plain);
}

static void what_other_activations_want_is_another_block(void **state)
{
    struct world w;
    (void)state;

    make_world(&w);
    float *codes = logits_of(&w, false, NULL), *floats = logits_of(&w, false, "f32");
    must_give_the_same(&w, codes, NULL);
    must_give_the_same(&w, floats, "f32");
    must_give_the_same(&w, codes, NULL);
    free(codes);
    free(floats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_open_maps_what_the_first_wrote),
        cmocka_unit_test(a_file_that_is_not_ours_is_told_and_written_anew),
        cmocka_unit_test(another_state_of_the_model_is_repacked),
        cmocka_unit_test(what_other_activations_want_is_another_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
