/* Merging: what is exact, what it costs where it is not, and that nothing is left behind. */
#include <math.h>
#include <unistd.h>

#include "adapters.h"
#include "formats/store.h"
#include "tuning.h"

static struct gram_runtime *rt;

static int open_world(void **state)
{
    (void)state;
    rt = open_runtime(2, "f32"); /* what is compared are weights */
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    gram_runtime_close(&rt);
    return 0;
}

#define Q    "layers.1.self_attn.q_proj"
#define DOWN "layers.0.mlp.down_proj"

static const char *plain_adapter(double size)
{
    const struct half halves[] = {{Q ".lora_A", 4, 256, 0.1},
                                  {Q ".lora_B", 256, 4, size},
                                  {DOWN ".lora_A", 4, 640, 0.1},
                                  {DOWN ".lora_B", 256, 4, size}};
    return make_adapter("{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8}", halves, 4);
}

static void merge(const char *in, const char *adapter, const char *out, const char *scheme,
                  struct gram_merge_report *report)
{
    struct gram_merge_options options = GRAM_MERGE_OPTIONS_INIT;
    struct gram_error err;

    options.scheme = scheme;
    MUST(gram_merge(rt, in, out, &(struct gram_adapter){adapter, 1.0}, 1, &options, report, NULL,
                    &err));
}

static void an_adapter_merges_into_floats_up_to_their_type(void **state)
{
    const char *adapter = plain_adapter(0.1), *out = out_path();
    struct gram_check_report checked;
    struct gram_merge_report report;
    struct gram_error err;

    (void)state; /* hamlet is stored in bf16 */
    merge(hamlet(), adapter, out, NULL, &report);
    assert_int_equal(report.linears, 2);
    assert_int_equal(report.exact, 0);
    assert_true(report.change > 0.01 && report.error < 0.003 && report.error > 1e-4);
    assert_true(logits_apart(rt, hamlet(), adapter, out) < 0.02);
    MUST(gram_check(&checked, rt, out, NULL, &err));
}

/* The shared case is stored in f32: nothing is lost but rounding. */
static void an_adapter_merges_into_f32_exactly(void **state)
{
    static const char base[] = "golden/train/llama_lora_r4_qv/hf";
    char adapter[256];
    struct gram_merge_report report;
    const char *out = out_path();

    (void)state;
    need_shared("golden/train/llama_lora_r4_qv/hf/config.json");
    snprintf(adapter, sizeof adapter, "%s", shared_path("golden/train/llama_lora_r4_qv"));
    merge(shared_path(base), adapter, out, NULL, &report);
    assert_int_equal(report.exact, report.linears);
    assert_true(report.change > 0.0);
    assert_true(logits_apart(rt, shared_path(base), adapter, out) < 1e-5);
}

static void a_quantized_base_is_quantized_again_on_its_own_grid(void **state)
{
    static const char *const schemes[] = {"w4a16-g32-asym", "w4a16-g32", "w8a16-channel", "nf4",
                                          "nf4-dq",         "w8a8"};

    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const char *base = quantized(rt, schemes[i], "mse"), *adapter = plain_adapter(0.3),
                   *out = out_path();
        struct gram_merge_report report;
        struct gram_model_info before, after;
        struct gram_model *model;
        struct gram_error err;
        char scheme[64];
        merge(base, adapter, out, NULL, &report);
        if (!(report.error < 0.15) || !(report.error > 0.0) || report.exact > 0)
            fail_msg("%s: change %g, error %g", schemes[i], report.change, report.error);
        MUST(gram_model_open(&model, rt, base, &err));
        gram_model_info(model, &before);
        snprintf(scheme, sizeof scheme, "%s", before.scheme);
        gram_model_close(&model);
        MUST(gram_model_open(&model, rt, out, &err));
        gram_model_info(model, &after);
        assert_string_equal(after.scheme, scheme);
        assert_int_equal(after.weight_bytes, before.weight_bytes);
        gram_model_close(&model);
    }
}

