/* The safetensors header: what is read, what is refused and with which sentence, and that what is
 * written is read. */
#include "support.h"

#include "base/rng.h"
#include "st.h"

struct parsed {
    struct gram_file *file;
    struct gram_arena arena;
    struct gram_tensor *tensors;
    size_t n;
    char *bytes;
};

/* Reads from memory of exactly the file's size, so that a sanitizer sees a read behind it. */
static enum gram_status parse(struct parsed *p, const void *bytes, size_t size,
                              struct gram_error *err)
{
    *p = (struct parsed){0};
    p->bytes = malloc(size ? size : 1);
    assert_non_null(p->bytes);
    memcpy(p->bytes, bytes, size);
    assert_int_equal(gram_file_from_bytes(&p->file, p->bytes, size, "x.safetensors", err), GRAM_OK);
    return gram_safetensors_read(p->file, &p->arena, &p->tensors, &p->n, err);
}

static void reset(struct parsed *p)
{
    gram_file_close(&p->file);
    gram_arena_reset(&p->arena);
    free(p->bytes);
}

static enum gram_status parse_header(struct parsed *p, const char *header, size_t n_data,
                                     struct gram_error *err)
{
    struct gram_buf out = {0};
    st_raw(&out, header, strlen(header), n_data);
    const enum gram_status status = parse(p, out.at, out.len, err);
    gram_buf_reset(&out);
    return status;
}

static void tensors_come_in_the_order_of_their_data(void **state)
{
    struct gram_error err = {0};
    struct parsed p;
    (void)state;
    MUST(parse_header(&p,
                      "{\"b\":{\"dtype\":\"U8\",\"shape\":[1,3],\"data_offsets\":[4,7]},"
                      "\"__metadata__\":{\"format\":\"pt\",\"k\":\"\\u0000\"},"
                      "\"a\":{\"data_offsets\":[0,4],\"x\":[{}],\"shape\":[],\"dtype\":\"F32\"},"
                      "\"e\":{\"dtype\":\"I64\",\"shape\":[0,5],\"data_offsets\":[4,4]}}",
                      7, &err));
    assert_int_equal(p.n, 3);
    assert_string_equal(p.tensors[0].name, "a");
    assert_int_equal(p.tensors[0].rank, 0);
    assert_int_equal(p.tensors[0].count, 1);
    assert_int_equal(p.tensors[0].bytes, 4);
    assert_string_equal(p.tensors[1].name, "e");
    assert_int_equal(p.tensors[1].count, 0);
    assert_int_equal(p.tensors[1].shape[1], 5);
    assert_string_equal(p.tensors[2].name, "b");
    assert_int_equal(p.tensors[2].dtype, GRAM_U8);
    assert_memory_equal(p.tensors[2].data, "\4\5\6", 3);
    reset(&p);
}

/* Headers over eight bytes of data, and what must be said about them. */
static const struct {
    const char *header, *part;
    enum gram_status status;
} refused[] = {
    {"", "byte 0: an object expected", GRAM_EFORMAT},
    {"[]", "byte 0: an object expected", GRAM_EFORMAT},
    {"{}", "8 bytes behind the last tensor", GRAM_EFORMAT},
    {"{}x", "nothing expected", GRAM_EFORMAT},
    {"{\"a\":1}", "a: JSON byte 5: an object expected", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8]}}", "a: no data_offsets", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,8]}}", "a: no shape", GRAM_EFORMAT},
    {"{\"a\":{\"shape\":[8],\"data_offsets\":[0,8]}}", "a: no dtype", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8],\"shape\":[8]}}", "given twice",
     GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"Q9\",\"shape\":[8],\"data_offsets\":[0,8]}}", "a: unknown dtype 'Q9'",
     GRAM_EUNSUPPORTED},
    {"{\"a\":{\"dtype\":\"U8\\u0000\",\"shape\":[8],\"data_offsets\":[0,8]}}", "unknown dtype",
     GRAM_EUNSUPPORTED},
    {"{\"a\":{\"dtype\":\"u8\",\"shape\":[8],\"data_offsets\":[0,8]}}", "unknown dtype 'u8'",
     GRAM_EUNSUPPORTED},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-8],\"data_offsets\":[0,8]}}", "a: shape[0] is -8",
     GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8.0],\"data_offsets\":[0,8]}}", "whole number",
     GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,8],\"data_offsets\":[0,8]}}",
     "a: more than 8 dimensions", GRAM_EUNSUPPORTED},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[281474976710656],\"data_offsets\":[0,8]}}",
     "2^48 elements", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[16777216,16777216,0],\"data_offsets\":[0,0]}}",
     "2^48 elements", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[7],\"data_offsets\":[0,8]}}",
     "a: shape and dtype need 7 bytes, data_offsets span 8", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}",
     "a: ends at byte 9 of 8 bytes of data", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8,0]}}", "[8, 0] are not a range",
     GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[-8,0]}}", "[-8, 0] are not a range",
     GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0]}}", "fewer than two",
     GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8,8]}}", "more than two",
     GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[15],\"data_offsets\":[0,8]}}", "whole number of bytes",
     GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[5,8]}}",
     "b: begins at byte 5 of the data, leaving a hole from byte 4", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
     "b: begins at byte 4 of the data, before the one before it ends (5)", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]}}",
     "before the one before it ends", GRAM_EFORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
     "a: is there twice", GRAM_EFORMAT},
    {"{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", "NUL", GRAM_EFORMAT},
    {"{\"__metadata__\":{\"k\":1},\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}",
     "__metadata__: JSON byte 21: a string expected", GRAM_EFORMAT},
    {"{\"__metadata__\":{\"k\":\"\",\"k\":\"\"}}", "'k' is there twice", GRAM_EFORMAT},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__ is there twice", GRAM_EFORMAT},
};

