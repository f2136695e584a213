/* Sessions on the repository's own model: the same answer however the tokens arrive, and clean refusals. */
#include "support.h"

#include <math.h>

enum { N = 150 };

struct world {
    struct gram_runtime *rt;
    struct gram_model *model;
    struct gram_model_info info;
    int32_t tokens[N];
};

static void open_path(struct world *w, const char *path,
                      const struct gram_runtime_options *options)
{
    struct gram_error err;

    MUST(gram_runtime_open(&w->rt, options, &err));
    MUST(gram_model_open(&w->model, w->rt, path, &err));
    gram_model_info(w->model, &w->info);
    for (int i = 0; i < N; i++)
        w->tokens[i] = (int32_t)((i * 7919 + 13) % w->info.vocab);
}

static void open_world(struct world *w, int threads, const char *cpu)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;

    options.threads = threads;
    options.cpu = cpu;
    open_path(w, source_path("models/hamlet"), &options);
}

/* The model quantized, with activations as named (NULL: the default). */
static void open_quantized(struct world *w, const char *scheme, int threads,
                           const char *activations)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_quantize_options how = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_runtime *rt;
    struct gram_error err;
    char out[256];

    snprintf(out, sizeof out, "%s/%s", fresh_folder(), scheme);
    how.scheme = scheme;
    MUST(gram_runtime_open(&rt, NULL, &err));
    MUST(gram_quantize(rt, source_path("models/hamlet"), out, &how, NULL, NULL, &err));
    gram_runtime_close(&rt);
    options.threads = threads;
    options.activations = activations;
    open_path(w, out, &options);
}

static void close_world(struct world *w)
{
    gram_model_close(&w->model);
    gram_runtime_close(&w->rt);
}

static struct gram_session *open_session(struct world *w, int64_t batch)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    struct gram_session *session;
    struct gram_error err;

    options.context = N;
    options.batch = batch;
    MUST(gram_session_open(&session, w->model, &options, &err));
    return session;
}

/* Logits of all N tokens, fed in calls of `step`; yours. */
static float *logits_of(struct world *w, int64_t batch, size_t step)
{
    struct gram_session *session = open_session(w, batch);
    float *logits = calloc(N * (size_t)w->info.vocab, sizeof *logits);
    struct gram_error err;

    for (size_t at = 0; at < N; at += step) {
        const size_t n = step < N - at ? step : N - at;
        MUST(gram_session_feed(session, w->tokens + at, n, logits + at * (size_t)w->info.vocab, n,
                               &err));
    }
    assert_int_equal(gram_session_length(session), N);
    gram_session_close(&session);
    return logits;
}

static void must_be_close(const struct world *w, const float *a, const float *b, double tolerance)
{
    for (int64_t i = 0; i < N * w->info.vocab; i++) {
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance))
            fail_msg("logit %lld: %g and %g", (long long)i, (double)a[i], (double)b[i]);
    }
}

static void pieces_give_the_same_as_the_whole(void **state)
{
    struct world w;
    (void)state;

    open_world(&w, 2, NULL);
    float *whole = logits_of(&w, 512, N);
    static const struct {
        int64_t batch;
        size_t step;
    } ways[] = {{512, 1}, {7, N}, {64, 33}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        float *pieces = logits_of(&w, ways[i].batch, ways[i].step);
        must_be_close(&w, whole, pieces, 2e-3);
        free(pieces);
    }
    free(whole);
    close_world(&w);
}

static void threads_do_not_change_a_bit(void **state)
{
    struct world one, other;
    (void)state;

    open_world(&one, 1, NULL);
    float *a = logits_of(&one, 512, N);
    for (int threads = 2; threads <= 5; threads++) {
        open_world(&other, threads, NULL);
        float *b = logits_of(&other, 512, N);
        assert_memory_equal(a, b, N * (size_t)one.info.vocab * sizeof *a);
        free(b);
        close_world(&other);
    }
    free(a);
    close_world(&one);
}

static const char *const schemes[] = {"w8a16", "w6a16", "w5a16-g64", "w4a16", "w4a16-g32-asym",
                                      "w3a16", "w2a16-g64", "w8a16-tensor"};

