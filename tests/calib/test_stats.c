/* Statistics of inputs against plain loops, and for any number of threads. */
#include "support.h"

#include <math.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "calib/histogram.h"
#include "calib/stats.h"

enum { ALL = GRAM_NEED_RANGE | GRAM_NEED_MEAN_ABS | GRAM_NEED_GRAM | GRAM_NEED_HISTOGRAM };

static float *random_tokens(int64_t n, int64_t cols, uint64_t seed)
{
    struct gram_rng rng = {seed};
    float *x = malloc((size_t)(n * cols) * sizeof *x);

    assert_non_null(x);
    for (int64_t i = 0; i < n * cols; i++) {
        const double u = 2 * gram_rng_unit(&rng) - 1;
        x[i] = (float)(u * u * u * (double)(1 + i % cols % 7)) + (i % cols == 3 ? 0.5f : 0.0f);
    }
    return x;
}

/* x[n][cols] as windows of `window` tokens. */
static void collect(struct gram_input_stats *stats, struct gram_arena *arena, const float *x,
                    int64_t n, int64_t cols, int64_t window, int threads)
{
    struct gram_kernels kernels;
    struct gram_pool *pool;
    struct gram_error err;

    gram_kernels_init(&kernels, gram_cpu_detect());
    MUST(gram_pool_open(&pool, threads, &err));
    assert_true(gram_stats_open(stats, ALL, cols, arena));
    for (int64_t t = 0; t < n; t += window)
        gram_stats_add(stats, &kernels, pool, x + t * cols, n - t < window ? n - t : window);
    gram_stats_close(stats);
    gram_pool_close(&pool);
}

static void check_channel(const struct gram_input_stats *s, const float *x, int64_t n, int64_t k)
{
    float low = INFINITY, high = -INFINITY;
    double sum = 0;

    for (int64_t t = 0; t < n; t++) {
        const float value = x[t * s->cols + k];
        low = fminf(low, value);
        high = fmaxf(high, value);
        sum += fabs((double)value);
    }
    assert_true(s->low[k] == low && s->high[k] == high);
    assert_true(s->absmax[k] == fmaxf(fabsf(low), fabsf(high)));
    assert_true(fabs((double)s->mean_abs[k] - sum / (double)n) <= 1e-6 * sum / (double)n);
}

/* Rounding of a chain of n f32 sums: at most n / 2 ulp of the sum of magnitudes, far less in practice. */
static void check_cross(const struct gram_input_stats *s, const float *x, int64_t n)
{
    for (int64_t i = 0; i < s->cols; i++) {
        for (int64_t j = 0; j < s->cols; j++) {
            double sum = 0, size = 0;
            for (int64_t t = 0; t < n; t++) {
                const double product = (double)x[t * s->cols + i] * (double)x[t * s->cols + j];
                sum += product;
                size += fabs(product);
            }
            const double got = (double)s->gram[i * s->cols + j];
            assert_true(fabs(got - sum / (double)n) <= 4e-6 * size / (double)n);
            assert_true(s->gram[i * s->cols + j] == s->gram[j * s->cols + i]);
        }
    }
}

static void statistics_equal_plain_loops(void **state)
{
    static const struct {
        int64_t n, cols, window;
    } cases[] = {{1, 1, 1}, {5, 3, 2}, {256, 16, 256}, {300, 70, 64}, {513, 200, 500}, {40, 97, 7}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t n = cases[i].n, cols = cases[i].cols;
        struct gram_arena arena = {0};
        struct gram_input_stats stats;
        float *x = random_tokens(n, cols, i);
        collect(&stats, &arena, x, n, cols, cases[i].window, 2);
        assert_int_equal(stats.tokens, n);
        for (int64_t k = 0; k < cols; k++)
            check_channel(&stats, x, n, k);
        check_cross(&stats, x, n);
        free(x);
        gram_arena_reset(&arena);
    }
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    enum { N = 700, COLS = 213 };
    float *x = random_tokens(N, COLS, 9);
    struct gram_arena arena = {0};
    struct gram_input_stats one, other;

    (void)state;
    collect(&one, &arena, x, N, COLS, 100, 1);
    for (int threads = 2; threads <= 3; threads++) {
        collect(&other, &arena, x, N, COLS, 100, threads);
        assert_memory_equal(one.gram, other.gram, COLS * COLS * sizeof(float));
        assert_memory_equal(one.low, other.low, COLS * sizeof(float));
        assert_memory_equal(one.high, other.high, COLS * sizeof(float));
        assert_memory_equal(one.mean_abs, other.mean_abs, COLS * sizeof(float));
        assert_memory_equal(one.histogram->count, other.histogram->count,
                            sizeof one.histogram->count);
        assert_true(one.moving_low == other.moving_low && one.moving_high == other.moving_high);
    }
    gram_arena_reset(&arena);
    free(x);
}

