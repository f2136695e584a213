/* Methods and transforms with options behind their names. */
#include "support.h"

#include "quant/method.h"
#include "quant/transform.h"

static struct gram_error err;

static struct gram_method_options method_of(const char *text)
{
    struct gram_method_options options = GRAM_METHOD_OPTIONS_INIT;
    const struct gram_method *method;

    MUST(gram_method_read(&method, &options, text, &err));
    assert_memory_equal(method->about->name, text, strcspn(text, ":"));
    return options;
}

static void a_name_alone_leaves_the_defaults(void **state)
{
    const struct gram_method_options options = method_of("gptq");
    (void)state;
    assert_true(options.act_order && options.static_groups && options.mse_steps);
    assert_int_equal(options.block, 128);
}

static void numbers_and_switches_are_set(void **state)
{
    const struct gram_method_options options =
        method_of("gptq:block=64,no-act-order,damping=5e-2,iterations=-1");
    (void)state;
    assert_int_equal(options.block, 64);
    assert_int_equal(options.iterations, -1);
    assert_false(options.act_order);
    assert_true(options.static_groups && options.damping == 0.05);
}

static void reference_stands_for_what_the_reference_does(void **state)
{
    const struct gram_method_options options = method_of("gptq:reference,static-groups");
    (void)state;
    assert_true(options.static_groups && !options.mse_steps && options.act_order);
    assert_int_equal(options.iterations, -1);
}

static void transforms_have_options_too(void **state)
{
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    const struct gram_transform *transform;
    (void)state;

    MUST(gram_transform_read(&transform, &options, "smoothquant:alpha=0.75,reference", &err));
    assert_true(options.alpha == 0.75 && options.as_reference);
    MUST(gram_transform_read(&transform, &options, "smoothquant:alpha=search", &err));
    assert_true(options.alpha < 0);
    MUST(gram_transform_read(&transform, &options, "awq:grid=10,no-clip", &err));
    assert_true(options.grid == 10 && !options.clip);
    MUST(gram_transform_read(&transform, &options, "none", &err));
    assert_null(transform);
}

static void what_a_method_does_not_have_is_refused_with_what_it_has(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"gptq:blok=64",
         "method 'gptq' has no option 'blok'; it has damping, act-order, static-groups"},
        {"hqq:block=64", "'hqq' has no option 'block'; it has iterations"},
        {"rtn:block=64", "'rtn' has no options"},
        {"gptq:block=0", "block is '0', must be a whole number from 1"},
        {"gptq:block=1.5", "whole number"},
        {"gptq:block=", "block is ''"},
        {"gptq:block", "block is not given"},
        {"gptq:damping=nan", "damping is 'nan', must be a number"},
        {"gptq:damping=2", "from 1e-09 to 1"},
        {"gptq:no-block", "no option 'no-block'"},
        {"gptq:act-order=1", "act-order takes no value"},
        {"gptq:", "no option ''"},
        {"gptq:block=64,", "no option ''"},
        {"gptqx:block=64", "unknown method 'gptqx'"},
        {"gptq:"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1",
         "no option"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_method_options options = GRAM_METHOD_OPTIONS_INIT;
        const struct gram_method *method;
        MUST_FAIL(GRAM_EINVAL, cases[i].part, gram_method_read(&method, &options, cases[i].text, &err));
    }
}

static void every_option_is_one_of_somebody(void **state)
{
    const struct gram_method *method;
    (void)state;
    for (const struct gram_option *o = gram_method_option_list(); o->name; o++) {
        char taker[32];
        snprintf(taker, sizeof taker, "%.*s", (int)strcspn(o->takers, " "), o->takers);
        MUST(gram_method_find(&method, taker, &err));
        assert_non_null(strchr(o->summary, o->argument || strcmp(o->name, "reference") ? '[' : ':'));
    }
}

static void values_are_told_as_they_are_written(void **state)
{
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    (void)state;
    options.alpha = -1;
    json_t *json = gram_spec_json(&options, &gram_transform_table, "smoothquant");
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"alpha\":\"search\",\"reference\":false}");
    free(text);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_alone_leaves_the_defaults),
        cmocka_unit_test(numbers_and_switches_are_set),
        cmocka_unit_test(reference_stands_for_what_the_reference_does),
        cmocka_unit_test(transforms_have_options_too),
        cmocka_unit_test(what_a_method_does_not_have_is_refused_with_what_it_has),
        cmocka_unit_test(every_option_is_one_of_somebody),
        cmocka_unit_test(values_are_told_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