static void integer_activations_are_as_precise_as_floats(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct world floats, ints;
        open_quantized(&floats, schemes[i], 2, "f32");
        open_quantized(&ints, schemes[i], 2, NULL);
        float *a = logits_of(&floats, 512, N), *b = logits_of(&ints, 512, N);
        must_be_close(&floats, a, b, 5e-3); /* of logits up to 30; int8 alone is off by 0.3 */
        free(a), free(b);
        close_world(&floats);
        close_world(&ints);
    }
}

static void quantized_logits_do_not_depend_on_threads(void **state)
{
    static const char *const both[] = {"w8a8", "w4a16"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world one, three;
        open_quantized(&one, both[i], 1, NULL);
        open_quantized(&three, both[i], 3, NULL);
        float *a = logits_of(&one, 512, N), *b = logits_of(&three, 512, N);
        assert_memory_equal(a, b, N * (size_t)one.info.vocab * sizeof *a);
        free(a), free(b);
        close_world(&one);
        close_world(&three);
    }
}

static void pieces_of_a_quantized_model_give_the_same_as_the_whole(void **state)
{
    struct world w;
    (void)state;
    open_quantized(&w, "w4a16", 2, NULL);
    float *whole = logits_of(&w, 512, N), *pieces = logits_of(&w, 64, 7);
    must_be_close(&w, whole, pieces, 2e-3);
    free(whole), free(pieces);
    close_world(&w);
}

static void unknown_activations_are_refused(void **state)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_runtime *rt;
    struct gram_error err;
    (void)state;
    options.activations = "int7";
    MUST_FAIL(GRAM_EINVAL, "int7", gram_runtime_open(&rt, &options, &err));
}

static void the_scalar_level_agrees_with_the_best(void **state)
{
    struct world best, ref;
    (void)state;

    open_world(&best, 2, NULL);
    open_world(&ref, 2, "ref");
    assert_string_equal(gram_runtime_cpu(ref.rt), "ref");
    float *a = logits_of(&best, 512, N), *b = logits_of(&ref, 512, N);
    must_be_close(&best, a, b, 2e-3);
    free(a), free(b);
    close_world(&best);
    close_world(&ref);
}

static void rewinding_forgets(void **state)
{
    struct world w;
    struct gram_error err;
    (void)state;

    open_world(&w, 2, NULL);
    const size_t vocab = (size_t)w.info.vocab;
    struct gram_session *session = open_session(&w, 512);
    float *first = calloc(vocab, sizeof *first), *again = calloc(vocab, sizeof *again);
    MUST(gram_session_feed(session, w.tokens, 40, first, 1, &err));
    MUST(gram_session_feed(session, w.tokens + 80, 50, NULL, 0, &err));
    gram_session_rewind(session, 0);
    MUST(gram_session_feed(session, w.tokens, 40, again, 1, &err));
    assert_memory_equal(first, again, vocab * sizeof *first);
    free(first), free(again);
    gram_session_close(&session);
    close_world(&w);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
    struct world w;
    struct gram_error err;
    (void)state;

    open_world(&w, 1, NULL);
    struct gram_session *session = open_session(&w, 512);
    const int32_t outside[] = {0, (int32_t)w.info.vocab}, negative = -1;
    MUST(gram_session_feed(session, w.tokens, N - 1, NULL, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "do not fit", gram_session_feed(session, w.tokens, 2, NULL, 0, &err));
    gram_session_rewind(session, 3);
    MUST_FAIL(GRAM_EINVAL, "position 1", gram_session_feed(session, outside, 2, NULL, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "-1", gram_session_feed(session, &negative, 1, NULL, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "no tokens", gram_session_feed(session, w.tokens, 0, NULL, 0, &err));
    assert_int_equal(gram_session_length(session), 3);
    gram_session_close(&session);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_give_the_same_as_the_whole),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(integer_activations_are_as_precise_as_floats),
        cmocka_unit_test(quantized_logits_do_not_depend_on_threads),
        cmocka_unit_test(pieces_of_a_quantized_model_give_the_same_as_the_whole),
        cmocka_unit_test(unknown_activations_are_refused),
        cmocka_unit_test(the_scalar_level_agrees_with_the_best),
        cmocka_unit_test(rewinding_forgets),
        cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
