/* SHA-256 by Nettle, which picks the processor's own instructions. */
#include "base/hash.h"

#include <stdint.h>

void gram_sha256_init(struct gram_sha256 *hash)
{
    sha256_init(&hash->state);
}

void gram_sha256_add(struct gram_sha256 *hash, const void *bytes, size_t n)
{
    sha256_update(&hash->state, n, bytes);
}

void gram_sha256_hex(struct gram_sha256 *hash, char hex[GRAM_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_SIZE];

    sha256_digest(&hash->state, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * sizeof digest] = '\0';
}
