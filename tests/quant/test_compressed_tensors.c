/* Reading compressed-tensors: configurations, layouts of every age, and what is refused. */
#include "tensors.h"

#include "base/arena.h"
#include "formats/compressed_tensors.h"
#include "formats/container.h"
#include "kernels/kernels.h"

static struct gram_arena arena;
static struct gram_error err;
static struct gram_store *store;
static void *state;

static int forget(void **unused)
{
    (void)unused;
    gram_store_close(&store);
    gram_arena_reset(&arena);
    err = (struct gram_error){0};
    return 0;
}

static enum gram_status open_config(const char *text)
{
    json_t *config;

    MUST(gram_json_parse(&config, text, strlen(text), "config.json", &err));
    const char *method = json_string_value(json_object_get(config, "quant_method"));
    const struct gram_container *c = gram_container_find(method ? method : "compressed-tensors");
    assert_non_null(c);
    const enum gram_status status = c->open(config, "config.json", &arena, &state, &err);
    json_decref(config);
    return status;
}

static void open_tensors(const struct gram_tensor *tensors, size_t n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/model.safetensors", fresh_folder());
    write_tensors(path, tensors, n);
    MUST(gram_store_open(&store, path, &err));
}

static enum gram_status bind(const char *module, int64_t rows, int64_t cols, struct gram_weight *w)
{
    bool found;
    const enum gram_status status =
        gram_compressed_bind(state, store, module, rows, cols, &arena, w, &found, &err);
    if (status == GRAM_OK)
        assert_true(found);
    return status;
}

/* One config group with these weights; `top` are further keys of the whole. */
#define CONFIG(top, weights, targets)                                                              \
    "{" top "\"config_groups\":{\"group_0\":{\"targets\":" targets ",\"weights\":" weights "}}}"
#define INT3    "{\"num_bits\":3,\"strategy\":\"channel\"}"
#define INT4G16 "{\"num_bits\":4,\"strategy\":\"group\",\"group_size\":16}"

/* 32 codes 0..7, 0..7, ... as both ages of the library pack them. */
static const uint32_t dense_words[3] = {0x88fac688, 0xc688fac6, 0xfac688fa};
static const uint32_t sparse_words[4] = {0x08fac688, 0x1a23eb1a, 0x2c688fac, 0x0000003e};
static const float one = 1.0f;
static const int64_t shape_1x32[2] = {1, 32};

static void expect_codes_of_three_bits(const uint32_t *words, int64_t n_words)
{
    struct gram_weight w;
    const struct gram_tensor tensors[] = {
        tensor_of("m.weight_packed", GRAM_I32, words, 2, 1, n_words),
        tensor_of("m.weight_scale", GRAM_F32, &one, 2, 1, 1),
        tensor_of("m.weight_shape", GRAM_I64, shape_1x32, 1, 2, 0),
    };

    MUST(open_config(CONFIG("", INT3, "[\"Linear\"]")));
    open_tensors(tensors, 3);
    MUST(bind("m", 1, 32, &w));
    assert_int_equal(w.bits, 3);
    for (int64_t k = 0; k < 32; k++)
        assert_int_equal(gram_code_get(w.data, k, 3), k % 8);
}

static void dense_packing_of_three_bits_is_read(void **unused)
{
    (void)unused;
    expect_codes_of_three_bits(dense_words, 3);
}

static void sparse_packing_of_three_bits_is_repacked(void **unused)
{
    (void)unused;
    expect_codes_of_three_bits(sparse_words, 4);
}

