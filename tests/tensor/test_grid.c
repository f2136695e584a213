/* Grids: what is encoded decodes to within half a step, every scale is of its type, nothing is not
 * finite. */
#include "support.h"

#include <float.h>
#include <math.h>

#include "base/half.h"
#include "base/rng.h"
#include "quant/method.h"
#include "tensor/dtype.h"
#include "tensor/finite.h"
#include "tensor/grid.h"
#include "tensor/weight.h"

static const int widths[] = {2, 3, 4, 5, 6, 8};
static const enum gram_dtype scale_types[] = {GRAM_F32, GRAM_F16, GRAM_BF16};
static const int64_t runs[] = {16, 17, 43, 64, 128, 172};
enum { MAX_RUN = 172 };

#define EACH(item, array) for (size_t item = 0; item < sizeof array / sizeof array[0]; item++)

static float normal(struct gram_rng *rng)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += gram_rng_unit(rng);
    return (float)sum;
}

/* Weights of the kinds that break quantizers. */
static void fill(float *x, int64_t n, int kind, struct gram_rng *rng)
{
    static const float constants[] = {0.0f,     -0.0f,     0.02f,     -3.0f,      FLT_MAX,
                                      -FLT_MAX, 0x1p-149f, 0x1p-130f, -0x1p-126f, 1e-30f};
    enum { N_CONSTANTS = sizeof constants / sizeof constants[0] };

    for (int64_t i = 0; i < n; i++)
        x[i] = kind < N_CONSTANTS ? constants[kind] : 0.02f * normal(rng);
    if (kind == N_CONSTANTS)
        x[n / 2] = 1e30f;
    if (kind == N_CONSTANTS + 1)
        x[0] = -1e30f;
    if (kind == N_CONSTANTS + 2)
        for (int64_t i = 0; i < n; i++)
            x[i] = fabsf(x[i]) + 1.0f; /* far from zero on one side */
}
enum { KINDS = 14 };

static bool is_of_type(float value, enum gram_dtype dtype)
{
    uint32_t bytes;
    float back;
    gram_write_f32(&bytes, dtype, 0, &value, 1);
    gram_read_f32(&back, &bytes, dtype, 0, 1);
    return back == value;
}

static void check_run(const struct gram_grid *grid, const float *x, int64_t n)
{
    struct gram_range range = {0};
    uint8_t codes[MAX_RUN], again[MAX_RUN];
    uint32_t packed[MAX_RUN / 4 + 1];
    float y[MAX_RUN];

    assert_true(gram_range_add(&range, x, n));
    const struct gram_step step = gram_grid_step(grid, range);
    assert_true(step.scale > 0 && isfinite(step.scale) &&
                is_of_type(step.scale, grid->scale_dtype));
    assert_true(step.zero >= -(1 << (grid->bits - 1)) && step.zero < 1 << (grid->bits - 1));
    const double error = gram_grid_encode(codes, grid, step, x, n);
    assert_true(isfinite(error) && error == gram_grid_error(grid, step, x, n));
    gram_codes_pack(packed, codes, n, grid->bits);
    gram_codes_unpack(again, packed, 0, n, grid->bits);
    assert_memory_equal(codes, again, (size_t)n);
    gram_grid_decode(y, grid, step, again, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_true(codes[i] < 1 << grid->bits);
        assert_true(isfinite(y[i]));
        sum += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
    }
    assert_true(fabs(sum - error) <= 1e-9 * error);
    /* what is decoded is on the grid: encoding it changes nothing */
    gram_grid_encode(again, grid, step, y, n);
    assert_memory_equal(codes, again, (size_t)n);
}

static void every_grid_round_trips_every_kind_of_weights(void **state)
{
    struct gram_rng rng = {7};
    float x[MAX_RUN];

    (void)state;
    EACH(b, widths)
    EACH(t, scale_types)
    EACH(r, runs)
    for (int kind = 0; kind < KINDS; kind++) {
        fill(x, runs[r], kind, &rng);
        for (int asymmetric = 0; asymmetric < 2; asymmetric++)
            check_run(&(struct gram_grid){.bits = widths[b],
                                          .asymmetric = asymmetric,
                                          .scale_dtype = scale_types[t]},
                      x, runs[r]);
    }
}

static void a_weight_inside_the_range_is_off_by_half_a_step_at_most(void **state)
{
    struct gram_rng rng = {8};
    float x[128], y[128];
    uint8_t codes[128];

    (void)state;
    EACH(b, widths)
    for (int asymmetric = 0; asymmetric < 2; asymmetric++) {
        const struct gram_grid grid = {.bits = widths[b],
                                       .asymmetric = asymmetric,
                                       .scale_dtype = GRAM_F32};
        struct gram_range range = {0};
        for (int i = 0; i < 128; i++)
            x[i] = normal(&rng);
        gram_range_add(&range, x, 128);
        const struct gram_step step = gram_grid_step(&grid, range);
        gram_grid_encode(codes, &grid, step, x, 128);
        gram_grid_decode(y, &grid, step, codes, 128);
        for (int i = 0; i < 128; i++)
            assert_true(fabsf(x[i] - y[i]) <= 0.50001f * step.scale * (asymmetric ? 2 : 1));
    }
}

