/* Trainings that begin with codes: scales alone, and weights on the grid of a quantized model. */
#include "formats/store.h"
#include "tuning.h"

static struct gram_runtime *rt;
static const char *text;

static int open_world(void **state)
{
    (void)state;
    text = unread_text(2500);
    rt = open_runtime(2, NULL);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    gram_runtime_close(&rt);
    return 0;
}

static struct gram_tune_options options_of(const char *method)
{
    struct gram_tune_options o = GRAM_TUNE_OPTIONS_INIT;

    o.method = method;
    o.data = text;
    o.context = 64;
    o.rows = 2;
    o.eval_share = 0.2;
    return o;
}

/* What the model must not change when its steps are trained. */
static void hold_codes(const char *before, const char *after)
{
    struct gram_store *a, *b;
    struct gram_error err;
    int codes = 0, steps = 0;

    MUST(gram_store_open(&a, before, &err));
    MUST(gram_store_open(&b, after, &err));
    for (size_t i = 0; i < gram_store_count(a); i++) {
        const struct gram_tensor *x = gram_store_at(a, i), *y = gram_store_find(b, x->name);
        const bool is_step = strstr(x->name, "weight_scale") != NULL;
        assert_true(y && x->bytes == y->bytes && x->dtype == y->dtype);
        const bool is_same = memcmp(x->data, y->data, (size_t)x->bytes) == 0;
        assert_true(is_step || is_same);
        steps += is_step && !is_same;
        codes += !is_step;
    }
    assert_true(steps > 0 && codes > 0);
    gram_store_close(&a);
    gram_store_close(&b);
}

static void the_steps_alone_of_a_quantized_model_are_trained(void **state)
{
    static const char *const schemes[] = {"w2a16-g32", "w4a16-asym-g32", "w8a16", "fp8"};

    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const char *base = quantized(rt, schemes[i], "mse"), *out = out_path();
        struct gram_tune_options options = options_of("steps");
        struct gram_tune_report report;
        struct gram_error err;
        options.lr = 3e-3;
        options.steps = 12;
        MUST(gram_tune(rt, base, out, &options, &report, NULL, &err));
        if (!(report.held_after < report.held_before))
            fail_msg("%s: %g -> %g", schemes[i], report.held_before, report.held_after);
        hold_codes(base, out);
    }
}

static void it_begins_with_the_codes_of_a_quantized_model(void **state)
{
    static const char *const schemes[] = {"w2a16-g32", "w3a16-channel-asym", "nf4"};

    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct gram_quantize_options quantize = GRAM_QUANTIZE_OPTIONS_INIT;
        struct gram_tune_options options = options_of("qat");
        struct gram_tune_report report;
        struct gram_error err;
        const char *base = out_path(), *out = out_path();
        const bool is_book = strcmp(schemes[i], "nf4") == 0;
        quantize.scheme = schemes[i];
        quantize.method = is_book ? "mse" : "gptq";
        quantize.calibration = text;
        MUST(gram_quantize(rt, hamlet(), base, &quantize, NULL, NULL, &err));
        options.scheme = schemes[i];
        options.start = base;
        options.steps = 1;
        options.lr = 1e-12;
        options.eval_share = 0.0;
        options.eval_data = text;
        MUST(gram_tune(rt, hamlet(), out, &options, &report, NULL, &err));
        if (!is_same_file(base, out, "model.safetensors"))
            fail_msg("%s: codes moved", schemes[i]);
    }
}

/* gptq at 2 bits, 3 in attention, scales in f16. */
static const char *mixed_codes(void)
{
    const struct gram_recipe_rule rule = {"*.attn.*", "w3a16-channel-asym", NULL};
    struct gram_quantize_options quantize = GRAM_QUANTIZE_OPTIONS_INIT;
    const char *base = out_path();
    struct gram_error err;

    quantize.scheme = "w2a16-g32";
    quantize.rules = &rule;
    quantize.n_rules = 1;
    quantize.method = "gptq";
    quantize.calibration = text;
    quantize.scale_dtype = "f16";
    MUST(gram_quantize(rt, hamlet(), base, &quantize, NULL, NULL, &err));
    return base;
}

/* No scheme is named: grids and types of scales are those of the model that it begins with. */
static void it_begins_on_the_grids_of_a_quantized_model(void **state)
{
    struct gram_tune_options options = options_of("qat");
    const char *base = mixed_codes(), *out = out_path();
    struct gram_error err;

    (void)state;
    options.start = base;
    options.steps = 1;
    options.lr = 1e-12;
    MUST(gram_tune(rt, hamlet(), out, &options, NULL, NULL, &err));
    assert_true(is_same_file(base, out, "model.safetensors"));
}

/* Codes are not given up at the first steps: no weight begins just beside another one. */
static void what_it_begins_with_is_not_lost_at_once(void **state)
{
    struct gram_tune_options options = options_of("qat");
    struct gram_tune_report report;
    struct gram_error err;

    (void)state;
    options.start = mixed_codes();
    options.distill = 1.0;
    options.lr = 3e-4;
    options.eval_share = 0.0;
    options.eval_data = text;
    MUST(gram_tune(rt, hamlet(), out_path(), &options, &report, NULL, &err));
    if (!(report.held_after < report.held_before))
        fail_msg("%g -> %g", report.held_before, report.held_after);
}

static void a_start_without_codes_is_refused(void **state)
{
    struct gram_tune_options options = options_of("qat");

    (void)state;
    options.start = hamlet();
    refuse_to_tune(rt, hamlet(), &options, "no codes to begin with");
}

static void codes_of_another_grid_are_refused(void **state)
{
    struct gram_tune_options options = options_of("qat");

    (void)state;
    options.scheme = "w4a16-g32";
    options.start = quantized(rt, "w2a16-g32", "rtn");
    refuse_to_tune(rt, hamlet(), &options, "not on the grid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_with_the_codes_of_a_quantized_model),
        cmocka_unit_test(it_begins_on_the_grids_of_a_quantized_model),
        cmocka_unit_test(what_it_begins_with_is_not_lost_at_once),
        cmocka_unit_test(a_start_without_codes_is_refused),
        cmocka_unit_test(codes_of_another_grid_are_refused),
        cmocka_unit_test(the_steps_alone_of_a_quantized_model_are_trained),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
