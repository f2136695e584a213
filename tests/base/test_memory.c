/* Checked sizes, the arena and growable bytes. */
#include "support.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/checked.h"
#include "base/rng.h"

static void products_and_sums_that_do_not_fit_are_told(void **state)
{
    uint64_t u;
    int64_t i;
    size_t s;
    (void)state;
    assert_true(gram_mul_u64(&u, UINT64_C(1) << 32, UINT64_C(0xffffffff)));
    assert_true(u == UINT64_C(0xffffffff00000000));
    assert_false(gram_mul_u64(&u, UINT64_C(1) << 32, UINT64_C(1) << 32));
    assert_true(gram_add_u64(&u, UINT64_MAX, 0) && u == UINT64_MAX);
    assert_false(gram_add_u64(&u, UINT64_MAX, 1));
    assert_true(gram_mul_size(&s, 0, SIZE_MAX) && s == 0);
    assert_false(gram_mul_size(&s, SIZE_MAX / 2 + 1, 2));
    assert_false(gram_add_size(&s, SIZE_MAX, SIZE_MAX));
    assert_true(gram_mul_i64(&i, INT64_MIN, 1) && i == INT64_MIN);
    assert_false(gram_mul_i64(&i, INT64_MIN, -1));
    assert_false(gram_mul_i64(&i, INT64_C(1) << 62, 2));
}

static void a_range_is_inside_only_if_all_of_it_is(void **state)
{
    (void)state;
    assert_true(gram_range_inside(10, 0, 10));
    assert_true(gram_range_inside(10, 10, 0));
    assert_true(gram_range_inside(0, 0, 0));
    assert_false(gram_range_inside(10, 0, 11));
    assert_false(gram_range_inside(10, 10, 1));
    assert_false(gram_range_inside(10, 11, 0));
    assert_false(gram_range_inside(10, UINT64_MAX, 2));
    assert_false(gram_range_inside(10, 2, UINT64_MAX));
}

static void division_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(gram_ceil_div(0, 4), 0);
    assert_int_equal(gram_ceil_div(1, 4), 1);
    assert_int_equal(gram_ceil_div(4, 4), 1);
    assert_int_equal(gram_ceil_div(5, 4), 2);
    assert_true(gram_ceil_div(INT64_MAX, 2) == INT64_MAX / 2 + 1);
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static void arena_memory_is_zeroed_aligned_and_apart(void **state)
{
    enum { N = 500 };
    struct gram_arena arena = {0};
    struct gram_rng rng = {7};
    uint8_t *at[N];
    size_t size[N];
    (void)state;

    for (int i = 0; i < N; i++) {
        size[i] = gram_rng_u64(&rng) % (i % 50 == 0 ? 300000 : 700);
        at[i] = gram_arena_take(&arena, size[i], 1);
        assert_non_null(at[i]);
        assert_int_equal((uintptr_t)at[i] % 64, 0);
        assert_true(all_zero(at[i], size[i]));
        memset(at[i], i % 255 + 1, size[i]);
    }
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(at[i][k], i % 255 + 1);
    }
    gram_arena_reset(&arena);
    assert_null(arena.last);
    gram_arena_reset(&arena);
}

static void an_arena_that_is_rewound_gives_the_same_memory_zeroed(void **state)
{
    enum { LARGE = 1 << 20, SMALL = 100 };
    struct gram_arena arena = {0};
    char *first[2] = {NULL, NULL};

    (void)state;
    for (int round = 0; round < 3; round++) {
        char *large = gram_arena_take(&arena, LARGE, 1), *small = gram_arena_take(&arena, SMALL, 1);
        assert_true(large && small);
        assert_true(round == 0 || (large == first[0] && small == first[1]));
        for (int i = 0; i < LARGE; i++)
            assert_int_equal(large[i] | small[i % SMALL], 0);
        memset(large, 1, LARGE);
        first[0] = large;
        first[1] = small;
        gram_arena_rewind(&arena);
    }
    gram_arena_reset(&arena);
    assert_null(arena.spare);
}

static void an_arena_refuses_sizes_that_wrap(void **state)
{
    struct gram_arena arena = {0};
    (void)state;
    assert_null(gram_arena_take(&arena, SIZE_MAX / 2, 4));
    assert_null(gram_arena_take(&arena, SIZE_MAX, 1));
    assert_null(gram_arena_take(&arena, SIZE_MAX - 63, 1));
    assert_null(gram_arena_strn(&arena, "", SIZE_MAX));
    assert_non_null(gram_arena_take(&arena, 0, 8));
    assert_non_null(gram_arena_take(&arena, SIZE_MAX, 0));
    gram_arena_reset(&arena);
}

static void arena_strings_are_copies_with_an_end(void **state)
{
    struct gram_arena arena = {0};
    char text[] = "shape";
    (void)state;
    char *whole = gram_arena_str(&arena, text), *part = gram_arena_strn(&arena, text, 2);
    memset(text, 'x', 5);
    assert_string_equal(whole, "shape");
    assert_string_equal(part, "sh");
    assert_string_equal(gram_arena_str(&arena, ""), "");
    gram_arena_reset(&arena);
}

static void a_buffer_grows_and_stays_terminated(void **state)
{
    struct gram_buf buf = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        gram_buf_printf(&buf, "%d,", i);
        gram_buf_str(&buf, "ab");
        gram_buf_add(&buf, "\0", 1);
        assert_int_equal(buf.at[buf.len], 0);
    }
    assert_false(buf.failed);
    assert_memory_equal(buf.at, "0,ab\0001,ab\0002,ab", 15);
    assert_int_equal(buf.len, 10 * 2 + 90 * 3 + 900 * 4 + 1000 * 3);
    gram_buf_reset(&buf);
    assert_null(buf.at);
    gram_buf_add(&buf, NULL, 0);
    assert_int_equal(buf.len, 0);
    gram_buf_reset(&buf);
}

static void a_buffer_that_failed_stays_as_it_was(void **state)
{
    struct gram_buf buf = {0};
    (void)state;
    gram_buf_str(&buf, "kept");
    assert_null(gram_buf_room(&buf, SIZE_MAX));
    assert_true(buf.failed);
    gram_buf_str(&buf, "lost");
    gram_buf_printf(&buf, "%d", 1);
    assert_string_equal(buf.at, "kept");
    assert_int_equal(buf.len, 4);
    gram_buf_reset(&buf);
    assert_false(buf.failed);
}

static void growing_checks_the_size_in_bytes(void **state)
{
    void *at = NULL;
    size_t cap = 0;
    (void)state;
    assert_false(gram_grow(&at, &cap, SIZE_MAX / 4, 8));
    assert_null(at);
    assert_int_equal(cap, 0);
    assert_true(gram_grow(&at, &cap, 3, 8));
    assert_true(cap >= 3);
    void *same = at;
    assert_true(gram_grow(&at, &cap, cap, 8));
    assert_ptr_equal(at, same);
    free(at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_sums_that_do_not_fit_are_told),
        cmocka_unit_test(a_range_is_inside_only_if_all_of_it_is),
        cmocka_unit_test(division_rounds_up),
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(an_arena_that_is_rewound_gives_the_same_memory_zeroed),
        cmocka_unit_test(an_arena_refuses_sizes_that_wrap),
        cmocka_unit_test(arena_strings_are_copies_with_an_end),
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(a_buffer_that_failed_stays_as_it_was),
        cmocka_unit_test(growing_checks_the_size_in_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
