/* The sampler's filters against transformers' logits warpers, and its own promises. */
#include "support.h"

#include <math.h>

#include "engine/sampler.h"

enum { VOCAB = 64 };

/* Which ids survive must be those that the reference left above -Inf. */
static void compare(const char *file, struct gram_sampler_options options)
{
    char name[256];
    struct npy in = npy_load(shared_path("golden/sampling/warpers/logits.npy"));
    snprintf(name, sizeof name, "golden/sampling/warpers/%s.npy", file);
    struct npy out = npy_load(shared_path(name));
    double *logits = npy_doubles(&in), *want = npy_doubles(&out);
    const int64_t vocab = in.shape[in.rank - 1], rows = in.count / vocab;
    struct gram_candidate *heap = calloc((size_t)vocab, sizeof *heap);
    struct gram_candidate *kept = calloc((size_t)vocab, sizeof *kept);

    for (int64_t r = 0; r < rows; r++) {
        int64_t n_want = 0;
        for (int64_t i = 0; i < vocab; i++) {
            heap[i] = (struct gram_candidate){(float)logits[r * vocab + i], (int32_t)i};
            n_want += isfinite(want[r * vocab + i]);
        }
        const int64_t n = gram_sampler_filter(&options, heap, vocab, 0, kept);
        if (n != n_want)
            fail_msg("%s row %d: %d survive, the reference says %d", file, (int)r, (int)n,
                     (int)n_want);
        for (int64_t i = 0; i < n; i++)
            assert_true(isfinite(want[r * vocab + kept[i].id]));
    }
    free(heap), free(kept), free(logits), free(want), free(in.data), free(out.data);
}

static void filters_equal_transformers(void **state)
{
    struct gram_sampler_options o = GRAM_SAMPLER_OPTIONS_INIT;
    (void)state;
    need_shared("golden/sampling/warpers/case.json");
    o.top_k = 5;
    compare("out_topk5", o);
    o.top_k = 0, o.top_p = 0.9f;
    compare("out_topp0.9", o);
    o.top_p = 1, o.min_p = 0.1f;
    compare("out_minp0.1", o);
}

static void fill(float logits[VOCAB])
{
    for (int i = 0; i < VOCAB; i++)
        logits[i] = sinf((float)(i * i)) * 3;
}

static struct gram_sampler *open_sampler(struct gram_sampler_options options)
{
    struct gram_error err;
    struct gram_sampler *sampler;
    MUST(gram_sampler_open(&sampler, VOCAB, &options, &err));
    return sampler;
}

static void greedy_takes_the_first_of_the_highest(void **state)
{
    const struct gram_sampler_options o = GRAM_SAMPLER_OPTIONS_INIT;
    struct gram_sampler *sampler = open_sampler(o);
    struct gram_error err;
    float logits[VOCAB] = {0};
    int32_t token;
    (void)state;

    logits[7] = logits[9] = 2;
    logits[3] = NAN;
    MUST(gram_sampler_pick(sampler, logits, &token, &err));
    assert_int_equal(token, 7);
    for (int i = 0; i < VOCAB; i++)
        logits[i] = NAN;
    MUST_FAIL(GRAM_ENONFINITE, "finite", gram_sampler_pick(sampler, logits, &token, &err));
    gram_sampler_close(&sampler);
}

static void the_same_seed_makes_the_same_choices(void **state)
{
    struct gram_sampler_options o = GRAM_SAMPLER_OPTIONS_INIT;
    struct gram_error err;
    float logits[VOCAB];
    (void)state;

    fill(logits);
    o.temperature = 1.5f, o.top_k = 20, o.top_p = 0.95f, o.seed = 42;
    struct gram_sampler *a = open_sampler(o), *b = open_sampler(o);
    for (int i = 0; i < 1000; i++) {
        int32_t x, y;
        MUST(gram_sampler_pick(a, logits, &x, &err));
        MUST(gram_sampler_pick(b, logits, &y, &err));
        assert_int_equal(x, y);
    }
    gram_sampler_close(&a);
    gram_sampler_close(&b);
}

