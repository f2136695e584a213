/*
 * Arithmetic on sizes that come from files. Every size, count and offset that a file states goes
 * through these before it is used; raw + and * on such values are refused in review.
 */
#ifndef GRAM_BASE_CHECKED_H
#define GRAM_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b (a + b); false, and *out untouched in meaning, when it does not fit. */
static inline bool gram_mul_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool gram_add_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool gram_mul_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool gram_add_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool gram_mul_i64(int64_t *out, int64_t a, int64_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* Do `len` bytes at `off` lie inside `size` bytes? */
static inline bool gram_range_inside(uint64_t size, uint64_t off, uint64_t len)
{
    return off <= size && len <= size - off;
}

static inline int64_t gram_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}
static inline int64_t gram_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t gram_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The greatest common divisor; neither is negative. */
static inline int64_t gram_gcd_i64(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

#endif
