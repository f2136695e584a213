/* XXH64 against its published values, and in pieces. */
#include "support.h"

#include "base/rng.h"
#include "base/xxh64.h"

static uint64_t sum(const void *bytes, size_t n)
{
    struct gram_xxh64 hash;
    gram_xxh64_init(&hash);
    gram_xxh64_add(&hash, bytes, n);
    return gram_xxh64_value(&hash);
}

/* From the xxHash documentation and the test suite of python-xxhash. */
static void published_values_are_met(void **state)
{
    (void)state;
    assert_true(sum("", 0) == 0xef46db3751d8e999);
    assert_true(sum("a", 1) == 0xd24ec4f1a98c6e5b);
    assert_true(sum("abc", 3) == 0x44bc2cf5ad770999);
    assert_true(sum("Nobody inspects the spammish repetition", 39) == 0xfbcea83c8a378bf1);
}

static void pieces_of_any_size_give_the_same(void **state)
{
    struct gram_rng rng = {3};
    uint8_t bytes[500];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)gram_rng_u64(&rng);
    for (int round = 0; round < 200; round++) {
        const size_t n = gram_rng_u64(&rng) % sizeof bytes;
        struct gram_xxh64 hash;
        gram_xxh64_init(&hash);
        for (size_t at = 0; at < n;) {
            size_t piece = gram_rng_u64(&rng) % 70;
            piece = piece < n - at ? piece : n - at;
            gram_xxh64_add(&hash, bytes + at, piece);
            at += piece;
        }
        assert_true(gram_xxh64_value(&hash) == sum(bytes, n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_are_met),
        cmocka_unit_test(pieces_of_any_size_give_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
