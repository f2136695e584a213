/* Small reproducible random numbers: SplitMix64 (Steele, Lea, Flood 2014). Same seed, same stream. */
#ifndef GRAM_BASE_RNG_H
#define GRAM_BASE_RNG_H

#include <stdint.h>

struct gram_rng {
    uint64_t state;
};

static inline uint64_t gram_rng_u64(struct gram_rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Uniform in [0, 1), 53 bits. */
static inline double gram_rng_unit(struct gram_rng *rng)
{
    return (double)(gram_rng_u64(rng) >> 11) * 0x1p-53;
}

#endif