/* Codes, scales and all else have the bytes of the base, touched by a pair or not. */
static void an_adapter_that_counts_nothing_changes_no_byte(void **state)
{
    static const char *const schemes[] = {"w4a16-g32-asym", "w8a16-channel", "nf4", "w8a8"};

    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct gram_merge_options options = GRAM_MERGE_OPTIONS_INIT;
        const struct gram_adapter none = {plain_adapter(0.1), 0.0};
        const char *base = quantized(rt, schemes[i], "mse"), *out = out_path();
        struct gram_store *before, *after;
        struct gram_error err;
        MUST(gram_merge(rt, base, out, &none, 1, &options, NULL, NULL, &err));
        MUST(gram_store_open(&before, base, &err));
        MUST(gram_store_open(&after, out, &err));
        assert_int_equal(gram_store_count(before), gram_store_count(after));
        for (size_t k = 0; k < gram_store_count(before); k++) {
            const struct gram_tensor *a = gram_store_at(before, k);
            const struct gram_tensor *b = gram_store_find(after, a->name);
            if (!b || a->bytes != b->bytes || memcmp(a->data, b->data, (size_t)a->bytes) != 0)
                fail_msg("%s: %s differs", schemes[i], a->name);
        }
        gram_store_close(&before);
        gram_store_close(&after);
    }
}

static void a_merge_of_another_scheme_quantizes_all_linears(void **state)
{
    const char *adapter = plain_adapter(0.1), *out = out_path(), *back = out_path();
    struct gram_merge_report report;

    (void)state;
    merge(hamlet(), adapter, out, "w8a16-channel", &report);
    assert_int_equal(report.linears, 35);
    assert_true(logits_apart(rt, hamlet(), adapter, out) < 0.1);
    merge(out, adapter, back, "bf16", &report); /* and from codes to floats */
    assert_int_equal(report.linears, 35);
    assert_true(logits_apart(rt, out, adapter, back) < 0.02);
}

static void what_cannot_be_merged_leaves_nothing(void **state)
{
    struct gram_merge_options options = GRAM_MERGE_OPTIONS_INIT;
    const char *out = out_path();
    struct gram_error err;

    (void)state;
    MUST_FAIL(GRAM_ENOENT, "adapter_config.json",
              gram_merge(rt, hamlet(), out, &(struct gram_adapter){fresh_folder(), 1.0}, 1,
                         &options, NULL, NULL, &err));
    MUST_FAIL(GRAM_EINVAL, "no adapter",
              gram_merge(rt, hamlet(), out, NULL, 0, &options, NULL, NULL, &err));
    options.text = "no such text";
    MUST_FAIL(GRAM_ENOENT, "no such text",
              gram_merge(rt, hamlet(), out, &(struct gram_adapter){plain_adapter(0.1), 1.0}, 1,
                         &options, NULL, NULL, &err));
    assert_int_not_equal(access(out, F_OK), 0);
}

static void a_merge_measures_itself_beside_the_unmerged_model(void **state)
{
    struct gram_merge_options options = GRAM_MERGE_OPTIONS_INIT;
    const char *out = out_path();
    struct gram_merge_report report;
    struct gram_error err;
    char path[700];
    size_t n;

    (void)state;
    options.text = source_path("LICENSE");
    options.context = 64;
    MUST(gram_merge(rt, quantized(rt, "w4a16-g32", "mse"), out,
                    &(struct gram_adapter){plain_adapter(0.1), 1.0}, 1, &options, &report, NULL,
                    &err));
    assert_true(report.is_measured && report.tokens > 100);
    assert_true(report.kl_mean > 0.0 && report.ppl > 1.0 && report.ppl_unmerged > 1.0);
    snprintf(path, sizeof path, "%s/gram.json", out);
    char *certificate = read_file(path, &n);
    assert_non_null(strstr(certificate, "\"ppl_unmerged\""));
    assert_non_null(strstr(certificate, "\"adapters\""));
    free(certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_merges_into_floats_up_to_their_type),
        cmocka_unit_test(an_adapter_merges_into_f32_exactly),
        cmocka_unit_test(a_quantized_base_is_quantized_again_on_its_own_grid),
        cmocka_unit_test(an_adapter_that_counts_nothing_changes_no_byte),
        cmocka_unit_test(a_merge_of_another_scheme_quantizes_all_linears),
        cmocka_unit_test(what_cannot_be_merged_leaves_nothing),
        cmocka_unit_test(a_merge_measures_itself_beside_the_unmerged_model),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
