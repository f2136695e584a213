/* Recipes: files, rules, and what a model can take. */
#include "model.h"

#include "engine/checkpoint.h"
#include "quant/recipe.h"

static struct gram_error err;
static struct gram_arena arena;
static struct gram_recipe recipe;

static int forget(void **state)
{
    (void)state;
    gram_arena_reset(&arena);
    return 0;
}

static enum gram_status parse(const char *text)
{
    json_t *file;
    MUST(gram_json_parse(&file, text, strlen(text), "recipe.json", &err));
    const enum gram_status status = gram_recipe_parse(&recipe, file, "recipe.json", &arena, &err);
    json_decref(file);
    return status;
}

static void a_file_names_scheme_method_and_rules(void **state)
{
    (void)state;
    MUST(parse("{\"scheme\":\"w4a16\",\"method\":\"mse\",\"rules\":["
               "{\"pattern\":\"*.down\",\"scheme\":\"w8a16\"},"
               "{\"pattern\":\"layers.0.*\",\"scheme\":\"keep\",\"method\":\"rtn\"}]}"));
    assert_int_equal(recipe.n_rules, 2);
    assert_string_equal(recipe.rules[0].how.method->about->name, "mse");
    assert_string_equal(recipe.rules[1].how.method->about->name, "rtn");
    assert_int_equal(recipe.rules[1].scheme.kind, GRAM_SCHEME_KEEP);
}

static void what_a_file_cannot_mean_is_refused(void **state)
{
    static const struct {
        enum gram_status status;
        const char *part, *text;
    } cases[] = {
        {GRAM_EINVAL, "JSON object", "[]"},
        {GRAM_EINVAL, "unknown key 'schem'", "{\"schem\":\"w4a16\"}"},
        {GRAM_EINVAL, "unknown scheme", "{\"scheme\":\"q\"}"},
        {GRAM_EFORMAT, "expected a string", "{\"scheme\":4}"},
        {GRAM_EINVAL, "unknown method", "{\"method\":\"magic\"}"},
        {GRAM_EINVAL, "expected a list", "{\"rules\":{}}"},
        {GRAM_EINVAL, "rule 1: expected an object", "{\"rules\":[1]}"},
        {GRAM_EINVAL, "rule 1: needs a pattern and a scheme", "{\"rules\":[{\"pattern\":\"*\"}]}"},
        {GRAM_EINVAL, "rule 1: unknown scheme",
         "{\"rules\":[{\"pattern\":\"*\",\"scheme\":\"w\"}]}"},
        {GRAM_EINVAL, "a pattern has", "{\"rules\":[{\"pattern\":\"\",\"scheme\":\"keep\"}]}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        MUST_FAIL(cases[i].status, cases[i].part, parse(cases[i].text));
}

/* ---- against a model ---- */

static struct gram_assignment assigned[64];

static enum gram_status assign(const struct gram_recipe_rule *rules, size_t n, const char *scheme)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_checkpoint ck;
    struct model model;

    model_init(&model, 1);
    options.scheme = scheme;
    options.rules = rules;
    options.n_rules = n;
    MUST(gram_checkpoint_open(&ck, model_write(&model, 1), &err));
    assert_true(ck.desc.n_slots <= 64);
    MUST(gram_recipe_read(&recipe, &options, &arena, &err));
    const enum gram_status status = gram_recipe_assign(&recipe, &ck.desc, assigned, &err);
    gram_checkpoint_reset(&ck);
    model_reset(&model);
    return status;
}

static int count_bits(int bits)
{
    int n = 0;
    for (int i = 0; i < 64; i++)
        n += assigned[i].scheme.kind == GRAM_SCHEME_CODES && assigned[i].scheme.bits == bits;
    return n;
}

static void the_last_matching_rule_wins(void **state)
{
    const struct gram_recipe_rule rules[] = {
        {"layers.*.mlp.*", "w8a16", NULL},
        {"*down", "w3a16-g32", "mse"},
        {"layers.1.*", "w2a16-g64", NULL},
    };

    (void)state;
    memset(assigned, 0, sizeof assigned);
    MUST(assign(rules, 3, "w4a16-g64"));
    assert_int_equal(count_bits(8), 2);
    assert_int_equal(count_bits(3), 1);
    assert_int_equal(count_bits(2), 7);
    assert_int_equal(count_bits(4), 4);
}

static void a_rule_that_matches_nothing_is_an_error(void **state)
{
    const struct gram_recipe_rule typo = {"layers.*.mlp.dwn", "w8a16", NULL};
    const struct gram_recipe_rule norm = {"layers.0.attn_norm", "w8a16", NULL};
    const struct gram_recipe_rule far = {"layers.7.*", "w8a16", NULL};

    (void)state;
    MUST_FAIL(GRAM_EINVAL, "'layers.*.mlp.dwn' matches no linear", assign(&typo, 1, "w8a16"));
    MUST_FAIL(GRAM_EINVAL, "matches no linear", assign(&norm, 1, "w8a16"));
    MUST_FAIL(GRAM_EINVAL, "matches no linear", assign(&far, 1, "w8a16"));
}

static void a_group_that_does_not_divide_is_refused_with_those_that_do(void **state)
{
    const struct gram_recipe_rule down = {"*.down", "w4a16-g128", NULL};

    (void)state;
    MUST_FAIL(GRAM_EINVAL, "its 64 inputs do not divide into groups of 128",
              assign(NULL, 0, "w4a16"));
    MUST_FAIL(GRAM_EINVAL, "layers.0.mlp.down: its 192 inputs", assign(&down, 1, "w8a16"));
    MUST(assign(NULL, 0, "w4a16-g16"));
}

static void rules_alone_must_cover_every_linear(void **state)
{
    const struct gram_recipe_rule some = {"*.mlp.*", "w8a16", NULL};
    const struct gram_recipe_rule all = {"layers.*", "w8a16", NULL};

    (void)state;
    MUST_FAIL(GRAM_EINVAL, "no scheme", assign(&some, 1, NULL));
    MUST(assign(&all, 1, NULL));
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_names_scheme_method_and_rules),
        TEST(what_a_file_cannot_mean_is_refused),
        TEST(the_last_matching_rule_wins),
        TEST(a_rule_that_matches_nothing_is_an_error),
        TEST(a_group_that_does_not_divide_is_refused_with_those_that_do),
        TEST(rules_alone_must_cover_every_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
