/* SHA-256 against the vectors of FIPS 180-4 (examples and the NIST byte-oriented short messages).
 */
#include "support.h"

#include "base/hash.h"

static const struct {
    const char *text, *hex;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnop"
     "qrs"
     "mnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void known_texts_have_their_known_hashes(void **state)
{
    char hex[GRAM_SHA256_HEX];
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct gram_sha256 hash;
        gram_sha256_init(&hash);
        gram_sha256_add(&hash, vectors[i].text, strlen(vectors[i].text));
        gram_sha256_hex(&hash, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

static void pieces_of_any_length_give_the_same_and_hex_starts_afresh(void **state)
{
    const size_t million = 1000000;
    char *a = malloc(million), hex[GRAM_SHA256_HEX];
    struct gram_sha256 hash;
    (void)state;
    assert_non_null(a);
    memset(a, 'a', million);
    gram_sha256_init(&hash);
    for (size_t piece = 1; piece < 200000; piece = piece * 7 + 13) {
        for (size_t at = 0; at < million; at += piece)
            gram_sha256_add(&hash, a + at, piece < million - at ? piece : million - at);
        gram_sha256_hex(&hash, hex);
        assert_string_equal(hex,
                            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_their_known_hashes),
        cmocka_unit_test(pieces_of_any_length_give_the_same_and_hex_starts_afresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
