/* Sessions on the repository's own model: the same answer however the tokens arrive, and clean refusals. */
#include "world.h"

#include <malloc.h>
#include <math.h>
#include <sys/resource.h>

static void open_world(struct world *w, int threads, const char *cpu)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;

    options.threads = threads;
    options.cpu = cpu;
    open_path(w, source_path("models/hamlet"), &options);
}

/* The model quantized, with activations as named (NULL: the default). */
static void open_quantized(struct world *w, const char *scheme, const char *activations)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;

    options.threads = 2;
    options.activations = activations;
    open_path(w, quantized(scheme), &options);
}

static void must_be_close(const struct world *w, const float *a, const float *b, double tolerance)
{
    for (int64_t i = 0; i < N * w->info.vocab; i++) {
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance))
            fail_msg("logit %lld: %g and %g", (long long)i, (double)a[i], (double)b[i]);
    }
}

/* However many threads, in whatever pieces. */
static void hold_every_way(const char *path, const char *kv)
{
    static const struct {
        int64_t batch;
        size_t step;
    } ways[] = {{512, N}, {512, 1}, {3, N}, {512, 3}, {512, 16}, {64, 33}};
    struct world one;

    open_threads(&one, path, 1);
    float *whole = logits_of(&one, 512, N, kv);
    for (int threads = 1; threads <= 3; threads++) {
        struct world w;
        open_threads(&w, path, threads);
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
            float *pieces = logits_of(&w, ways[i].batch, ways[i].step, kv);
            must_be_equal(&w, whole, pieces, N);
            free(pieces);
        }
        close_world(&w);
    }
    free(whole);
    close_world(&one);
}

static void pieces_and_threads_change_no_bit_of_floats(void **state)
{
    (void)state;
    hold_every_way(source_path("models/hamlet"), NULL);
}

static void pieces_and_threads_change_no_bit_of_int8(void **state)
{
    (void)state;
    hold_every_way(quantized("w8a8"), NULL);
}

static void pieces_and_threads_change_no_bit_of_int4(void **state)
{
    (void)state;
    hold_every_way(quantized("w4a16"), NULL);
}

static void pieces_and_threads_change_no_bit_of_any_cache(void **state)
{
    (void)state;
    hold_every_way(windowed(), "f32");
    hold_every_way(windowed(), "int8");
}

static const char *const schemes[] = {"w8a16", "w6a16", "w5a16-g64", "w4a16", "w4a16-g32-asym",
                                      "w3a16", "w2a16-g64", "w8a16-tensor", "nf4", "fp4"};

static void integer_activations_are_as_precise_as_floats(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct world floats, ints;
        open_quantized(&floats, schemes[i], "f32");
        open_quantized(&ints, schemes[i], NULL);
        float *a = logits_of(&floats, 512, N, "f32"), *b = logits_of(&ints, 512, N, "f32");
        must_be_close(&floats, a, b, 5e-3); /* of logits up to 30; int8 alone is off by 0.3 */
        free(a), free(b);
        close_world(&floats);
        close_world(&ints);
    }
}

static void smaller_caches_are_close(void **state)
{
    static const struct {
        const char *kv;
        double tolerance; /* of logits up to 30 */
    } kinds[] = {{"f16", 0.02}, {"int8", 0.5}};
    struct world w;
    (void)state;
    open_world(&w, 2, NULL);
    float *exact = logits_of(&w, 512, N, "f32");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        float *rounded = logits_of(&w, 512, N, kinds[i].kv);
        must_be_close(&w, exact, rounded, kinds[i].tolerance);
        free(rounded);
    }
    free(exact);
    close_world(&w);
}

static long peak_kib(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void a_cache_takes_memory_as_it_is_filled(void **state)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    struct gram_session *session;
    struct gram_error err;
    struct world w;
    (void)state;
#ifdef M_PERTURB
    mallopt(M_PERTURB, 0); /* which meson sets: it writes to all that is allocated */
#endif
    open_world(&w, 2, NULL);
    options.context = 1 << 19; /* 5 layers, 2 heads, 32 keys and values of 2 bytes: 640 MiB */
    const long before = peak_kib();
    MUST(gram_session_open(&session, w.model, &options, &err));
    MUST(gram_session_feed(session, w.tokens, N, NULL, 0, &err));
    assert_true(peak_kib() - before < 160 << 10);
    gram_session_close(&session);
    close_world(&w);
}

static void unknown_caches_are_refused(void **state)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    struct gram_session *session;
    struct gram_error err;
    struct world w;
    (void)state;
    open_world(&w, 1, NULL);
    options.kv = "int7";
    MUST_FAIL(GRAM_EINVAL, "int7", gram_session_open(&session, w.model, &options, &err));
    assert_null(session);
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
    float *a = logits_of(&best, 512, N, "f32"), *b = logits_of(&ref, 512, N, "f32");
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
    struct gram_session *session = open_session(&w, 512, NULL);
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
    struct gram_session *session = open_session(&w, 512, NULL);
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
        cmocka_unit_test(pieces_and_threads_change_no_bit_of_floats),
        cmocka_unit_test(pieces_and_threads_change_no_bit_of_int8),
        cmocka_unit_test(pieces_and_threads_change_no_bit_of_int4),
        cmocka_unit_test(pieces_and_threads_change_no_bit_of_any_cache),
        cmocka_unit_test(integer_activations_are_as_precise_as_floats),
        cmocka_unit_test(smaller_caches_are_close),
        cmocka_unit_test(unknown_activations_are_refused),
        cmocka_unit_test(a_cache_takes_memory_as_it_is_filled),
        cmocka_unit_test(unknown_caches_are_refused),
        cmocka_unit_test(the_scalar_level_agrees_with_the_best),
        cmocka_unit_test(rewinding_forgets),
        cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
