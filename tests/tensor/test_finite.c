/* NaN and Inf are found wherever they are, in every floating type; everything else is let through. */
#include "support.h"

#include <math.h>

#include "tensor/dtype.h"
#include "tensor/finite.h"

enum { N = 9001 };

static void plant(char *bytes, enum gram_dtype dtype, int64_t at, float value)
{
    if (dtype == GRAM_F64) {
        const double wide = (double)value;
        memcpy(bytes + 8 * at, &wide, 8);
    } else {
        gram_write_f32(bytes, dtype, at, &value, 1);
    }
}

static void every_place_and_type_is_seen(void **state)
{
    static const enum gram_dtype types[] = {GRAM_F64, GRAM_F32, GRAM_F16, GRAM_BF16};
    static const int64_t places[] = {0, 1, 4095, 4096, 5000, N - 1};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    char *bytes = malloc(N * 8 + 1);
    (void)state;

    for (size_t t = 0; t < 4; t++) {
        for (size_t p = 0; p < sizeof places / sizeof places[0]; p++) {
            for (size_t b = 0; b < 3; b++) {
                memset(bytes, 0, N * 8 + 1);
                plant(bytes + 1, types[t], places[p], bad[b]); /* misaligned on purpose */
                assert_int_equal(gram_find_nonfinite(bytes + 1, types[t], N), places[p]);
                assert_int_equal(gram_find_nonfinite(bytes + 1, types[t], places[p]), places[p]);
            }
        }
    }
    free(bytes);
}

static void extremes_that_are_numbers_pass(void **state)
{
    const float fine[] = {3.4028235e38f, -3.4028235e38f, 1e-45f, -0.0f, 65504.0f};
    uint16_t half = 0x7bff;
    (void)state;
    assert_int_equal(gram_find_nonfinite(fine, GRAM_F32, 5), 5);
    assert_int_equal(gram_find_nonfinite(&half, GRAM_F16, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_and_type_is_seen),
        cmocka_unit_test(extremes_that_are_numbers_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
