/* Names of schemes. */
#include "support.h"

#include "tensor/scheme.h"

static void expect(const char *text, const char *canonical)
{
    struct gram_scheme scheme;
    struct gram_error err = {0};
    char name[GRAM_SCHEME_NAME];

    MUST(gram_scheme_parse(&scheme, text, &err));
    gram_scheme_name(name, &scheme);
    assert_string_equal(name, canonical);
    MUST(gram_scheme_parse(&scheme, name, &err));
    gram_scheme_name(name, &scheme);
    assert_string_equal(name, canonical);
}

static void every_preset_parses(void **state)
{
    struct gram_scheme scheme;
    struct gram_error err = {0};

    (void)state;
    for (const struct gram_choice *c = gram_schemes(); c->name; c++)
        MUST(gram_scheme_parse(&scheme, c->name, &err));
}

static void names_have_one_canonical_form(void **state)
{
    (void)state;
    expect("w4a16", "w4a16-g128");
    expect("W4A16_ASYM", "w4a16-g128-asym");
    expect("w4a16-asym-g32", "w4a16-g32-asym");
    expect("w8a16", "w8a16-channel");
    expect("w8a16-g64", "w8a16-g64");
    expect("w3a16-channel", "w3a16-channel");
    expect("w2a16-tensor-asym", "w2a16-tensor-asym");
    expect("w8a8", "w8a8");
    expect("w8a8-channel", "w8a8");
    expect("w8a8-tensor", "w8a8-tensor");
    expect("bf16", "bf16");
    expect("f16", "f16");
    expect("keep", "keep");
    expect("NF4", "nf4");
    expect("nf4-dq-g128", "nf4-g128-dq");
    expect("fp4-g64", "fp4");
    expect("fp8-channel", "fp8");
    expect("fp8-tensor", "fp8-tensor");
    expect("ternary-g32", "ternary-g32");
    expect("llm.int8", "llm.int8");
    expect("w8a8-static", "w8a8-static");
}

static void wrong_names_are_explained(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"int4", "did you mean 'w4a16'?"},
        {"fp16", "did you mean 'f16'?"},
        {"w4a17", "did you mean 'w4a16'?"},
        {"w4a61", "did you mean 'w4a16'?"},
        {"", "unknown scheme"},
        {"nonsense-that-is-longer-than-any-name-of-a-scheme", "unknown scheme"},
        {"w7a16", "not 7"},
        {"w99999999999999999999a16", "weights have"},
        {"w4a8", "int8 activations"},
        {"w8a8-g64", "no zero points"},
        {"w8a8-asym", "no zero points"},
        {"w4a16-g8", "from 16"},
        {"w4a16-g", "unknown scheme"},
        {"w4a16-g32-g64", "twice"},
        {"w4a16-channel-tensor", "twice"},
        {"w4a16-", "did you mean"},
        {"f64", "unknown scheme"},
        {"nf4-g48", "blocks have"},
        {"nf4-g16", "from 32"},
        {"nf4-channel", "neither"},
        {"fp8-g32", "no groups"},
        {"fp8-dq", "nf4 and fp4 only"},
        {"w4a16-static", "w8a8-static"},
        {"qlora", "did you mean 'nf4-dq'?"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_scheme scheme;
        struct gram_error err = {0};
        MUST_FAIL(GRAM_EINVAL, cases[i].part, gram_scheme_parse(&scheme, cases[i].text, &err));
    }
}

static void a_weight_tells_its_scheme(void **state)
{
    char name[GRAM_SCHEME_NAME];
    const int8_t zero[4] = {0};
    struct gram_weight w = {.rows = 2, .cols = 256, .dtype = GRAM_BF16};

    (void)state;
    gram_weight_scheme(name, &w);
    assert_string_equal(name, "bf16");
    w.bits = 4;
    w.group = 128;
    w.scale_stride = 2;
    w.zeros = zero;
    gram_weight_scheme(name, &w);
    assert_string_equal(name, "w4a16-g128-asym");
    w.zeros = NULL;
    w.bits = 8;
    w.group = 256;
    w.act_bits = 8;
    gram_weight_scheme(name, &w);
    assert_string_equal(name, "w8a8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_parses),
        cmocka_unit_test(names_have_one_canonical_form),
        cmocka_unit_test(wrong_names_are_explained),
        cmocka_unit_test(a_weight_tells_its_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
