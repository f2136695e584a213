/* States of optimizers in 8 bits, and in a file: against a plain reading of the method, and each other. */
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/runtime.h"
#include "support.h"
#include "train/params.h"

enum { N = GRAM_STATES_LEAST + 300, STEPS = 5, BLOCK = GRAM_STATES_BLOCK };

static struct gram_runtime *rt;

static int open_world(void **state)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_error err;

    (void)state;
    options.threads = 3;
    return gram_runtime_open(&rt, &options, &err) == GRAM_OK ? 0 : -1;
}

static int close_world(void **state)
{
    (void)state;
    gram_runtime_close(&rt);
    return 0;
}

static const struct gram_optimizer *optimizer_of(const char *name)
{
    const struct gram_optimizer *o;
    struct gram_error err;
    MUST(gram_optimizer_find(&o, name, &err));
    return o;
}

/* Gradients of all sizes, some of them zero. */
static void fill(float *g, int64_t n, struct gram_rng *rng)
{
    for (int64_t i = 0; i < n; i++) {
        const double x = gram_rng_unit(rng) - 0.5;
        g[i] = i % 11 == 0 ? 0.0f : (float)(x * pow(10.0, -6.0 * gram_rng_unit(rng)));
    }
}

/* ---- the step in 8 bits, written out ---- */

static float nearest(float share, float x, const float map[256])
{
    int best = 0;

    for (int i = 1; i < 256; i++)
        if (fabsf(map[i] - share) < fabsf(map[best] - share))
            best = i;
    if (map[best] == 0.0f && x != 0.0f)
        best += x > 0.0f ? 1 : -1;
    return map[best];
}

/* x as it comes back from codes. */
static void round_block(float *x, int64_t n, const float map[256])
{
    float most = 0.0f;

    for (int64_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    for (int64_t i = 0; most > 0.0f && i < n; i++)
        x[i] = nearest(x[i] * (1.0f / most), x[i], map) * most;
}

static void load_map(float map[256], const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "golden/quant/bnb/tables/%s.npy", name);
    need_shared(path);
    const struct npy npy = npy_load(shared_path(path));
    double *values = npy_doubles(&npy);
    for (int i = 0; i < 256; i++)
        map[i] = (float)values[i];
    free(values);
    free(npy.data);
}

static void steps_in_8_bits_are_those_of_a_plain_reading(void **state)
{
    static float w[N], g[N], want[N], m[N], v[N];
    const struct gram_optimizer *coded = optimizer_of("adamw8bit"), *plain = optimizer_of("adamw");
    struct gram_optimizer_options options = GRAM_OPTIMIZER_OPTIONS_INIT;
    struct gram_param from = {.w = w, .g = g, .n = N, .is_decayed = true};
    struct gram_rng rng = {7};
    struct gram_params params;
    struct gram_error err;
    float any[256], positive[256];

    (void)state;
    load_map(any, "dynamic_map_signed");
    load_map(positive, "dynamic_map_unsigned");
    options.weight_decay = 0.1;
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    fill(w, N, &rng);
    memcpy(want, w, sizeof w);
    MUST(gram_params_open(&params, &from, 1, coded, rt->pool, &err));
    MUST(gram_params_place(&params, NULL, &err));
    for (int64_t t = 1; t <= STEPS; t++) {
        fill(g, N, &rng);
        gram_params_step(&params, &options, t);
        plain->update(&(struct gram_update){
            .options = &options, .step = t, .w = want, .g = g, .n = N, .state = {m, v}});
        for (int64_t i = 0; i < N; i += BLOCK) {
            const int64_t n = N - i < BLOCK ? N - i : BLOCK;
            round_block(m + i, n, any);
            round_block(v + i, n, positive);
        }
    }
    for (int64_t i = 0; i < N; i++)
        if (w[i] != want[i])
            fail_msg("weight %d is %.9g, not %.9g", (int)i, (double)w[i], (double)want[i]);
    gram_params_close(&params);
}

static void eight_bits_take_a_quarter_and_short_runs_stay_as_they_are(void **state)
{
    const struct gram_optimizer *coded = optimizer_of("adamw8bit"), *plain = optimizer_of("adamw");
    const int64_t large = 1 << 20, small = GRAM_STATES_LEAST - 1;

    (void)state;
    assert_int_equal(gram_states_bytes(plain, large), 8 * large);
    assert_int_equal(gram_states_bytes(coded, large), 2 * large + 2 * large / BLOCK * 4);
    assert_int_equal(gram_states_bytes(coded, small), gram_states_bytes(plain, small));
}

/* ---- where they lie, and how many threads ---- */

static void train(float *w, const char *name, const char *paged, struct gram_pool *pool)
{
    static float g[3 * N];
    struct gram_param from[2] = {{.w = w, .g = g, .n = 2 * N, .is_decayed = true},
                                 {.w = w + 2 * N, .g = g + 2 * N, .n = N}};
    struct gram_optimizer_options options = GRAM_OPTIMIZER_OPTIONS_INIT;
    struct gram_rng rng = {11};
    struct gram_params params;
    struct gram_error err;

    fill(w, 3 * N, &rng);
    MUST(gram_params_open(&params, from, 2, optimizer_of(name), pool, &err));
    MUST(gram_params_place(&params, paged, &err));
    for (int64_t t = 1; t <= STEPS; t++) {
        fill(g, 3 * N, &rng);
        gram_params_step(&params, &options, t);
    }
    gram_params_close(&params);
}

static void threads_and_files_change_no_bit(void **state)
{
    static const char *const names[] = {"sgd", "adamw", "adamw8bit", "rmsprop"};
    static float one[3 * N], other[3 * N];
    const char *folder = fresh_folder();
    struct gram_pool *alone;
    struct gram_error err;

    (void)state;
    MUST(gram_pool_open(&alone, 1, &err));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        train(one, names[i], NULL, alone);
        train(other, names[i], folder, rt->pool);
        assert_memory_equal(one, other, sizeof one);
    }
    gram_pool_close(&alone);
    assert_int_equal(rmdir(folder), 0); /* nothing was left there */
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    float w[1] = {0}, g[1] = {0};
    const struct gram_param from = {.w = w, .g = g, .n = 1};
    struct gram_params params;
    struct gram_error err;

    (void)state;
    MUST(gram_params_open(&params, &from, 1, optimizer_of("adamw"), rt->pool, &err));
    assert_int_equal(gram_params_place(&params, "/nowhere/at/all", &err), GRAM_ENOENT);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    gram_params_close(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_in_8_bits_are_those_of_a_plain_reading),
        cmocka_unit_test(eight_bits_take_a_quarter_and_short_runs_stay_as_they_are),
        cmocka_unit_test(threads_and_files_change_no_bit),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
