/* Parts of products with a repacked matrix against plain sums. */
#include "support.h"

#include <math.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "quant/product.h"

enum { MOST = 300, ROWS = 70 };

static float matrix[MOST * MOST], x[ROWS * MOST], y[ROWS * MOST];
static struct gram_pool *pool;

static int open_pool(void **state)
{
    struct gram_rng rng = {3};
    struct gram_error err;

    (void)state;
    for (int i = 0; i < MOST * MOST; i++)
        matrix[i] = (float)gram_rng_unit(&rng) - 0.5f;
    for (int i = 0; i < ROWS * MOST; i++)
        x[i] = (float)gram_rng_unit(&rng) - 0.5f;
    return gram_pool_open(&pool, 2, &err) == GRAM_OK ? 0 : -1;
}

static int close_pool(void **state)
{
    (void)state;
    gram_pool_close(&pool);
    return 0;
}

/* y, which began as `begin` everywhere, for inputs [k0, k1) and outputs [j0, j1) of rows of n. */
static void check(int64_t n, int64_t rows, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float begin)
{
    for (int64_t t = 0; t < rows; t++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = begin;
            for (int64_t k = k0; k < k1 && j >= j0 && j < j1; k++)
                sum += (double)x[t * n + k] * (double)matrix[j * n + k];
            if (!(fabs(sum - (double)y[t * n + j]) < 1e-5))
                fail_msg("%d of %d: row %d, output %d: %g, not %g", (int)k0, (int)n, (int)t, (int)j,
                         (double)y[t * n + j], sum);
        }
    }
}

static void set_all(float value)
{
    for (int i = 0; i < ROWS * MOST; i++)
        y[i] = value;
}

static void parts_of_products_are_sums_over_what_was_asked_for(void **state)
{
    static const int64_t sizes[][2] = {{16, 16}, {128, 64}, {300, 128}, {37, 20}, {50, 50}, {96, 32}};
    struct gram_kernels kernels;
    (void)state;

    gram_kernels_init(&kernels, gram_cpu_detect());
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t n = sizes[i][0], block = sizes[i][1], last = (n - 1) / block * block;
        struct gram_arena arena = {0};
        struct gram_product product;

        assert_true(gram_product_open(&product, matrix, n, block, &kernels, pool, &arena));
        set_all(1);
        gram_product_add(&product, y, x, ROWS);
        check(n, ROWS, 0, n, 0, n, 1);
        set_all(0); /* a whole block, behind it */
        gram_product_add_part(&product, y + block, n, x, n, 7, 0, block, block, n);
        check(n, 7, 0, block, block, n, 0);
        set_all(2); /* a part of the last one, in its middle */
        gram_product_add_part(&product, y + 3, n, x + last + 1, n, 64, last + 1, n - last - 2, 3, n - 1);
        check(n, 64, last + 1, n - 1, 3, n - 1, 2);
        gram_arena_reset(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_products_are_sums_over_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, open_pool, close_pool);
}