/* 20 codes of 3 bits take 2 words either way; only the version tells which. */
static void an_ambiguous_width_is_settled_by_the_version(void **unused)
{
    static const uint32_t words[2] = {0x08fac688, 0x1a23eb1a}; /* 10 codes in each */
    static const int64_t shape[2] = {1, 20};
    const struct gram_tensor tensors[] = {
        tensor_of("m.weight_packed", GRAM_I32, words, 2, 1, 2),
        tensor_of("m.weight_scale", GRAM_F32, &one, 2, 1, 1),
        tensor_of("m.weight_shape", GRAM_I64, shape, 1, 2, 0),
    };
    struct gram_weight w;

    (void)unused;
    MUST(open_config(CONFIG("\"version\":\"0.17.1\",", INT3, "[\"Linear\"]")));
    open_tensors(tensors, 3);
    MUST(bind("m", 1, 20, &w));
    for (int64_t k = 0; k < 20; k++)
        assert_int_equal(gram_code_get(w.data, k, 3), k % 8);
}

static void zero_points_packed_along_outputs_are_unpacked(void **unused)
{
    /* rows 0..8 have stored zero points 0..8 in group 0 and 15 in group 1 */
    static const uint32_t zeros[4] = {0x76543210, 0xffffffff, 0x8, 0xf};
    static const uint32_t codes[9 * 4];
    static const float scales[18] = {1, 2, 3};
    static const int64_t shape[2] = {9, 32};
    const struct gram_tensor tensors[] = {
        tensor_of("m.weight_packed", GRAM_I32, codes, 2, 9, 4),
        tensor_of("m.weight_scale", GRAM_F32, scales, 2, 9, 2),
        tensor_of("m.weight_shape", GRAM_I64, shape, 1, 2, 0),
        tensor_of("m.weight_zero_point", GRAM_I32, zeros, 2, 2, 2),
    };
    struct gram_weight w;

    (void)unused;
    MUST(open_config(
        CONFIG("", "{\"num_bits\":4,\"group_size\":16,\"symmetric\":false}", "[\"re:m\"]")));
    open_tensors(tensors, 4);
    MUST(bind("m", 9, 32, &w));
    assert_int_equal(w.group, 16);
    for (int r = 0; r < 9; r++) {
        assert_int_equal(w.zeros[2 * r], r - 8);
        assert_int_equal(w.zeros[2 * r + 1], 7);
    }
}

static void plain_int8_with_dynamic_activations_is_used_in_place(void **unused)
{
    static const int8_t codes[64] = {-128, 127};
    static const uint16_t scales[2] = {0x3f80, 0x4000}; /* bf16 1, 2 */
    const struct gram_tensor tensors[] = {
        tensor_of("m.weight", GRAM_I8, codes, 2, 2, 32),
        tensor_of("m.weight_scale", GRAM_BF16, scales, 2, 2, 1),
    };
    struct gram_weight w;

    (void)unused;
    MUST(open_config(
        "{\"format\":\"int-quantized\",\"ignore\":[\"lm_head\"],\"config_groups\":{\"group_0\":{"
        "\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"strategy\":\"channel\"},"
        "\"input_activations\":{\"num_bits\":8,\"strategy\":\"token\",\"dynamic\":true,"
        "\"observer\":null}}}}"));
    open_tensors(tensors, 2);
    MUST(bind("m", 2, 32, &w));
    assert_true(w.is_signed);
    assert_int_equal(w.act_bits, 8);
    assert_ptr_equal(w.data, gram_store_find(store, "m.weight")->data);
    assert_true(gram_weight_scale(&w, 1, 0) == 2.0f);
}

static void bytes_of_floats_are_used_in_place_and_leave_activations_alone(void **unused)
{
    static const uint8_t codes[64] = {0x38, 0xc0}; /* 1, -2 */
    static const float scales[2] = {0.5f, 2};
    const struct gram_tensor tensors[] = {
        tensor_of("m.weight", GRAM_F8_E4M3, codes, 2, 2, 32),
        tensor_of("m.weight_scale", GRAM_F32, scales, 2, 2, 1),
    };
    struct gram_weight w;
    uint8_t read[2];

    (void)unused;
    MUST(open_config(
        "{\"format\":\"float-quantized\",\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],"
        "\"weights\":{\"num_bits\":8,\"type\":\"float\",\"strategy\":\"channel\"},"
        "\"input_activations\":{\"num_bits\":8,\"type\":\"float\",\"strategy\":\"token\","
        "\"dynamic\":true}}}}"));
    open_tensors(tensors, 2);
    MUST(bind("m", 2, 32, &w));
    gram_weight_codes(read, &w, 0, 0, 2);
    assert_int_equal(w.act_bits, 0);
    assert_true(w.table[read[0]] == 1.0f && w.table[read[1]] == -2.0f);
    assert_true(gram_weight_scale(&w, 0, 0) == 0.5f);
}

