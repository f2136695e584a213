/* What compressed-tensors itself made of a matrix (data/compressed_tensors/make_data.py): gram
 * reads it to the same floats, and makes the same bytes and configuration of that matrix. Modules
 * are called as their schemes. */
#include "support.h"

#include "base/arena.h"
#include "formats/compressed_tensors.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"
#include "tensor/grid.h"

enum { ROWS = 13, COLS = 40 };

static struct gram_arena arena;
static struct gram_error err;
static struct gram_store *dense, *padded; /* dense also holds the original and what is expected */
static json_t *dense_config, *padded_config;

static const char *data_path(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tests/formats/data/compressed_tensors/%s", name);
    return source_path(path);
}

static int open_data(void **unused)
{
    (void)unused;
    MUST(gram_store_open(&dense, data_path("dense.safetensors"), &err));
    MUST(gram_store_open(&padded, data_path("padded.safetensors"), &err));
    MUST(gram_json_load(&dense_config, data_path("dense.json"), &err));
    MUST(gram_json_load(&padded_config, data_path("padded.json"), &err));
    return 0;
}

static int close_data(void **unused)
{
    (void)unused;
    gram_store_close(&dense);
    gram_store_close(&padded);
    json_decref(dense_config);
    json_decref(padded_config);
    gram_arena_reset(&arena);
    return 0;
}

static json_t *groups_of(const json_t *config)
{
    json_t *groups = json_object_get(config, "config_groups");
    assert_true(json_object_size(groups) > 0);
    return groups;
}

static const struct gram_tensor *find(const struct gram_store *store, const char *module,
                                      const char *part)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", module, part);
    return gram_store_find(store, name);
}

static void expect_decompressed(const struct gram_weight *w, const char *module)
{
    const struct gram_tensor *expected = find(dense, module, "decompressed");
    struct gram_kernels kernels;
    float row[COLS];

    assert_non_null(expected);
    gram_kernels_init(&kernels, 0);
    for (int64_t r = 0; r < ROWS; r++) {
        const char *want = (const char *)expected->data + r * (int64_t)sizeof row;
        kernels.decode[gram_weight_storage(w)](row, w, r, 0, COLS);
        for (int k = 0; k < COLS; k++) {
            float value;
            memcpy(&value, want + k * (int)sizeof value, sizeof value);
            if (row[k] != value)
                fail_msg("%s [%d][%d]: %a, expected %a", module, (int)r, k, (double)row[k],
                         (double)value);
        }
    }
}

static void expect_all_decompressed(const json_t *config, const struct gram_store *store)
{
    const char *module;
    json_t *group;
    void *state;

    MUST(gram_compressed_open(config, "config.json", &arena, &state, &err));
    json_object_foreach(groups_of(config), module, group)
    {
        struct gram_weight w;
        bool found;
        MUST(gram_compressed_bind(state, store, module, ROWS, COLS, &arena, &w, &found, &err));
        assert_true(found);
        expect_decompressed(&w, module);
    }
}

static void dense_words_decode_to_what_the_library_decompresses(void **unused)
{
    (void)unused;
    expect_all_decompressed(dense_config, dense);
}

static void padded_words_of_older_releases_decode_to_the_same(void **unused)
{
    (void)unused;
    expect_all_decompressed(padded_config, padded);
}

/* ---- writing ---- */

/* A matrix on its way into the container. */
struct quantized {
    uint8_t codes[ROWS][COLS];
    float scales[ROWS * COLS];
    int8_t zeros[ROWS * COLS];
    int64_t n_scales, groups; /* in all, of a row */
};

static void quantize(struct quantized *q, const struct gram_scheme *scheme)
{
    const struct gram_grid grid = {.bits = scheme->bits,
                                   .asymmetric = scheme->asymmetric,
                                   .scale_dtype = GRAM_F32};
    const bool is_one = scheme->granularity == GRAM_PER_TENSOR;
    const int64_t span = is_one ? ROWS * COLS : gram_scheme_span(scheme, COLS);
    float original[ROWS * COLS];

    memcpy(original, gram_store_find(dense, "original")->data, sizeof original);
    q->n_scales = ROWS * COLS / span;
    q->groups = is_one ? 1 : COLS / span;
    for (int64_t i = 0; i < q->n_scales; i++) {
        struct gram_range range = {0};
        assert_true(gram_range_add(&range, original + i * span, span));
        const struct gram_step step = gram_grid_step(&grid, range);
        q->scales[i] = step.scale;
        q->zeros[i] = (int8_t)step.zero;
        gram_grid_encode((uint8_t *)q->codes + i * span, &grid, step, original + i * span, span);
    }
}

