/* 16-bit floats: every value round-trips, and rounding is to nearest even. */
#include "support.h"

#include <math.h>

#include "base/half.h"

static void every_f16_round_trips(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float value = gram_f32_from_f16((uint16_t)h);
        if (isnan(value))
            assert_true(isnan(gram_f32_from_f16(gram_f16_from_f32(value))));
        else
            assert_int_equal(gram_f16_from_f32(value), h);
    }
}

static void every_bf16_round_trips(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float value = gram_f32_from_bf16((uint16_t)h);
        if (isnan(value))
            assert_true(isnan(gram_f32_from_bf16(gram_bf16_from_f32(value))));
        else
            assert_int_equal(gram_bf16_from_f32(value), h);
    }
}

static void f16_rounds_to_nearest_even_between_neighbours(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        const double low = (double)gram_f32_from_f16((uint16_t)h);
        const double high = (double)gram_f32_from_f16((uint16_t)(h + 1));
        const float middle = (float)((low + high) / 2);
        assert_int_equal(gram_f16_from_f32(middle), h % 2 ? h + 1 : h);
        assert_int_equal(gram_f16_from_f32(nextafterf(middle, 0)), h);
        assert_int_equal(gram_f16_from_f32(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(gram_f16_from_f32(65519.99f), 0x7bff);
    assert_int_equal(gram_f16_from_f32(65520.0f), 0x7c00);
}

static void bf16_rounds_ties_to_even(void **state)
{
    (void)state;
    assert_int_equal(gram_bf16_from_f32(gram_f32_from_bits(0x3f808000)), 0x3f80);
    assert_int_equal(gram_bf16_from_f32(gram_f32_from_bits(0x3f818000)), 0x3f82);
    assert_int_equal(gram_bf16_from_f32(gram_f32_from_bits(0x3f808001)), 0x3f81);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_round_trips),
        cmocka_unit_test(every_bf16_round_trips),
        cmocka_unit_test(f16_rounds_to_nearest_even_between_neighbours),
        cmocka_unit_test(bf16_rounds_ties_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