#define STATIC8                                                                                    \
    "{\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"strategy\":\"channel\"},"      \
    "\"input_activations\":{\"num_bits\":8,\"strategy\":\"tensor\",\"dynamic\":false}}}}"

static void static_activations_bring_their_scale(void **unused)
{
    static const int8_t codes[64], zero[1], other[1] = {3};
    static const float scales[2] = {1, 2}, input[1] = {0.25f}, negative[1] = {-1};
    const struct gram_tensor tensors[] = {
        tensor_of("m.weight", GRAM_I8, codes, 2, 2, 32),
        tensor_of("m.weight_scale", GRAM_F32, scales, 2, 2, 1),
        tensor_of("m.input_scale", GRAM_F32, input, 1, 1, 0),
        tensor_of("m.input_zero_point", GRAM_I8, zero, 1, 1, 0),
        tensor_of("bare.weight", GRAM_I8, codes, 2, 2, 32),
        tensor_of("bare.weight_scale", GRAM_F32, scales, 2, 2, 1),
        tensor_of("less.weight", GRAM_I8, codes, 2, 2, 32),
        tensor_of("less.weight_scale", GRAM_F32, scales, 2, 2, 1),
        tensor_of("less.input_scale", GRAM_F32, negative, 1, 1, 0),
        tensor_of("odd.weight", GRAM_I8, codes, 2, 2, 32),
        tensor_of("odd.weight_scale", GRAM_F32, scales, 2, 2, 1),
        tensor_of("odd.input_scale", GRAM_F32, input, 1, 1, 0),
        tensor_of("odd.input_zero_point", GRAM_I8, other, 1, 1, 0),
    };
    struct gram_weight w;

    (void)unused;
    MUST(open_config(STATIC8));
    open_tensors(tensors, sizeof tensors / sizeof tensors[0]);
    MUST(bind("m", 2, 32, &w));
    assert_int_equal(w.act_bits, 8);
    assert_true(w.act_scale == 0.25f);
    MUST_FAIL(GRAM_EFORMAT, "bare.input_scale", bind("bare", 2, 32, &w));
    MUST_FAIL(GRAM_EFORMAT, "not the scale", bind("less", 2, 32, &w));
    MUST_FAIL(GRAM_EUNSUPPORTED, "symmetric", bind("odd", 2, 32, &w));
}

static void one_scale_may_serve_the_whole_tensor(void **unused)
{
    static const uint32_t codes[8];
    const struct gram_tensor tensors[] = {
        tensor_of("m.weight_packed", GRAM_I32, codes, 2, 2, 4),
        tensor_of("m.weight_scale", GRAM_F32, &one, 1, 1, 0),
    };
    struct gram_weight w;

    (void)unused;
    MUST(open_config(CONFIG("", "{\"num_bits\":4}", "[\"Linear\"]")));
    open_tensors(tensors, 2);
    MUST(bind("m", 2, 32, &w));
    assert_int_equal(w.scale_stride, 0);
}

static void a_plain_float_weight_is_not_found_here(void **unused)
{
    static const float values[32];
    const struct gram_tensor tensors[] = {tensor_of("m.weight", GRAM_F32, values, 2, 1, 32)};
    struct gram_weight w;
    bool found = true;

    (void)unused;
    MUST(open_config(CONFIG("", INT3, "[\"Linear\"]")));
    open_tensors(tensors, 1);
    MUST(gram_compressed_bind(state, store, "m", 1, 32, &arena, &w, &found, &err));
    assert_false(found);
}