static void second_moments_do_not_depend_on_the_windows(void **state)
{
    enum { N = 600, COLS = 50 };
    float *x = random_tokens(N, COLS, 4);
    struct gram_arena arena = {0};
    struct gram_input_stats whole, cut;

    (void)state;
    collect(&whole, &arena, x, N, COLS, N, 2);
    collect(&cut, &arena, x, N, COLS, 13, 2);
    assert_memory_equal(whole.gram, cut.gram, COLS * COLS * sizeof(float));
    gram_arena_reset(&arena);
    free(x);
}

static void only_what_was_asked_for_is_there(void **state)
{
    struct gram_arena arena = {0};
    struct gram_input_stats stats;

    (void)state;
    assert_true(gram_stats_open(&stats, GRAM_NEED_MEAN_ABS, 8, &arena));
    assert_non_null(stats.mean_abs);
    assert_null(stats.low);
    assert_null(stats.gram);
    assert_null(stats.histogram);
    gram_stats_close(&stats);
    assert_int_equal(stats.tokens, 0);
    gram_arena_reset(&arena);
}

static void a_growing_histogram_loses_no_value(void **state)
{
    static const float windows[][4] = {
        {0.1f, 0.2f, 0.3f, 0.4f}, {-5.0f, 0.25f, 0.0f, 0.1f}, {100.0f, 1.0f, 2.0f, 3.0f}, {0}};
    struct gram_arena arena = {0};
    struct gram_pool *pool;
    struct gram_error err;
    double sum = 0, inside = 0;

    (void)state;
    MUST(gram_pool_open(&pool, 2, &err));
    struct gram_histogram *h = gram_histogram_open(GRAM_HISTOGRAM_BINS, &arena);
    assert_non_null(h);
    for (int i = 0; i < 4; i++) {
        float low = windows[i][0], high = low;
        for (int k = 0; k < 4; k++) {
            low = fminf(low, windows[i][k]);
            high = fmaxf(high, windows[i][k]);
        }
        gram_histogram_add(h, pool, windows[i], 4, low, high);
        assert_true(h->low <= (double)low && h->high >= (double)high);
    }
    const double width = (h->high - h->low) / h->bins;
    for (int b = 0; b < h->bins; b++) {
        sum += h->count[b];
        inside += h->low + b * width >= -width && h->low + b * width <= 0.5 ? h->count[b] : 0;
    }
    assert_true(sum == 16);
    assert_true(inside == 11); /* all but -5, 1, 2, 3, 100 */
    gram_pool_close(&pool);
    gram_arena_reset(&arena);
}

static void a_merged_histogram_has_the_values_of_both(void **state)
{
    const float x[] = {0.0f, 1.0f, 0.25f, 0.75f}, y[] = {-3.0f, 7.0f, 0.1f, 0.2f, 6.9f};
    struct gram_arena arena = {0};
    struct gram_pool *pool;
    struct gram_error err;
    double sum = 0, above = 0;
    (void)state;

    MUST(gram_pool_open(&pool, 2, &err));
    struct gram_histogram *a = gram_histogram_open(GRAM_HISTOGRAM_BINS, &arena);
    struct gram_histogram *b = gram_histogram_open(GRAM_HISTOGRAM_BINS, &arena);
    struct gram_histogram *both = gram_histogram_open(GRAM_HISTOGRAM_BINS, &arena);
    gram_histogram_add(a, pool, x, 4, 0, 1);
    gram_histogram_add(b, pool, y, 5, -3, 7);
    gram_histogram_take(both, a->count, a->low, a->high);
    assert_memory_equal(both->count, a->count, sizeof a->count);
    gram_histogram_merge(both, b->count, b->low, b->high);
    assert_true(both->low <= -3 && both->high >= 7);
    const double width = (both->high - both->low) / both->bins;
    for (int i = 0; i < both->bins; i++) {
        sum += both->count[i];
        above += both->low + (i + 1) * width > 6.8 ? both->count[i] : 0;
    }
    assert_true(sum == 9 && above == 2);
    gram_pool_close(&pool);
    gram_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_equal_plain_loops),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(second_moments_do_not_depend_on_the_windows),
        cmocka_unit_test(only_what_was_asked_for_is_there),
        cmocka_unit_test(a_growing_histogram_loses_no_value),
        cmocka_unit_test(a_merged_histogram_has_the_values_of_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
