/* Rounding in training against torch: values, gradients, learned scales, moving ranges; and on every grid. */
#include <math.h>

#include "calib/observe.h"
#include "graph/fake_acts.h"
#include "support.h"
#include "tensor/scheme.h"
#include "train/channels.h"
#include "train/coreset.h"
#include "train/fake.h"

enum { ROWS = 7, COLS = 12, N = ROWS * COLS, STEPS = 5, CHANNELS = 6, WIDE = 16 };

static double *golden(const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "golden/quant/torch/fake_quant/%s.npy", name);
    need_shared(path);
    const struct npy npy = npy_load(shared_path(path));
    double *values = npy_doubles(&npy);
    free(npy.data);
    return values;
}

static void take(float *to, const char *name, int n)
{
    double *from = golden(name);

    for (int i = 0; i < n; i++)
        to[i] = (float)from[i];
    free(from);
}

static void hold(const char *what, const float *got, const char *name, int n, double tolerance)
{
    double *right = golden(name);

    for (int i = 0; i < n; i++)
        if (!(fabs((double)got[i] - right[i]) <= tolerance * (1.0 + fabs(right[i]))))
            fail_msg("%s: %s[%d] is %.9g, not %.9g", what, name, i, (double)got[i], right[i]);
    free(right);
}

static const char *named(const char *name, const char *part)
{
    static char text[2][80];
    static int next;
    char *to = text[next++ % 2];

    snprintf(to, sizeof text[0], "%s.%s", name, part);
    return to;
}

/* ---- one scale ---- */

static const struct scaled {
    const char *name;
    struct gram_fake_levels levels;
} scaled[] = {
    {"u8", {0.03f, 117, 0, 255}},       {"s8", {0.05f, 0, -128, 127}},
    {"s4", {0.4f, 0, -8, 7}},           {"u4", {0.5f, 6, 0, 15}},
    {"half_ties", {0.1f, 3, 0, 255}},
};

static void rounding_and_its_gradient_are_torchs(void **state)
{
    float x[N], g[N], y[N];

    (void)state;
    for (size_t i = 0; i < sizeof scaled / sizeof scaled[0]; i++) {
        const struct scaled *c = &scaled[i];
        take(x, "x", N);
        take(g, "grad_out", N);
        gram_fake_round(y, x, N, c->levels);
        gram_fake_pull_levels(g, x, y, N, c->levels, NULL);
        hold(c->name, y, named(c->name, "y"), N, 1e-6);
        hold(c->name, g, named(c->name, "grad"), N, 0.0);
    }
}

static void learned_scales_and_zeros_have_torchs_gradients(void **state)
{
    static const struct scaled cases[] = {{"lsq_sym", {0.11f, 0, -128, 127}},
                                          {"lsq_affine", {0.11f, 4, -128, 127}}};
    const double factor = 0.009681853268597943;
    float x[N], g[N], y[N];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct gram_fake_levels levels = cases[i].levels;
        double zero;
        take(x, "x", N);
        for (int k = 0; k < N; k++)
            x[k] = fmaxf(-20.0f, fminf(20.0f, x[k]));
        take(g, "grad_out", N);
        gram_fake_round(y, x, N, levels);
        const double log_scale = gram_fake_pull_levels(g, x, y, N, levels, &zero);
        const float of_scale = (float)(factor * log_scale / (double)levels.scale);
        const float of_zero = (float)(factor * zero);
        hold(cases[i].name, y, named(cases[i].name, "y"), N, 1e-6);
        hold(cases[i].name, g, named(cases[i].name, "grad_x"), N, 0.0);
        hold(cases[i].name, &of_scale, named(cases[i].name, "grad_scale"), 1, 1e-4);
        hold(cases[i].name, &of_zero, named(cases[i].name, "grad_zp"), 1, 1e-5);
    }
}