static void a_header_that_contradicts_itself_is_refused_with_the_tensor(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct gram_error err = {0};
        struct parsed p;
        const enum gram_status status = parse_header(&p, refused[i].header, 8, &err);
        if (status != refused[i].status || !strstr(err.message, refused[i].part) ||
            !strstr(err.message, "x.safetensors: "))
            fail_msg("%s: status %d, '%s'", refused[i].header, (int)status, err.message);
        reset(&p);
    }
}

static void a_length_beyond_the_file_or_100_mb_is_refused(void **state)
{
    struct gram_error err = {0};
    struct parsed p;
    (void)state;
    MUST_FAIL(GRAM_EFORMAT, "7 bytes are too few", parse(&p, "1234567", 7, &err));
    reset(&p);
    MUST_FAIL(GRAM_EFORMAT, "runs past the end", parse(&p, "\1\0\0\0\0\0\0\0", 8, &err));
    reset(&p);
    MUST_FAIL(GRAM_EFORMAT, "runs past the end",
              parse(&p, "\xf8\xff\xff\xff\xff\xff\xff\xff{}", 10, &err));
    reset(&p);

    const size_t header = 100 * 1000 * 1000 + 1;
    char *bytes = calloc(1, header + 8);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(header >> 8 * i);
    struct gram_file *file;
    struct gram_arena arena = {0};
    struct gram_tensor *tensors;
    size_t n;
    MUST(gram_file_from_bytes(&file, bytes, header + 8, "big", &err));
    MUST_FAIL(GRAM_EUNSUPPORTED, "a header of 100000001 bytes",
              gram_safetensors_read(file, &arena, &tensors, &n, &err));
    assert_null(arena.last); /* nothing was allocated for it */
    gram_file_close(&file);
    free(bytes);
}

static void names_of_4096_bytes_are_read_and_longer_ones_refused(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char header[5000], name[4098];
        struct gram_error err = {0};
        struct parsed p;
        memset(name, 'n', sizeof name);
        name[4096 + extra] = '\0';
        snprintf(header, sizeof header,
                 "{\"%s\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", name);
        if (extra)
            MUST_FAIL(GRAM_EFORMAT, "4096", parse_header(&p, header, 0, &err));
        else
            MUST(parse_header(&p, header, 0, &err));
        reset(&p);
    }
}

static void every_dtype_is_read_by_its_name(void **state)
{
    (void)state;
    for (int d = 0; d < GRAM_N_DTYPE; d++) {
        struct gram_tensor t = st_tensor("t", (enum gram_dtype)d, 1, (const int64_t[]){2});
        struct gram_error err = {0};
        struct gram_buf out = {0};
        struct parsed p;
        assert_true(gram_safetensors_header(&out, &t, 1));
        gram_buf_add(&out, "0123456789abcdef", (size_t)t.bytes);
        MUST(parse(&p, out.at, out.len, &err));
        assert_int_equal(p.tensors[0].dtype, d);
        assert_int_equal(p.tensors[0].bytes, t.bytes);
        reset(&p);
        gram_buf_reset(&out);
    }
}

