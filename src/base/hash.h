/* SHA-256, in the hexadecimal form that the hub and sha256sum show. */
#ifndef GRAM_BASE_HASH_H
#define GRAM_BASE_HASH_H

#include <nettle/sha2.h>
#include <stddef.h>

enum { GRAM_SHA256_HEX = 65 };

struct gram_sha256 {
    struct sha256_ctx state;
};

void gram_sha256_init(struct gram_sha256 *hash);
void gram_sha256_add(struct gram_sha256 *hash, const void *bytes, size_t n);
/* Writes 64 digits and a NUL, and starts afresh. */
void gram_sha256_hex(struct gram_sha256 *hash, char hex[GRAM_SHA256_HEX]);

#endif
