/* Bias correction against plain loops over tokens. */
#include "quant/bias.h"
#include "solving.h"

enum { ROWS = 24, COLS = 96, TOKENS = 50 };

/* The mean over tokens of output r of w[COLS]. */
static double mean_output(const float *w, float bias, const float *x)
{
    double sum = 0;

    for (int t = 0; t < TOKENS; t++) {
        for (int k = 0; k < COLS; k++)
            sum += (double)w[k] * (double)x[t * COLS + k];
    }
    return sum / TOKENS + (double)bias;
}

static void corrected_outputs_have_the_mean_of_the_float_ones(void **state)
{
    const struct gram_grid grid = grid_of(2, true, GRAM_F16);
    float x[TOKENS * COLS], mean[COLS] = {0}, row[COLS], bias[ROWS], corrected[ROWS];
    struct gram_rng rng = {9};
    struct gram_coded coded;
    struct solving s;
    double shift = 0;
    (void)state;

    solving_open(&s, ROWS, COLS, 1);
    solving_fill(&s, 8, 4);
    for (int i = 0; i < TOKENS * COLS; i++) {
        x[i] = draw(&rng) + (i % COLS % 3 == 0 ? 2.0f : 0.0f);
        mean[i % COLS] += x[i] / TOKENS;
    }
    solve_with(solve_rtn, &coded, &s, &grid, 32);
    for (int r = 0; r < ROWS; r++)
        bias[r] = corrected[r] = draw(&rng);
    gram_correct_bias(corrected, &coded, s.w, mean, mean, row);
    for (int r = 0; r < ROWS; r++) {
        const double want = mean_output(s.w + r * COLS, bias[r], x);
        gram_coded_row(&coded, r, row);
        shift = fmax(shift, fabs(mean_output(row, bias[r], x) - want));
        if (!(fabs(mean_output(row, corrected[r], x) - want) < 1e-5))
            fail_msg("output %d: a mean of %g, not %g", r, mean_output(row, corrected[r], x), want);
    }
    assert_true(shift > 0.1); /* there was something to correct */
    solving_close(&s);
}

static void what_inputs_have_drifted_is_taken_up_too(void **state)
{
    const struct gram_grid grid = grid_of(8, false, GRAM_F32);
    const float mean[4] = {1, 2, 3, 4}, wanted[4] = {2, 2, 3, 4};
    float bias[2] = {0}, row[4];
    struct gram_coded coded;
    struct solving s;
    (void)state;

    solving_open(&s, 2, 4, 1);
    for (int i = 0; i < 8; i++)
        s.w[i] = 1;
    solve_with(solve_rtn, &coded, &s, &grid, 4);
    gram_correct_bias(bias, &coded, s.w, mean, wanted, row);
    assert_true(fabsf(bias[0] - 1) < 0.1f && bias[1] == bias[0]);
    solving_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corrected_outputs_have_the_mean_of_the_float_ones),
        cmocka_unit_test(what_inputs_have_drifted_is_taken_up_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