/* Leaving out what cannot survive changes no choice: filters of a large vocabulary against the plain way. */
static void a_large_vocabulary_is_cut_without_a_loss(void **state)
{
    enum { LARGE = 5000, TRIES = 40 };
    static const struct gram_sampler_options cases[] = {
        {sizeof cases[0], .temperature = 0.7f, .top_k = 40, .top_p = 1},
        {sizeof cases[0], .temperature = 1.3f, .top_k = 300, .top_p = 0.8f},
        {sizeof cases[0], .temperature = 1, .top_p = 0.9f},
        {sizeof cases[0], .temperature = 1, .top_p = 0.5f, .min_p = 0.02f},
        {sizeof cases[0], .temperature = 2, .top_p = 1, .min_p = 0.05f},
    };
    static float logits[LARGE];
    static struct gram_candidate heap[LARGE], kept[LARGE];
    struct gram_error err;

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct gram_sampler *s;
        MUST(gram_sampler_open(&s, LARGE, &cases[c], &err));
        for (int t = 0; t < TRIES; t++) {
            int32_t token;
            bool survives = false;
            for (int i = 0; i < LARGE; i++) {
                logits[i] = sinf((float)(i * 7919 % 5003 + 31 * t)) * 6;
                heap[i] = (struct gram_candidate){logits[i] / cases[c].temperature, i};
            }
            const int64_t n = gram_sampler_filter(&cases[c], heap, LARGE, 0, kept);
            MUST(gram_sampler_pick(s, logits, &token, &err));
            for (int64_t i = 0; i < n; i++)
                survives |= kept[i].id == token;
            assert_true(survives);
        }
        gram_sampler_close(&s);
    }
}

static void frequencies_follow_the_probabilities(void **state)
{
    enum { N = 200000 };
    struct gram_sampler_options o = GRAM_SAMPLER_OPTIONS_INIT;
    struct gram_error err;
    float logits[VOCAB];
    double total = 0;
    int counts[VOCAB] = {0};
    (void)state;

    fill(logits);
    o.temperature = 0.8f, o.seed = 1;
    struct gram_sampler *sampler = open_sampler(o);
    for (int i = 0; i < N; i++) {
        int32_t token;
        MUST(gram_sampler_pick(sampler, logits, &token, &err));
        counts[token]++;
    }
    for (int i = 0; i < VOCAB; i++)
        total += exp((double)logits[i] / 0.8);
    for (int i = 0; i < VOCAB; i++) {
        const double p = exp((double)logits[i] / 0.8) / total;
        /* five standard deviations of a binomial count */
        assert_true(fabs(counts[i] - N * p) <= 5 * sqrt(N * p * (1 - p)) + 1);
    }
    gram_sampler_close(&sampler);
}

static void options_out_of_range_are_refused(void **state)
{
    struct gram_sampler_options o = GRAM_SAMPLER_OPTIONS_INIT;
    struct gram_sampler *sampler;
    struct gram_error err;
    (void)state;

    o.top_p = 0;
    MUST_FAIL(GRAM_EINVAL, "top-p", gram_sampler_open(&sampler, VOCAB, &o, &err));
    o.top_p = 1, o.temperature = -1;
    MUST_FAIL(GRAM_EINVAL, "temperature", gram_sampler_open(&sampler, VOCAB, &o, &err));
    o.temperature = NAN;
    MUST_FAIL(GRAM_EINVAL, "temperature", gram_sampler_open(&sampler, VOCAB, &o, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_equal_transformers),
        cmocka_unit_test(greedy_takes_the_first_of_the_highest),
        cmocka_unit_test(the_same_seed_makes_the_same_choices),
        cmocka_unit_test(a_large_vocabulary_is_cut_without_a_loss),
        cmocka_unit_test(frequencies_follow_the_probabilities),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