static void the_most_specific_target_wins(void **unused)
{
    const struct gram_compressed_group *group;

    (void)unused;
    MUST(open_config("{\"config_groups\":{"
                     "\"a\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":2}},"
                     "\"b\":{\"targets\":[\"re:.*down_proj$\"],\"weights\":{\"num_bits\":4}},"
                     "\"c\":{\"targets\":[\"l.0.down_proj\"],\"weights\":{\"num_bits\":8}}}}"));
    MUST(gram_compressed_find(state, "l.0.down_proj", &group, &err));
    assert_int_equal(group->bits, 8);
    MUST(gram_compressed_find(state, "l.1.down_proj", &group, &err));
    assert_int_equal(group->bits, 4);
    MUST(gram_compressed_find(state, "l.1.down_proj.x", &group, &err));
    assert_int_equal(group->bits, 2);
}

static void patterns_match_from_the_start_only(void **unused)
{
    const struct gram_compressed_group *group;

    (void)unused;
    MUST(open_config(CONFIG("", INT3, "[\"re:mlp\"]")));
    MUST(gram_compressed_find(state, "mlp.up", &group, &err));
    assert_non_null(group);
    MUST(gram_compressed_find(state, "layers.mlp.up", &group, &err));
    assert_null(group);
}

static void shapes_that_contradict_the_configuration_are_refused(void **unused)
{
    static const uint32_t codes[64];
    static const float scales[64];
    static const int64_t wrong[2] = {2, 31};
    const struct gram_tensor tensors[] = {
        tensor_of("narrow.weight_packed", GRAM_I32, codes, 2, 2, 3),
        tensor_of("stated.weight_packed", GRAM_I32, codes, 2, 2, 4),
        tensor_of("stated.weight_shape", GRAM_I64, wrong, 1, 2, 0),
        tensor_of("scales.weight_packed", GRAM_I32, codes, 2, 2, 4),
        tensor_of("scales.weight_scale", GRAM_F32, scales, 2, 2, 1),
        tensor_of("bare.weight_packed", GRAM_I32, codes, 2, 2, 4),
        tensor_of("type.weight_packed", GRAM_F32, codes, 2, 2, 4),
        tensor_of("perm.weight_packed", GRAM_I32, codes, 2, 2, 4),
        tensor_of("perm.weight_g_idx", GRAM_I32, codes, 1, 32, 0),
    };
    struct gram_weight w;

    (void)unused;
    MUST(open_config(CONFIG("", INT4G16, "[\"Linear\"]")));
    open_tensors(tensors, sizeof tensors / sizeof tensors[0]);
    MUST_FAIL(GRAM_EFORMAT, "expected [2, 4]", bind("narrow", 2, 32, &w));
    MUST_FAIL(GRAM_EFORMAT, "says [2, 31]", bind("stated", 2, 32, &w));
    MUST_FAIL(GRAM_EFORMAT, "expected [2, 2]", bind("scales", 2, 32, &w));
    MUST_FAIL(GRAM_EFORMAT, "bare.weight_scale", bind("bare", 2, 32, &w));
    MUST_FAIL(GRAM_EFORMAT, "expected i32", bind("type", 2, 32, &w));
    MUST_FAIL(GRAM_EUNSUPPORTED, "weight_g_idx", bind("perm", 2, 32, &w));
}

