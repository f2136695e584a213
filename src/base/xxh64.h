/*
 * XXH64 (Yann Collet, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), seed 0: a
 * checksum at the speed of memory, for damage, not for malice. What is published carries SHA-256.
 */
#ifndef GRAM_BASE_XXH64_H
#define GRAM_BASE_XXH64_H

#include <stddef.h>
#include <stdint.h>

struct gram_xxh64 {
    uint64_t lane[4];
    uint8_t held[32]; /* the last total % 32 bytes */
    uint64_t total;
};

void gram_xxh64_init(struct gram_xxh64 *hash);
void gram_xxh64_add(struct gram_xxh64 *hash, const void *bytes, size_t n);
/* Of all that was added; more can be added after. */
uint64_t gram_xxh64_value(const struct gram_xxh64 *hash);

#endif