static void a_written_header_is_known_byte_for_byte(void **state)
{
    const struct gram_tensor tensors[] = {
        st_tensor("w", GRAM_BF16, 2, (const int64_t[]){2, 3}),
        st_tensor("s", GRAM_F32, 0, NULL),
    };
    static const char expected[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"w\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
        "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[12,16]}}";
    struct gram_buf out = {0};
    (void)state;

    assert_true(gram_safetensors_header(&out, tensors, 2));
    assert_int_equal(out.len, 192);
    assert_memory_equal(out.at, "\270\0\0\0\0\0\0\0", 8);
    assert_memory_equal(out.at + 8, expected, sizeof expected - 1);
    for (size_t i = 8 + sizeof expected - 1; i < out.len; i++)
        assert_int_equal(out.at[i], ' ');
    gram_buf_reset(&out);
}

/* Names with everything that JSON must escape, and characters of every length. */
static char *random_name(struct gram_rng *rng, int unique)
{
    static const char *const parts[] = {"a",    ".weight",  "\"",           "\\",
                                        "/",    "\x01",     "\n",           "\x1f",
                                        "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                        " ",    "{",        "\\u0041"};
    struct gram_buf name = {0};
    gram_buf_printf(&name, "%d", unique);
    for (uint64_t i = gram_rng_u64(rng) % 12; i > 0; i--)
        gram_buf_str(&name, parts[gram_rng_u64(rng) % (sizeof parts / sizeof parts[0])]);
    assert_false(name.failed);
    return name.at;
}

static struct gram_tensor random_tensor(struct gram_rng *rng, int unique)
{
    int64_t shape[GRAM_MAX_RANK];
    const int rank = (int)(gram_rng_u64(rng) % (GRAM_MAX_RANK + 1));
    enum gram_dtype dtype = (enum gram_dtype)(gram_rng_u64(rng) % GRAM_N_DTYPE);

    for (int i = 0; i < rank; i++)
        shape[i] = (int64_t)(gram_rng_u64(rng) % 4) + (gram_rng_u64(rng) % 8 > 0);
    struct gram_tensor t = st_tensor(random_name(rng, unique), dtype, rank, shape);
    if (dtype == GRAM_F4 && t.count % 2 != 0) /* half a byte */
        t.bytes = (uint64_t)t.count, t.dtype = GRAM_I8;
    return t;
}

static void round_trip(struct gram_rng *rng)
{
    enum { MOST = 12 };
    struct gram_tensor tensors[MOST] = {0};
    struct gram_error err = {0};
    struct gram_buf out = {0};
    struct parsed p;
    const size_t n = gram_rng_u64(rng) % (MOST + 1);

    for (size_t i = 0; i < n; i++)
        tensors[i] = random_tensor(rng, (int)i);
    assert_true(gram_safetensors_header(&out, tensors, n));
    assert_int_equal(out.len % 64, 0);
    const size_t start = out.len;
    for (size_t i = 0; i < n; i++) {
        for (uint64_t k = 0; k < tensors[i].bytes; k++)
            gram_buf_add(&out, &(const char){(char)gram_rng_u64(rng)}, 1);
    }
    MUST(parse(&p, out.at, out.len, &err));
    assert_int_equal(p.n, n);
    size_t at = start;
    for (size_t i = 0; i < n; at += tensors[i++].bytes) {
        size_t k = 0; /* a tensor without bytes may come before or after its neighbour */
        while (k < n && strcmp(p.tensors[k].name, tensors[i].name) != 0)
            k++;
        assert_true(k < n);
        const struct gram_tensor *t = &p.tensors[k];
        assert_int_equal(t->dtype, tensors[i].dtype);
        assert_int_equal(t->rank, tensors[i].rank);
        assert_memory_equal(t->shape, tensors[i].shape, sizeof t->shape);
        assert_int_equal(t->count, tensors[i].count);
        assert_int_equal(t->bytes, tensors[i].bytes);
        assert_memory_equal(t->data, out.at + at, (size_t)t->bytes);
    }
    reset(&p);
    gram_buf_reset(&out);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)tensors[i].name);
}

static void what_is_written_is_read(void **state)
{
    struct gram_rng rng = {2024};
    (void)state;
    for (int i = 0; i < 2000; i++)
        round_trip(&rng);
}

/* A million tensors would show anything quadratic; a tenth of it still takes minutes then. */
static void a_hundred_thousand_tensors_are_read(void **state)
{
    enum { N = 100000 };
    struct gram_error err = {0};
    struct gram_buf header = {0}, out = {0};
    struct parsed p;
    (void)state;

    for (int i = 0; i < N; i++)
        gram_buf_printf(&header,
                        "%s\"model.layers.%d.w\":{\"dtype\":\"U8\",\"shape\":[1],"
                        "\"data_offsets\":[%d,%d]}",
                        i ? "," : "{", i, N - 1 - i, N - i);
    gram_buf_str(&header, "}");
    st_raw(&out, header.at, header.len, N);
    MUST(parse(&p, out.at, out.len, &err));
    assert_int_equal(p.n, N);
    assert_string_equal(p.tensors[0].name, "model.layers.99999.w");
    reset(&p);
    gram_buf_reset(&header);
    gram_buf_reset(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_in_the_order_of_their_data),
        cmocka_unit_test(a_header_that_contradicts_itself_is_refused_with_the_tensor),
        cmocka_unit_test(a_length_beyond_the_file_or_100_mb_is_refused),
        cmocka_unit_test(names_of_4096_bytes_are_read_and_longer_ones_refused),
        cmocka_unit_test(every_dtype_is_read_by_its_name),
        cmocka_unit_test(a_written_header_is_known_byte_for_byte),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_hundred_thousand_tensors_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
