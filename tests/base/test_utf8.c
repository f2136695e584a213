/* UTF-8: every character goes there and back, and nothing that RFC 3629 forbids is read. */
#include "support.h"

#include "base/utf8.h"

static bool is_scalar(uint32_t c)
{
    return c < 0xd800 || (c > 0xdfff && c <= 0x10ffff);
}

static void every_character_round_trips(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        char bytes[4];
        uint32_t back;
        if (!is_scalar(c))
            continue;
        const size_t n = gram_utf8_put(bytes, c);
        if (n != (c < 0x80      ? 1u
                  : c < 0x800   ? 2u
                  : c < 0x10000 ? 3u
                                : 4u) ||
            gram_utf8_next(bytes, n, &back) != n || back != c)
            fail_msg("U+%04X", c);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(gram_utf8_next(bytes, cut, &back), 0);
    }
}

/* A second reading of RFC 3629, by the table of its section 4. */
static size_t by_the_table(const uint8_t *s)
{
    static const struct {
        uint8_t low[4], high[4];
        size_t n;
    } rows[] = {
        {{0x00}, {0x7f}, 1},
        {{0xc2, 0x80}, {0xdf, 0xbf}, 2},
        {{0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}, 3},
        {{0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}, 3},
        {{0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}, 3},
        {{0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}, 3},
        {{0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}, 4},
        {{0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}, 4},
        {{0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}, 4},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        bool fits = true;
        for (size_t i = 0; i < rows[r].n; i++)
            fits = fits && s[i] >= rows[r].low[i] && s[i] <= rows[r].high[i];
        if (fits)
            return rows[r].n;
    }
    return 0;
}

static void every_start_of_four_bytes_is_judged_as_the_rfc_does(void **state)
{
    static const uint8_t tails[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    enum { N = sizeof tails };
    (void)state;
    for (int first = 0; first < 256; first++) {
        for (int t = 0; t < N * N * N; t++) {
            const uint8_t s[4] = {(uint8_t)first, tails[t % N], tails[t / N % N], tails[t / N / N]};
            uint32_t c;
            if (gram_utf8_next((const char *)s, 4, &c) != by_the_table(s))
                fail_msg("%02x %02x %02x %02x", s[0], s[1], s[2], s[3]);
        }
    }
}

static void the_first_bad_byte_is_told(void **state)
{
    size_t at = 99;
    (void)state;
    assert_true(gram_utf8_valid("", 0, &at));
    assert_true(gram_utf8_valid("a\0b", 3, NULL));
    assert_int_equal(at, 99);
    assert_false(gram_utf8_valid("ab\xc3\xa9\xff", 5, &at));
    assert_int_equal(at, 4);
    assert_false(gram_utf8_valid("ab\xc3", 3, &at));
    assert_int_equal(at, 2);
    assert_false(gram_utf8_valid("\x80", 1, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_round_trips),
        cmocka_unit_test(every_start_of_four_bytes_is_judged_as_the_rfc_does),
        cmocka_unit_test(the_first_bad_byte_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
