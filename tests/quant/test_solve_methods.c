/* What holds for every solver, on problems whose answer is known or that are degenerate. */
#include "solving.h"

static const struct {
    const char *name;
    gram_solve_fn *solve;
} methods[] = {
    {"gptq", gram_solve_gptq}, {"ldlq", gram_solve_ldlq},           {"gpfq", gram_solve_gpfq},
    {"hqq", gram_solve_hqq},   {"autoround", gram_solve_autoround},
};
enum { N_METHODS = sizeof methods / sizeof methods[0] };

static bool are_same(const struct gram_coded *a, const struct gram_coded *b)
{
    const size_t steps = (size_t)(a->is_one ? 1 : a->rows * a->groups);

    for (size_t i = 0; i < steps; i++)
        if (a->steps[i].scale != b->steps[i].scale || a->steps[i].zero != b->steps[i].zero)
            return false;
    return memcmp(a->codes, b->codes, (size_t)(a->rows * a->cols)) == 0;
}

/* Inputs that have nothing to do with each other leave nothing to make up for. */
static void independent_inputs_give_the_nearest_codes(void **state)
{
    const struct gram_grid grid = grid_of(4, true, GRAM_F16);
    struct gram_coded nearest, coded;
    struct solving s;
    (void)state;

    solving_open(&s, 40, 96, 2);
    solving_fill(&s, 4, 1);
    for (int64_t i = 0; i < 96 * 96; i++)
        s.gram[i] = i % 97 == 0;
    s.options.mse_steps = false;
    s.options.iterations = -1;
    solve_with(solve_rtn, &nearest, &s, &grid, 32);
    for (int i = 0; i < 3; i++) {
        solve_with(methods[i].solve, &coded, &s, &grid, 32);
        if (!are_same(&nearest, &coded))
            fail_msg("%s", methods[i].name);
    }
    solving_close(&s);
}

static void no_calibrated_method_is_worse_than_round_to_nearest(void **state)
{
    static const struct {
        int bits;
        bool asymmetric;
        int64_t span;
    } grids[] = {{4, false, 32}, {3, true, 32}, {2, false, 32}, {4, true, 160}, {8, false, 160}};
    struct gram_coded coded;
    struct solving s;
    (void)state;

    solving_open(&s, 50, 160, 2);
    solving_fill(&s, 400, 2);
    for (size_t g = 0; g < sizeof grids / sizeof grids[0]; g++) {
        const struct gram_grid grid = grid_of(grids[g].bits, grids[g].asymmetric, GRAM_F16);
        const double rtn = solve_with(solve_rtn, &coded, &s, &grid, grids[g].span).output_error;
        for (int i = 0; i < N_METHODS; i++) {
            const double error =
                solve_with(methods[i].solve, &coded, &s, &grid, grids[g].span).output_error;
            print_message("# %s int%d%s g%lld: %.3f of rtn\n", methods[i].name, grid.bits,
                          grid.asymmetric ? " asym" : "", (long long)grids[g].span, error / rtn);
            if (methods[i].solve != gram_solve_hqq && !(error <= rtn))
                fail_msg("%s int%d: %g, rtn %g", methods[i].name, grid.bits, error, rtn);
        }
    }
    solving_close(&s);
}

static void the_number_of_threads_changes_nothing(void **state)
{
    const struct gram_grid grid = grid_of(3, true, GRAM_BF16);
    (void)state;

    for (int i = 0; i < N_METHODS; i++) {
        struct gram_coded first = {0}, coded;
        struct solving s[3];
        for (int threads = 1; threads <= 3; threads++) {
            struct solving *t = &s[threads - 1];
            solving_open(t, 100, 300, threads);
            solving_fill(t, 330, 3);
            t->options.iterations = i == 4 ? 12 : 0;
            solve_with(methods[i].solve, &coded, t, &grid, 64); /* the last group has 44 */
            first = threads == 1 ? coded : first;
            if (!are_same(&first, &coded))
                fail_msg("%s with %d threads", methods[i].name, threads);
        }
        for (int t = 0; t < 3; t++)
            solving_close(&s[t]);
    }
}