static void expect_part(const struct gram_tensor *part, const void *bytes)
{
    const struct gram_tensor *want = gram_store_find(dense, part->name);

    if (!want)
        fail_msg("the library does not store %s", part->name);
    assert_int_equal(part->dtype, want->dtype);
    assert_int_equal(part->rank, want->rank);
    assert_memory_equal(part->shape, want->shape, (size_t)part->rank * sizeof part->shape[0]);
    assert_int_equal(part->bytes, want->bytes);
    if (memcmp(bytes, want->data, (size_t)want->bytes) != 0)
        fail_msg("%s differs from what the library stores", part->name);
}

static void expect_codes(const struct gram_tensor *part, const struct quantized *q, int bits)
{
    uint8_t rows[ROWS * COLS] = {0};
    const int64_t row_bytes = (int64_t)part->bytes / ROWS;

    for (int64_t r = 0; r < ROWS; r++) {
        if (part->dtype == GRAM_I32)
            gram_codes_pack(rows + r * row_bytes, q->codes[r], COLS, bits);
        for (int64_t k = 0; part->dtype == GRAM_I8 && k < COLS; k++)
            rows[r * COLS + k] = (uint8_t)(q->codes[r][k] - 128);
    }
    expect_part(part, rows);
}

static void expect_zeros(const struct gram_tensor *part, const struct quantized *q, int bits)
{
    uint32_t packed[ROWS * COLS];

    if (part->dtype == GRAM_I8) {
        expect_part(part, q->zeros);
        return;
    }
    assert_true(gram_compressed_pack_zeros(packed, q->zeros, ROWS, q->groups, bits));
    expect_part(part, packed);
}

static void linears_are_stored_byte_for_byte_as_the_library_stores_them(void **unused)
{
    static const char *const names[] = {"weight", "weight_packed", "weight_scale", "weight_shape",
                                        "weight_zero_point"};
    static const int64_t shape[2] = {ROWS, COLS};
    const char *module;
    json_t *group;

    (void)unused;
    json_object_foreach(groups_of(dense_config), module, group)
    {
        struct gram_tensor parts[GRAM_N_PART];
        struct gram_scheme scheme;
        struct quantized q;
        int n_parts = 0;

        MUST(gram_scheme_parse(&scheme, module, &err));
        quantize(&q, &scheme);
        assert_true(gram_compressed_parts(parts, &scheme, module, ROWS, COLS, GRAM_F32, &arena));
        expect_codes(&parts[GRAM_PART_CODES], &q, scheme.bits);
        expect_part(&parts[GRAM_PART_SCALES], q.scales);
        if (parts[GRAM_PART_SHAPE].name)
            expect_part(&parts[GRAM_PART_SHAPE], shape);
        if (parts[GRAM_PART_ZEROS].name)
            expect_zeros(&parts[GRAM_PART_ZEROS], &q, scheme.bits);
        for (int i = 0; i < GRAM_N_PART; i++)
            n_parts += parts[i].name != NULL;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            n_parts -= find(dense, module, names[i]) != NULL;
        assert_int_equal(n_parts, 0);
    }
}

/* Every key that is written is one of the library's, which forbids others, with its value. */
static void expect_keys(const json_t *written, const json_t *reference)
{
    const char *key;
    json_t *value;

    assert_int_equal(json_typeof(written), json_typeof(reference));
    json_object_foreach((json_t *)(uintptr_t)written, key, value)
    {
        const json_t *want = json_object_get(reference, key);
        if (!want)
            fail_msg("the library has no key %s", key);
        if (json_is_object(value) && json_object_size(value) > 0)
            expect_keys(value, want);
        else if (!json_equal(value, (json_t *)(uintptr_t)want))
            fail_msg("%s is not what the library writes", key);
    }
}

static void the_configuration_says_what_the_library_says(void **unused)
{
    struct gram_compressed_linear linears[16];
    struct gram_scheme schemes[16];
    const char *module, *name;
    json_t *group;
    size_t n = 0;

    (void)unused;
    json_object_foreach(groups_of(dense_config), module, group)
    {
        assert_true(n < sizeof linears / sizeof linears[0]);
        MUST(gram_scheme_parse(&schemes[n], module, &err));
        linears[n] = (struct gram_compressed_linear){module, &schemes[n], "memoryless_minmax"};
        n++;
    }
    json_t *config = gram_compressed_config(linears, n);
    assert_non_null(config);
    assert_int_equal(json_object_size(groups_of(config)), n);
    json_object_foreach(groups_of(config), name, group)
    {
        const char *target =
            json_string_value(json_array_get(json_object_get(group, "targets"), 0));
        expect_keys(group, json_object_get(groups_of(dense_config), target));
    }
    assert_true(
        json_equal(json_object_get(config, "format"), json_object_get(dense_config, "format")));
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_words_decode_to_what_the_library_decompresses),
        cmocka_unit_test(padded_words_of_older_releases_decode_to_the_same),
        cmocka_unit_test(linears_are_stored_byte_for_byte_as_the_library_stores_them),
        cmocka_unit_test(the_configuration_says_what_the_library_says),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}