static void channels_of_their_own_scale_are_torchs(void **state)
{
    float x[N], g[N], scales[COLS], zeros[COLS], y[N], grad[N];

    (void)state;
    take(x, "x", N);
    take(g, "grad_out", N);
    take(scales, "pch.scale", COLS);
    take(zeros, "pch.zp", COLS);
    for (int c = 0; c < COLS; c++) {
        const struct gram_fake_levels levels = {scales[c], zeros[c], -128, 127};
        for (int r = 0; r < ROWS; r++) {
            const int at = r * COLS + c;
            gram_fake_round(&y[at], &x[at], 1, levels);
            grad[at] = g[at];
            gram_fake_pull_levels(&grad[at], &x[at], &y[at], 1, levels, NULL);
        }
    }
    hold("channels", y, "pch.y", N, 1e-6);
    hold("channels", grad, "pch.grad", N, 0.0);
}

/* ---- ranges ---- */

static void moving_ranges_are_torchs(void **state)
{
    static const struct {
        const char *name;
        bool is_signed, is_symmetric, is_reduced;
        int channels;
    } cases[] = {{"seq.FusedMovingAvg_u8", false, false, false, 1},
                 {"seq.FakeQuantize_mavg_u8", false, false, false, 1},
                 {"seq.FusedMovingAvg_u8_rr", false, false, true, 1},
                 {"seq.FusedMovingAvg_s8_sym", true, true, false, 1},
                 {"seq.FusedMovingAvg_pch_s8", true, true, false, CHANNELS}};
    static float x[STEPS * CHANNELS * WIDE], y[STEPS * CHANNELS * WIDE];

    (void)state;
    take(x, "seq_X", STEPS * CHANNELS * WIDE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct gram_levels levels = gram_levels_of(
            cases[i].is_signed, cases[i].is_symmetric, cases[i].is_reduced);
        const int n = CHANNELS * WIDE / cases[i].channels;
        struct gram_moving_range ranges[CHANNELS] = {{0}};
        float scales[STEPS * CHANNELS];
        for (int at = 0; at < STEPS * cases[i].channels; at++) {
            struct gram_moving_range *range = &ranges[at % cases[i].channels];
            const float *from = x + at * n;
            float low = from[0], high = from[0];
            for (int k = 1; k < n; k++)
                low = fminf(low, from[k]), high = fmaxf(high, from[k]);
            gram_moving_range_add(range, low, high);
            struct gram_scale s = gram_levels_scale(&levels, range->low, range->high);
            if (cases[i].is_symmetric)
                s.scale = gram_moving_range_scale(range);
            scales[at] = s.scale;
            gram_fake_round(y + at * n, from, n,
                            (struct gram_fake_levels){s.scale, (float)s.zero, (float)levels.low,
                                                      (float)levels.high});
        }
        hold(cases[i].name, scales, named(cases[i].name, "scale"), STEPS * cases[i].channels, 1e-6);
        hold(cases[i].name, y, named(cases[i].name, "y"), STEPS * CHANNELS * WIDE, 1e-5);
    }
}

/* ---- every grid ---- */

static float near(float x, float y)
{
    return fabsf(x - y);
}

enum { FAKE_ROWS = 3, FAKE_COLS = 32, FAKES = FAKE_ROWS * FAKE_COLS };

/* What passes in one direction alone is cut off, and leads back to the grid. */
static bool is_inside(const char *scheme, float up, float down, float w, float q)
{
    if (up == 0.0f && down == 0.0f)
        fail_msg("%s: a weight that is cut off cannot return", scheme);
    if (up == 0.0f || down == 0.0f)
        assert_true((up + down > 0.0f) == (w > q));
    return up != 0.0f && down != 0.0f;
}

