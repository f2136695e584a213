/* Kernel levels: each name stands for itself and all below, and only what the processor has can be
 * asked for. */
#include "support.h"

#include "base/cpu.h"

enum {
    X86 = GRAM_CPU_AVX2 | GRAM_CPU_AVX512 | GRAM_CPU_AVX512VNNI,
    TILES = X86 | GRAM_CPU_AMX,
    ARM = GRAM_CPU_NEON | GRAM_CPU_DOTPROD,
};

static const struct {
    const char *name;
    unsigned have, flags;
} levels[] = {
    {"ref", 0, 0},
    {"ref", X86, 0},
    {"avx2", X86, GRAM_CPU_AVX2},
    {"avx512", X86, GRAM_CPU_AVX2 | GRAM_CPU_AVX512},
    {"avx512vnni", X86, X86},
    {"avx512vnni", TILES, X86},
    {"amx", TILES, TILES},
    {"neon", ARM, GRAM_CPU_NEON},
    {"dotprod", ARM, ARM},
};

static void a_level_brings_those_below_it(void **state)
{
    struct gram_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        unsigned flags = 99;
        MUST(gram_cpu_mask(&flags, levels[i].name, levels[i].have, &err));
        assert_int_equal(flags, levels[i].flags);
        assert_string_equal(gram_cpu_name(flags), levels[i].name);
    }
}

static void a_level_that_is_missing_or_unknown_is_refused_with_those_there_are(void **state)
{
    struct gram_error err = {0};
    unsigned flags;
    (void)state;
    MUST_FAIL(GRAM_EINVAL, "(ref, avx2)", gram_cpu_mask(&flags, "avx512", GRAM_CPU_AVX2, &err));
    MUST_FAIL(GRAM_EINVAL, "(ref)", gram_cpu_mask(&flags, "avx2", 0, &err));
    MUST_FAIL(GRAM_EINVAL, "'sse9'", gram_cpu_mask(&flags, "sse9", X86, &err));
    MUST_FAIL(GRAM_EINVAL, "''", gram_cpu_mask(&flags, "", X86, &err));
    MUST_FAIL(GRAM_EINVAL, "'AVX2'", gram_cpu_mask(&flags, "AVX2", X86, &err));
}

static void this_processor_has_the_level_that_it_is_named_by(void **state)
{
    struct gram_error err = {0};
    const unsigned have = gram_cpu_detect();
    unsigned flags;
    (void)state;
    MUST(gram_cpu_mask(&flags, gram_cpu_name(have), have, &err));
    assert_int_equal(flags, have);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_brings_those_below_it),
        cmocka_unit_test(a_level_that_is_missing_or_unknown_is_refused_with_those_there_are),
        cmocka_unit_test(this_processor_has_the_level_that_it_is_named_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