/* Rows of zeros, an input that is never active, fewer tokens than inputs, one more column than a block. */
static void degenerate_problems_are_solved(void **state)
{
    struct gram_coded coded;
    struct solving s;
    (void)state;

    solving_open(&s, 7, 129, 2);
    solving_fill(&s, 20, 4);
    memset(s.w + 2 * 129, 0, 129 * sizeof *s.w);
    for (int64_t k = 0; k < 129; k++)
        s.gram[11 * 129 + k] = s.gram[k * 129 + 11] = 0;
    for (int asymmetric = 0; asymmetric < 2; asymmetric++) {
        const struct gram_grid grid = grid_of(4, asymmetric, GRAM_F16);
        const double rtn = solve_with(solve_rtn, &coded, &s, &grid, 43).output_error;
        for (int i = 0; i < N_METHODS; i++) {
            const struct gram_solution solution =
                solve_with(methods[i].solve, &coded, &s, &grid, 43);
            float row[129];
            if (!isfinite(solution.output_error) || !isfinite(solution.weight_error))
                fail_msg("%s", methods[i].name);
            if (methods[i].solve != gram_solve_hqq)
                assert_true(solution.output_error <= rtn);
            gram_coded_row(&coded, 2, row);
            for (int64_t k = 0; k < 129; k++)
                assert_true(row[k] == 0);
        }
    }
    solving_close(&s);
}

/* With one step per row, columns may come in any order. */
static void the_order_of_columns_does_not_matter_to_act_order(void **state)
{
    const struct gram_grid grid = grid_of(4, false, GRAM_F32);
    enum {
        COLS = 70
    };
    struct gram_coded plain, turned;
    struct solving a, b;
    int64_t differ = 0;
    (void)state;

    solving_open(&a, 20, COLS, 1);
    solving_fill(&a, 200, 7);
    solving_open(&b, 20, COLS, 1);
    for (int64_t k = 0; k < COLS; k++) { /* column k of b is column 3 k mod 70 of a */
        for (int64_t r = 0; r < 20; r++)
            b.w[r * COLS + k] = a.w[r * COLS + 3 * k % COLS];
        for (int64_t i = 0; i < COLS; i++)
            b.gram[i * COLS + k] = a.gram[3 * i % COLS * COLS + 3 * k % COLS];
    }
    a.options.iterations = b.options.iterations = -1;
    solve_with(gram_solve_gptq, &plain, &a, &grid, COLS);
    solve_with(gram_solve_gptq, &turned, &b, &grid, COLS);
    for (int64_t r = 0; r < 20; r++)
        for (int64_t k = 0; k < COLS; k++)
            differ += turned.codes[r * COLS + k] != plain.codes[r * COLS + 3 * k % COLS];
    assert_true(differ <= 2); /* sums in another order may meet a tie */
    solving_close(&a);
    solving_close(&b);
}

static void one_step_for_the_tensor_is_kept(void **state)
{
    const struct gram_grid grid = grid_of(8, false, GRAM_F32);
    struct solving s;
    (void)state;

    solving_open(&s, 33, 64, 2);
    solving_fill(&s, 200, 8);
    const struct gram_problem problem = solving_problem(&s);
    for (int i = 0; i < N_METHODS; i++) {
        struct gram_solution solution = {0};
        struct gram_coded coded;
        struct gram_error err;
        assert_true(gram_coded_open(&coded, &grid, 33, 64, 64, true, &s.arena));
        MUST(methods[i].solve(&coded, &problem, &solution, &err));
        gram_solution_measure(&solution, &coded, s.w, &problem);
        assert_true(solution.output_error >= 0 && isfinite(solution.output_error));
    }
    solving_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(independent_inputs_give_the_nearest_codes),
        cmocka_unit_test(no_calibrated_method_is_worse_than_round_to_nearest),
        cmocka_unit_test(the_number_of_threads_changes_nothing),
        cmocka_unit_test(degenerate_problems_are_solved),
        cmocka_unit_test(the_order_of_columns_does_not_matter_to_act_order),
        cmocka_unit_test(one_step_for_the_tensor_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
