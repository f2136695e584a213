/* The names of the steps are those of the specification. */
#include "base/xxh64.h"

#include <string.h>

static const uint64_t prime1 = 0x9e3779b185ebca87, prime2 = 0xc2b2ae3d27d4eb4f,
                      prime3 = 0x165667b19e3779f9, prime4 = 0x85ebca77c2b2ae63,
                      prime5 = 0x27d4eb2f165667c5;

enum { STRIPE = 32 };

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t round_of(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * prime2, 31) * prime1;
}

static void add_stripe(uint64_t lane[4], const uint8_t *at)
{
    for (int i = 0; i < 4; i++)
        lane[i] = round_of(lane[i], load64(at + 8 * i));
}

void gram_xxh64_init(struct gram_xxh64 *hash)
{
    *hash = (struct gram_xxh64){.lane = {prime1 + prime2, prime2, 0, 0 - prime1}};
}

void gram_xxh64_add(struct gram_xxh64 *hash, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    const size_t held = (size_t)(hash->total % STRIPE);

    hash->total += n;
    if (held > 0) {
        const size_t more = n < STRIPE - held ? n : STRIPE - held;
        memcpy(hash->held + held, at, more);
        if (held + more < STRIPE)
            return;
        add_stripe(hash->lane, hash->held);
        at += more;
        n -= more;
    }
    for (; n >= STRIPE; n -= STRIPE, at += STRIPE)
        add_stripe(hash->lane, at);
    if (n > 0)
        memcpy(hash->held, at, n);
}

static uint64_t converge(const uint64_t lane[4])
{
    uint64_t value =
        rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);

    for (int i = 0; i < 4; i++)
        value = (value ^ round_of(0, lane[i])) * prime1 + prime4;
    return value;
}

static uint64_t consume_rest(uint64_t value, const uint8_t *at, size_t n)
{
    uint32_t word;

    for (; n >= 8; n -= 8, at += 8)
        value = rotate(value ^ round_of(0, load64(at)), 27) * prime1 + prime4;
    if (n >= 4) {
        memcpy(&word, at, sizeof word);
        value = rotate(value ^ word * prime1, 23) * prime2 + prime3;
        n -= 4;
        at += 4;
    }
    for (; n > 0; n--, at++)
        value = rotate(value ^ *at * prime5, 11) * prime1;
    return value;
}

uint64_t gram_xxh64_value(const struct gram_xxh64 *hash)
{
    uint64_t value = hash->total >= STRIPE ? converge(hash->lane) : prime5;

    value = consume_rest(value + hash->total, hash->held, (size_t)(hash->total % STRIPE));
    value = (value ^ value >> 33) * prime2;
    value = (value ^ value >> 29) * prime3;
    return value ^ value >> 32;
}