/* Gradients pass where values are not cut off, and the step's is what the straight-through estimator says. */
static void every_grid_lets_gradients_through_where_it_does_not_cut_off(void **state)
{
    static const struct {
        const char *scheme;
        int64_t span;
    } cases[] = {{"w2a16-channel", 32},      {"w3a16-g16", 16},   {"w4a16-asym-g16", 16},
                 {"w5a16-channel", 32},      {"w8a16", 32},       {"nf4", 32},
                 {"fp4", 32},                {"fp8", 32},         {"ternary", 32},
                 {"w2a16-channel-asym", 32}, {"w6a16-g32", 32}};
    struct gram_error err;
    struct gram_pool *pool;

    (void)state;
    MUST(gram_pool_open(&pool, 2, &err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_arena arena = {0};
        struct gram_scheme scheme;
        struct gram_fake fake;
        float w[FAKES], g[FAKES], h[FAKES];
        double expected = 0.0, sum = 0.0;
        int64_t inside = 0;
        MUST(gram_scheme_parse(&scheme, cases[i].scheme, &err));
        const struct gram_grid grid = gram_scheme_grid(&scheme, GRAM_F32);
        for (int k = 0; k < FAKES; k++) {
            w[k] = sinf(1.7f * (float)k) + 0.3f * cosf(0.3f * (float)k);
            g[k] = cosf(2.1f * (float)k);
            h[k] = -g[k];
        }
        MUST(gram_fake_open(&fake, &grid, FAKE_ROWS, FAKE_COLS, cases[i].span, false, w, pool, &arena, &err));
        gram_fake_fill(&fake, pool);
        gram_fake_pull(&fake, g, pool);
        for (int64_t s = 0; s < fake.n_steps; s++)
            sum += (double)fake.g_logs[s];
        gram_fake_pull(&fake, h, pool);
        for (int k = 0; k < FAKES; k++) {
            const bool passes = is_inside(cases[i].scheme, g[k], h[k], w[k], fake.quantized[k]);
            const float slope = cosf(2.1f * (float)k);
            inside += passes;
            assert_true(g[k] == slope || (!passes && g[k] == 0.0f));
            assert_true(!passes || near(fake.quantized[k], w[k]) < 1.2f); /* rounded to what is nearest */
            expected += (double)slope * ((double)fake.quantized[k] - (passes ? (double)w[k] : 0.0));
        }
        assert_true(fabs(sum - (double)fake.share * expected) < 1e-4);
        if (inside < FAKES / 2)
            fail_msg("%s: only %d of %d pass", cases[i].scheme, (int)inside, FAKES);
        gram_arena_reset(&arena);
    }
    gram_pool_close(&pool);
}

/* ---- which channels, which samples ---- */

static void the_channels_of_greatest_magnitude_are_chosen(void **state)
{
    const float w[] = {1, -1, 4, -4, 0, 0, 3, 3, 4, 4};
    struct gram_arena arena = {0};
    float g[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const bool *moves = gram_channels_choose(w, 5, 2, 0.3, &arena); /* two, rounded up */

    (void)state;
    assert_true(moves[1] && moves[4] && !moves[0] && !moves[2] && !moves[3]);
    gram_channels_hold(g, moves, 5, 2);
    assert_true(g[0] == 0.0f && g[2] == 1.0f && g[3] == 1.0f && g[7] == 0.0f && g[9] == 1.0f);
    gram_arena_reset(&arena);
}

static void the_samples_of_greatest_score_are_chosen_and_of_equals_the_earlier(void **state)
{
    struct gram_score scores[] = {{.mixed = 1, .sample = 0}, {.mixed = 3, .sample = 1},
                                  {.mixed = 2, .sample = 2}, {.mixed = 2, .sample = 3},
                                  {.mixed = 0, .sample = 4}};
    float chosen[5];

    (void)state;
    gram_coreset_choose(chosen, scores, 5, 0.4);
    assert_true(chosen[0] == 0 && chosen[1] == 1 && chosen[2] == 1 && chosen[3] == 0 && chosen[4] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_and_its_gradient_are_torchs),
        cmocka_unit_test(learned_scales_and_zeros_have_torchs_gradients),
        cmocka_unit_test(channels_of_their_own_scale_are_torchs),
        cmocka_unit_test(moving_ranges_are_torchs),
        cmocka_unit_test(every_grid_lets_gradients_through_where_it_does_not_cut_off),
        cmocka_unit_test(the_channels_of_greatest_magnitude_are_chosen),
        cmocka_unit_test(the_samples_of_greatest_score_are_chosen_and_of_equals_the_earlier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
