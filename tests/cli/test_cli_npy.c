/* The reader of token ids: what NumPy writes is read, what contradicts itself is not. */
#include "support.h"

#include "npy.h"

/* A file of version `version` with this dictionary and these bytes behind it. */
static enum gram_status parse(const char *dictionary, int version, const void *data, size_t n,
                              struct npy_ids *ids, struct gram_error *err)
{
    const size_t len = strlen(dictionary), before = version == 2 ? 12 : 10;
    uint8_t *file = calloc(before + len + n, 1); /* exactly as large: overruns are seen */

    memcpy(file, "\x93NUMPY", 6);
    file[6] = (uint8_t)version;
    file[8] = (uint8_t)len;
    file[9] = (uint8_t)(len >> 8);
    memcpy(file + before, dictionary, len);
    memcpy(file + before + len, data, n);
    const enum gram_status st = npy_parse(ids, file, before + len + n, "t.npy", err);
    free(file);
    return st;
}

static void both_widths_and_versions_are_read(void **state)
{
    const int64_t wide[] = {3, 1, 2, INT32_MAX};
    const int32_t narrow[] = {3, 1, 2, 0};
    struct npy_ids ids;
    struct gram_error err;

    (void)state;
    MUST(parse("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }  \n", 1, wide,
               sizeof wide, &ids, &err));
    assert_int_equal(ids.batch, 2);
    assert_int_equal(ids.length, 2);
    assert_int_equal(ids.at[3], INT32_MAX);
    npy_ids_reset(&ids);
    MUST(parse("{\"shape\":(4,),\"fortran_order\":True,\"descr\":\"<i4\"}", 2, narrow, sizeof narrow,
               &ids, &err));
    assert_int_equal(ids.batch, 1);
    assert_int_equal(ids.length, 4);
    assert_int_equal(ids.at[0], 3);
    npy_ids_reset(&ids);
}

static void headers_that_are_not_that_dictionary_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "{'descr': '<i8'}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1,,)}",
        "{'descr': '<i8', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<i8', 'descr': '<i8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr: '<i8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<i88888888888', 'fortran_order': False, 'shape': (1,)}",
    };
    const int64_t one = 1;
    struct npy_ids ids;
    struct gram_error err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        MUST_FAIL(GRAM_EFORMAT, "t.npy", parse(bad[i], 1, &one, sizeof one, &ids, &err));
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
    static const char *const bad[] = {
        "()", "(0,)", "(2,)", "(1, 0)", "(1, 1, 1)", "(2, 2)", "(268435456, 268435456)",
        "(99999999999999999999999,)", "(4611686018427387905,)", "(16, 1152921504606846977)",
    };
    const int64_t one = 1;
    struct npy_ids ids;
    struct gram_error err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char header[160];
        snprintf(header, sizeof header, "{'descr': '<i8', 'fortran_order': False, 'shape': %s}",
                 bad[i]);
        MUST_FAIL(GRAM_EFORMAT, "t.npy", parse(header, 1, &one, sizeof one, &ids, &err));
    }
}

static void other_elements_and_orders_are_unsupported(void **state)
{
    const int64_t data[4] = {0};
    struct npy_ids ids;
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_EUNSUPPORTED, "'>i8'",
              parse("{'descr': '>i8', 'fortran_order': False, 'shape': (4,)}", 1, data, 32, &ids, &err));
    MUST_FAIL(GRAM_EUNSUPPORTED, "Fortran",
              parse("{'descr': '<i8', 'fortran_order': True, 'shape': (2, 2)}", 1, data, 32, &ids,
                    &err));
    MUST_FAIL(GRAM_EUNSUPPORTED, "version", parse("{}", 3, data, 32, &ids, &err));
}

static void a_written_header_is_what_numpy_writes(void **state)
{
    const int64_t shape[] = {2, 3, 5, 7};
    char header[NPY_HEADER];

    (void)state;
    npy_header(header, shape, 4);
    assert_memory_equal(header, "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, "
                                "'shape': (2, 3, 5, 7), } ", 75);
    assert_int_equal(header[NPY_HEADER - 1], '\n');
    npy_header(header, shape, 1);
    assert_memory_equal(header + 51, "'shape': (2,), }", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_widths_and_versions_are_read),
        cmocka_unit_test(headers_that_are_not_that_dictionary_are_refused),
        cmocka_unit_test(shapes_that_do_not_fit_are_refused),
        cmocka_unit_test(other_elements_and_orders_are_unsupported),
        cmocka_unit_test(a_written_header_is_what_numpy_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
