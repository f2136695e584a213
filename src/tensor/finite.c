/* A float is not finite when its exponent bits are all ones: one mask and compare, in runs that vectorize. */
#include "tensor/finite.h"

#include <stdbool.h>
#include <string.h>

#include "base/checked.h"

enum { RUN = 4096 };

static bool has_nonfinite_16(const char *from, int64_t n, uint16_t mask)
{
    unsigned found = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, from + 2 * i, 2);
        found |= (bits & mask) == mask;
    }
    return found;
}

static bool has_nonfinite_32(const char *from, int64_t n)
{
    const uint32_t mask = 0x7f800000u;
    unsigned found = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, from + 4 * i, 4);
        found |= (bits & mask) == mask;
    }
    return found;
}

static bool has_nonfinite_64(const char *from, int64_t n)
{
    const uint64_t mask = 0x7ff0000000000000u;
    unsigned found = 0;
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, from + 8 * i, 8);
        found |= (bits & mask) == mask;
    }
    return found;
}

static bool has_nonfinite(const void *src, enum gram_dtype dtype, int64_t first, int64_t n)
{
    const char *from = (const char *)src + first * (gram_dtype_bits(dtype) / 8);

    switch (dtype) {
    case GRAM_BF16:
        return has_nonfinite_16(from, n, 0x7f80);
    case GRAM_F16:
        return has_nonfinite_16(from, n, 0x7c00);
    case GRAM_F32:
        return has_nonfinite_32(from, n);
    case GRAM_F64:
        return has_nonfinite_64(from, n);
    default:
        return false;
    }
}

int64_t gram_find_nonfinite(const void *src, enum gram_dtype dtype, int64_t first, int64_t n)
{
    for (int64_t at = 0; at < n; at += RUN) {
        const int64_t len = gram_min_i64(RUN, n - at);
        if (!has_nonfinite(src, dtype, first + at, len))
            continue;
        for (int64_t i = at; i < at + len; i++) {
            if (has_nonfinite(src, dtype, first + i, 1))
                return first + i;
        }
    }
    return -1;
}