/* calculate_qparams and round(clamp(w / scale)) of compressed-tensors, by hand. */
static void the_symmetric_rule_is_that_of_compressed_tensors(void **state)
{
    const float x[8] = {-7.5f, 7.5f, 0.5f, 1.5f, -0.5f, 2.5f, 7.4f, -1.0f}; /* scale is 1 */
    const struct gram_grid grid = {.bits = 4, .asymmetric = false, .scale_dtype = GRAM_F32};
    const uint8_t expected[8] = {0, 15, 8, 10, 8, 10, 15, 7};
    struct gram_range range = {0};
    uint8_t codes[8];

    (void)state;
    gram_range_add(&range, x, 8);
    const struct gram_step step = gram_grid_step(&grid, range);
    assert_true(step.scale == 1.0f && step.zero == 0);
    gram_grid_encode(codes, &grid, step, x, 8);
    assert_memory_equal(codes, expected, 8);
}

static void the_asymmetric_rule_is_that_of_compressed_tensors(void **state)
{
    const float x[4] = {-1.0f, 14.0f, 0.0f, 3.5f}; /* scale 1, zero = -8 + 1 */
    const struct gram_grid grid = {.bits = 4, .asymmetric = true, .scale_dtype = GRAM_F32};
    const uint8_t expected[4] = {0, 15, 1, 4}; /* 3.5 - 7 = -3.5 rounds to -4 */
    struct gram_range range = {0};
    uint8_t codes[4];

    (void)state;
    gram_range_add(&range, x, 4);
    const struct gram_step step = gram_grid_step(&grid, range);
    assert_true(step.scale == 1.0f);
    assert_int_equal(step.zero, -7);
    gram_grid_encode(codes, &grid, step, x, 4);
    assert_memory_equal(codes, expected, 4);
}

static void a_range_of_one_sign_is_extended_to_zero(void **state)
{
    const float x[2] = {2.0f, 6.0f};
    struct gram_range range = {0};

    (void)state;
    assert_true(gram_range_add(&range, x, 2));
    assert_true(range.low == 0.0f && range.high == 6.0f);
}

static void not_a_number_is_noticed_at_every_place(void **state)
{
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};

    (void)state;
    EACH(b, bad)
    for (int at = 0; at < 19; at++) {
        float x[19] = {1, -2, 3};
        struct gram_range range = {0};
        x[at] = bad[b];
        assert_false(gram_range_add(&range, x, 19));
        assert_int_equal(gram_find_nonfinite(x, GRAM_F32, 19), at);
    }
}

static void the_search_is_never_worse_than_rtn(void **state)
{
    const struct gram_method *rtn, *mse;
    struct gram_rng rng = {9};
    float x[MAX_RUN];
    int better = 0;

    (void)state;
    assert_int_equal(gram_method_find(&rtn, "rtn", NULL), GRAM_OK);
    assert_int_equal(gram_method_find(&mse, "mse", NULL), GRAM_OK);
    EACH(b, widths)
    EACH(t, scale_types)
    for (int round = 0; round < 40; round++) {
        const struct gram_grid grid = {.bits = widths[b],
                                       .asymmetric = round % 2,
                                       .scale_dtype = scale_types[t]};
        struct gram_range range = {0};
        fill(x, 128, round % KINDS, &rng);
        gram_range_add(&range, x, 128);
        const double a =
            gram_grid_error(&grid, gram_method_step(rtn, &grid, range, x, 128), x, 128);
        const double e =
            gram_grid_error(&grid, gram_method_step(mse, &grid, range, x, 128), x, 128);
        assert_true(e <= a);
        better += e < a;
    }
    assert_true(better > 100);
}

static void an_unknown_method_is_refused_with_the_known_ones(void **state)
{
    const struct gram_method *method;
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_EINVAL, "there are rtn, mse, gptq", gram_method_find(&method, "magic", &err));
    for (const struct gram_choice *c = gram_methods(); c->name; c++)
        MUST(gram_method_find(&method, c->name, &err));
}

static void nonfinite_halves_are_found_by_type(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint16_t bits = (uint16_t)h;
        assert_int_equal(gram_find_nonfinite(&bits, GRAM_F16, 1),
                         isfinite(gram_f32_from_f16(bits)) ? 1 : 0);
        assert_int_equal(gram_find_nonfinite(&bits, GRAM_BF16, 1),
                         isfinite(gram_f32_from_bf16(bits)) ? 1 : 0);
    }
    const double wide[3] = {1, DBL_MAX, INFINITY};
    assert_int_equal(gram_find_nonfinite(wide, GRAM_F64, 3), 2);
    const uint8_t bytes[2] = {0xff, 0xff};
    assert_int_equal(gram_find_nonfinite(bytes, GRAM_I8, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_grid_round_trips_every_kind_of_weights),
        cmocka_unit_test(a_weight_inside_the_range_is_off_by_half_a_step_at_most),
        cmocka_unit_test(the_symmetric_rule_is_that_of_compressed_tensors),
        cmocka_unit_test(the_asymmetric_rule_is_that_of_compressed_tensors),
        cmocka_unit_test(a_range_of_one_sign_is_extended_to_zero),
        cmocka_unit_test(not_a_number_is_noticed_at_every_place),
        cmocka_unit_test(the_search_is_never_worse_than_rtn),
        cmocka_unit_test(an_unknown_method_is_refused_with_the_known_ones),
        cmocka_unit_test(nonfinite_halves_are_found_by_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
