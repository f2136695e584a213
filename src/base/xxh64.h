/*
 * XXH64 with seed 0, by libxxhash: a checksum at the speed of memory, for damage, not for malice. What is
 * published carries SHA-256.
 */
#ifndef GRAM_BASE_XXH64_H
#define GRAM_BASE_XXH64_H

#include <stddef.h>
#include <stdint.h>

#define XXH_STATIC_LINKING_ONLY /* the state as a member, not as a pointer */
#include <xxhash.h>

struct gram_xxh64 {
    XXH64_state_t state;
};

static inline void gram_xxh64_init(struct gram_xxh64 *hash)
{
    XXH64_reset(&hash->state, 0);
}

static inline void gram_xxh64_add(struct gram_xxh64 *hash, const void *bytes, size_t n)
{
    XXH64_update(&hash->state, bytes, n);
}

/* Of all that was added; more can be added after. */
static inline uint64_t gram_xxh64_value(const struct gram_xxh64 *hash)
{
    return XXH64_digest(&hash->state);
}

#endif
