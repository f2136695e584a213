/* Plain tensors as weights: in place where a kernel can read them, else copied or converted. */
#include "support.h"

#include "formats/container.h"
#include "st.h"

struct bound {
    struct gram_store *store;
    struct gram_arena arena;
    struct gram_weight w;
};

/* A store of one tensor "t" with these values, behind `shift` bytes of another. */
static struct gram_store *store_of(enum gram_dtype dtype, int rank, const int64_t *shape,
                                   const void *values, int64_t shift)
{
    const struct gram_tensor tensors[] = {
        st_tensor("before", GRAM_U8, 1, (const int64_t[]){shift}),
        st_tensor("model.t", dtype, rank, shape),
    };
    struct gram_error err = {0};
    struct gram_store *store;
    struct gram_buf out = {0};
    char path[256];

    assert_true(gram_safetensors_header(&out, tensors, 2));
    gram_buf_add(&out, "12345678", (size_t)shift);
    gram_buf_add(&out, values, (size_t)tensors[1].bytes);
    snprintf(path, sizeof path, "%s/model.safetensors", fresh_folder());
    write_file(path, out.at, out.len);
    gram_buf_reset(&out);
    MUST(gram_store_open(&store, path, &err));
    return store;
}

static enum gram_status bind(struct bound *b, int64_t rows, int64_t cols, struct gram_error *err)
{
    return gram_dense_bind(b->store, gram_store_find(b->store, "model.t"), rows, cols, &b->arena,
                           &b->w, err);
}

static void reset(struct bound *b)
{
    gram_store_close(&b->store);
    gram_arena_reset(&b->arena);
}

static const int64_t matrix[] = {2, 3};

static void aligned_floats_are_used_where_they_lie(void **state)
{
    static const enum gram_dtype dtypes[] = {GRAM_F32, GRAM_F16, GRAM_BF16};
    static const char values[24] = "0123456789abcdefghijklm";
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct gram_error err = {0};
        struct bound b = {.store = store_of(dtypes[i], 2, matrix, values, 4)};
        MUST(bind(&b, 2, 3, &err));
        assert_ptr_equal(b.w.data, gram_store_find(b.store, "model.t")->data);
        assert_int_equal(b.w.rows, 2);
        assert_int_equal(b.w.cols, 3);
        assert_int_equal(b.w.row_bytes, 3 * gram_dtype_bits(dtypes[i]) / 8);
        assert_int_equal(b.w.dtype, dtypes[i]);
        assert_int_equal(b.w.bits, 0);
        assert_null(b.arena.last);
        reset(&b);
    }
}

static void misaligned_floats_are_copied(void **state)
{
    const float values[6] = {1, -2, 3.5f, 0, 5, 1e30f};
    (void)state;
    for (int shift = 1; shift < 4; shift++) {
        struct gram_error err = {0};
        struct bound b = {.store = store_of(GRAM_F32, 2, matrix, values, shift)};
        MUST(bind(&b, 2, 3, &err));
        assert_int_equal((uintptr_t)b.w.data % sizeof(float), 0);
        assert_memory_equal(b.w.data, values, sizeof values);
        reset(&b);
    }
}

static void doubles_become_floats(void **state)
{
    const double values[6] = {1, -2, 3.5, 0, 0x1.000001p0, 1e-40};
    const float expected[6] = {1, -2, 3.5f, 0, 1, 1e-40f};
    struct gram_error err = {0};
    struct bound b = {.store = store_of(GRAM_F64, 2, matrix, values, 3)};
    (void)state;
    MUST(bind(&b, 2, 3, &err));
    assert_int_equal(b.w.dtype, GRAM_F32);
    assert_int_equal(b.w.row_bytes, 12);
    assert_memory_equal(b.w.data, expected, sizeof expected);
    reset(&b);
}

static void a_vector_may_have_one_dimension_or_two(void **state)
{
    const float values[6] = {1, 2, 3, 4, 5, 6};
    (void)state;
    for (int rank = 1; rank <= 2; rank++) {
        struct gram_error err = {0};
        struct bound b = {.store = store_of(GRAM_F32, rank, (const int64_t[]){6, 1}, values, 0)};
        MUST(bind(&b, 6, 1, &err));
        assert_int_equal(b.w.rows, 6);
        assert_int_equal(b.w.row_bytes, 4);
        reset(&b);
    }
}

static void a_wrong_shape_is_told_with_the_right_one(void **state)
{
    static const struct {
        int rank;
        int64_t shape[3], rows, cols;
        const char *part;
    } cases[] = {
        {1, {6}, 2, 3, "model.t: shape [2, 3] expected, [6] found"},
        {1, {6}, 1, 6, "model.t: shape [1, 6] expected, [6] found"},
        {2, {3, 2}, 2, 3, "model.t: shape [2, 3] expected, [3, 2] found"},
        {2, {2, 3}, 6, 1, "model.t: shape [6, 1] expected, [2, 3] found"},
        {3, {1, 2, 3}, 2, 3, "model.t: shape [2, 3] expected, [1, 2, 3] found"},
        {0, {0}, 1, 1, "model.t: shape [1, 1] expected, [] found"},
    };
    const float values[6] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_error err = {0};
        struct bound b = {.store = store_of(GRAM_F32, cases[i].rank, cases[i].shape, values, 0)};
        MUST_FAIL(GRAM_EFORMAT, cases[i].part, bind(&b, cases[i].rows, cases[i].cols, &err));
        MUST_FAIL(GRAM_EFORMAT,
                  "model.safetensors: ", bind(&b, cases[i].rows, cases[i].cols, &err));
        reset(&b);
    }
}

static void what_is_not_floating_is_refused_by_name(void **state)
{
    static const char values[64];
    (void)state;
    for (int d = 0; d < GRAM_N_DTYPE; d++) {
        struct gram_error err = {0};
        if (d == GRAM_F64 || d == GRAM_F32 || d == GRAM_F16 || d == GRAM_BF16)
            continue;
        struct bound b = {.store = store_of((enum gram_dtype)d, 2, matrix, values, 0)};
        MUST_FAIL(GRAM_EUNSUPPORTED, gram_dtype_name((enum gram_dtype)d), bind(&b, 2, 3, &err));
        MUST_FAIL(GRAM_EUNSUPPORTED, "model.t", bind(&b, 2, 3, &err));
        reset(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_floats_are_used_where_they_lie),
        cmocka_unit_test(misaligned_floats_are_copied),
        cmocka_unit_test(doubles_become_floats),
        cmocka_unit_test(a_vector_may_have_one_dimension_or_two),
        cmocka_unit_test(a_wrong_shape_is_told_with_the_right_one),
        cmocka_unit_test(what_is_not_floating_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
