/*
 * int8 linears as torch.ao.quantization computes them (golden/quant/torch/quantized_linear): weights by our
 * grids, activations by our observers and levels, the product in plain loops.
 */
#include "solving.h"

#include "base/cpu.h"
#include "calib/observe.h"

#define FOLDER "golden/quant/torch/quantized_linear/"

enum { MOST = 1024 };

static struct npy golden(const char *kind, const char *engine, const char *granularity, const char *what)
{
    char path[160];

    snprintf(path, sizeof path, FOLDER "%s%s%s%s%s%s%s.npy", kind, *kind ? "." : "", engine,
             *engine ? "." : "", granularity, *granularity ? "." : "", what);
    return npy_load(shared_path(path));
}

/* The range that an observer keeps of x[n][cols], one window. */
static struct gram_scale observe(const float *x, int64_t n, int64_t cols, const struct gram_levels *levels)
{
    const struct gram_observer *observer;
    struct gram_input_stats stats = {0};
    struct gram_arena arena = {0};
    struct gram_kernels kernels;
    struct gram_pool *pool;
    struct gram_error err;

    gram_kernels_init(&kernels, gram_cpu_detect());
    MUST(gram_observer_find(&observer, "minmax", &err));
    MUST(gram_pool_open(&pool, 1, &err));
    assert_true(gram_stats_open(&stats, observer->needs, cols, &arena));
    gram_stats_add(&stats, &kernels, pool, x, n);
    gram_stats_close(&stats);
    const struct gram_clip clip = observer->clip(&stats, levels);
    gram_pool_close(&pool);
    gram_arena_reset(&arena);
    return gram_levels_scale(levels, clip.low, clip.high);
}

static int code_of(float x, struct gram_scale s, const struct gram_levels *levels)
{
    const int code = (int)rintf(x / s.scale) + s.zero;
    return code < levels->low ? levels->low : code > levels->high ? levels->high : code;
}

/* A linear whose weight is coded, and the golden codes of it. */
struct coded_linear {
    struct solving s;
    struct gram_coded coded;
};

static void code_weights(struct coded_linear *l, bool is_one)
{
    const struct gram_grid grid = grid_of(8, false, GRAM_F32);
    struct npy w = golden("", "", "", "W");

    solving_open(&l->s, w.shape[0], w.shape[1], 1);
    memcpy(l->s.w, w.data, (size_t)w.count * sizeof(float));
    assert_true(gram_coded_open(&l->coded, &grid, l->s.rows, l->s.cols, l->s.cols, is_one, &l->s.arena));
    const struct gram_step_rule rule = {0};
    gram_steps_find(&l->coded, l->s.w, &rule, l->s.pool);
    for (int64_t r = 0; r < l->s.rows; r++)
        gram_grid_encode(l->coded.codes + r * l->s.cols, &grid, *gram_coded_step(&l->coded, r, 0),
                         l->s.w + r * l->s.cols, l->s.cols);
    free(w.data);
}

/* Exact, but where a weight lies between two codes: torch multiplies by 1 / scale. */
static void weights_are(const struct coded_linear *l, const char *kind, const char *engine,
                        const char *granularity)
{
    struct npy want = golden(kind, engine, granularity, "w_int");

    for (int64_t i = 0; i < want.count; i++) {
        const struct gram_step step = *gram_coded_step(&l->coded, i / l->s.cols, 0);
        const float place = l->s.w[i] / step.scale;
        const bool is_tie = fabsf(place - floorf(place) - 0.5f) < 1e-5f;
        if (l->coded.codes[i] - 128 != ((int8_t *)want.data)[i] && !is_tie)
            fail_msg("%s %s %s: code %d of weight %d", kind, engine, granularity, l->coded.codes[i] - 128,
                     (int)i);
        l->coded.codes[i] = (uint8_t)(((int8_t *)want.data)[i] + 128);
    }
    free(want.data);
}

/* y[t][r] of codes x[t][k] less their zero point, with the bias. */
static float product(const struct coded_linear *l, const int *x, struct gram_scale s, const float *bias,
                     int64_t t, int64_t r)
{
    int32_t sum = 0;

    for (int64_t k = 0; k < l->s.cols; k++)
        sum += (x[t * l->s.cols + k] - s.zero) * (l->coded.codes[r * l->s.cols + k] - 128);
    return (float)sum * (s.scale * gram_coded_step(&l->coded, r, 0)->scale) + bias[r];
}

static void check_dynamic(struct coded_linear *l, const char *engine, const char *granularity)
{
    struct npy x = golden("", "", "", "X"), bias = golden("", "", "", "bias");
    struct npy want = golden("dyn", engine, granularity, "y");
    struct npy scales = golden("dyn", engine, granularity, "w_scale");
    const struct gram_levels levels = gram_levels_of(false, false, strcmp(engine, "onednn") == 0);
    const struct gram_scale s = observe(x.data, x.shape[0], x.shape[1], &levels);
    int codes[MOST];

    for (int64_t i = 0; i < scales.count; i++)
        assert_float_equal(gram_coded_step(&l->coded, i, 0)->scale, ((float *)scales.data)[i], 0);
    weights_are(l, "dyn", engine, granularity);
    assert_true(x.count <= MOST);
    for (int64_t i = 0; i < x.count; i++)
        codes[i] = code_of(((float *)x.data)[i], s, &levels);
    for (int64_t i = 0; i < want.count; i++)
        assert_float_equal(product(l, codes, s, bias.data, i / l->s.rows, i % l->s.rows),
                           ((float *)want.data)[i], 2e-6);
    free(x.data), free(bias.data), free(want.data), free(scales.data);
}

static void check_static(struct coded_linear *l, const char *engine, const char *granularity)
{
    const struct gram_scale out = {0.07746700197458267f, 137}; /* case.json */
    const struct gram_levels levels = gram_levels_of(false, false, false);
    struct npy calib = golden("", "", "", "calib"), x = golden("", "", "", "X");
    struct npy bias = golden("", "", "", "bias");
    struct npy x_int = golden("static", engine, granularity, "x_int");
    struct npy y_int = golden("static", engine, granularity, "y_int");
    const struct gram_scale s =
        observe(calib.data, calib.shape[0] * calib.shape[1], calib.shape[2], &levels);
    int codes[MOST];

    assert_float_equal(s.scale, 0.05154285207390785f, 1e-8);
    assert_int_equal(s.zero, 118);
    weights_are(l, "static", engine, granularity);
    for (int64_t i = 0; i < x.count; i++) {
        codes[i] = code_of(((float *)x.data)[i], s, &levels);
        assert_int_equal(codes[i], ((uint8_t *)x_int.data)[i]);
    }
    for (int64_t i = 0; i < y_int.count; i++) {
        const float y = product(l, codes, s, bias.data, i / l->s.rows, i % l->s.rows);
        const int far = abs(code_of(y, out, &levels) - ((uint8_t *)y_int.data)[i]);
        assert_true(far <= 1); /* case.json: engines round differently */
    }
    free(calib.data), free(x.data), free(bias.data), free(x_int.data), free(y_int.data);
}

static void int8_linears_compute_what_torch_does(void **state)
{
    static const char *const engines[] = {"qnnpack", "onednn"}, *const granularities[] = {"pt", "pc"};
    (void)state;

    need_shared(FOLDER "case.json");
    for (int e = 0; e < 2; e++) {
        for (int g = 0; g < 2; g++) {
            struct coded_linear l;
            code_weights(&l, g == 0);
            check_dynamic(&l, engines[e], granularities[g]);
            check_static(&l, engines[e], granularities[g]);
            solving_close(&l.s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_linears_compute_what_torch_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