static void what_would_change_the_result_is_refused_by_name(void **unused)
{
    static const struct {
        enum gram_status status;
        const char *part, *config;
    } cases[] = {
        {GRAM_EUNSUPPORTED, "nvfp4-pack-quantized",
         CONFIG("\"format\":\"nvfp4-pack-quantized\",", INT3, "[\"Linear\"]")},
        {GRAM_EUNSUPPORTED, "of float weights",
         CONFIG("", "{\"type\":\"float\",\"num_bits\":4}", "[\"Linear\"]")},
        {GRAM_EUNSUPPORTED, "type 'complex'", CONFIG("", "{\"type\":\"complex\"}", "[\"Linear\"]")},
        {GRAM_EUNSUPPORTED, "'block'", CONFIG("", "{\"strategy\":\"block\"}", "[\"Linear\"]")},
        {GRAM_EUNSUPPORTED, "num_bits is 7", CONFIG("", "{\"num_bits\":7}", "[\"Linear\"]")},
        {GRAM_EFORMAT, "num_bits is 0", CONFIG("", "{\"num_bits\":0}", "[\"Linear\"]")},
        {GRAM_EFORMAT, "group_size", CONFIG("", "{\"group_size\":-7}", "[\"Linear\"]")},
        {GRAM_EFORMAT, "group_size", CONFIG("", "{\"group_size\":0}", "[\"Linear\"]")},
        {GRAM_EFORMAT, "group_size", CONFIG("", "{\"strategy\":\"group\"}", "[\"Linear\"]")},
        {GRAM_EUNSUPPORTED, "actorder", CONFIG("", "{\"actorder\":\"group\"}", "[\"Linear\"]")},
        {GRAM_EUNSUPPORTED, "kv_cache_scheme",
         CONFIG("\"kv_cache_scheme\":{},", INT3, "[\"Linear\"]")},
        {GRAM_EUNSUPPORTED, "sparse-24",
         CONFIG("\"sparsity_config\":{\"format\":\"sparse-24\"},", INT3, "[\"Linear\"]")},
        {GRAM_EFORMAT, "targets", CONFIG("", INT3, "\"Linear\"")},
        {GRAM_EFORMAT, "pattern", CONFIG("", INT3, "[\"re:(\"]")},
        {GRAM_EFORMAT, "config_groups", "{\"config_groups\":{}}"},
        {GRAM_EFORMAT, "expected an object", "{\"config_groups\":[]}"},
        {GRAM_EUNSUPPORTED, "static asymmetric",
         "{\"config_groups\":{\"g\":{\"targets\":[],\"weights\":{},\"input_activations\":{"
         "\"symmetric\":false}}}}"},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        MUST_FAIL(cases[i].status, cases[i].part, open_config(cases[i].config));
}

static void other_containers_are_refused_by_name_after_a_look(void **unused)
{
    (void)unused;
    assert_null(gram_container_find("hqq"));
    MUST_FAIL(GRAM_EUNSUPPORTED, "gptq",
              open_config("{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128}"));
    MUST_FAIL(GRAM_EFORMAT, "bits is 0", open_config("{\"quant_method\":\"gptq\",\"bits\":0}"));
    MUST_FAIL(GRAM_EFORMAT, "group_size is -7",
              open_config("{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":-7}"));
    MUST_FAIL(GRAM_EUNSUPPORTED, "awq", open_config("{\"quant_method\":\"awq\",\"w_bit\":4}"));
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(dense_packing_of_three_bits_is_read),
        TEST(sparse_packing_of_three_bits_is_repacked),
        TEST(an_ambiguous_width_is_settled_by_the_version),
        TEST(zero_points_packed_along_outputs_are_unpacked),
        TEST(plain_int8_with_dynamic_activations_is_used_in_place),
        TEST(bytes_of_floats_are_used_in_place_and_leave_activations_alone),
        TEST(static_activations_bring_their_scale),
        TEST(one_scale_may_serve_the_whole_tensor),
        TEST(a_plain_float_weight_is_not_found_here),
        TEST(the_most_specific_target_wins),
        TEST(patterns_match_from_the_start_only),
        TEST(shapes_that_contradict_the_configuration_are_refused),
        TEST(what_would_change_the_result_is_refused_by_name),
        TEST(other_containers_are_refused_by_name_after_a_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
