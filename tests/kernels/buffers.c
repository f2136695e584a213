/* Guarded buffers and their contents for kcheck. */
#include "kcheck.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SLOT_BYTES = 4 << 20, PAGE = 1 << 16, CANARY_BYTES = 64, CANARY = 0xa5 };

const int64_t sizes[] = {0,  1,   2,   3,   4,   5,   6,   7,   8,   9,   10,   11,   12,
                         13, 14,  15,  16,  17,  18,  23,  24,  25,  29,  31,   32,   33,
                         37, 41,  47,  48,  49,  53,  63,  64,  65,  71,  79,   80,   96,
                         97, 127, 128, 129, 131, 191, 192, 193, 257, 509, 1024, 1031, 4099};
const int n_sizes = sizeof sizes / sizeof sizes[0];

void fail(struct kcheck *c, const char *format, ...)
{
    va_list args;

    if (c->failures++ >= 5)
        return;
    fputs("# ", stdout);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* Kept for the whole run; the page behind each slot can be neither read nor written. */
static uint8_t *slot_base(enum slot slot)
{
    static uint8_t *bases[N_SLOTS];

    if (!bases[slot]) {
        void *map = mmap(NULL, SLOT_BYTES + PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED || mprotect((char *)map + SLOT_BYTES, PAGE, PROT_NONE) != 0) {
            perror("kcheck: mmap");
            exit(1);
        }
        bases[slot] = map;
    }
    return bases[slot];
}

void *place(struct kcheck *c, enum slot slot, int64_t bytes)
{
    uint8_t *at = slot_base(slot) + SLOT_BYTES - bytes;

    if (bytes + CANARY_BYTES > SLOT_BYTES) {
        fprintf(stderr, "kcheck: %lld bytes do not fit a slot\n", (long long)bytes);
        exit(1);
    }
    memset(at - CANARY_BYTES, CANARY, (size_t)bytes + CANARY_BYTES);
    c->slots[slot] = at;
    c->used[slot] = bytes;
    return at;
}

void check_canaries(struct kcheck *c, const char *after)
{
    for (int slot = 0; slot < N_SLOTS; slot++) {
        for (int i = 1; c->slots[slot] && i <= CANARY_BYTES; i++) {
            if (c->slots[slot][-i] != CANARY) {
                fail(c, "%s: byte %d before buffer %d was written", after, i, slot);
                break;
            }
        }
    }
}

float random_float(struct kcheck *c, enum kind kind)
{
    static const int exponents[N_KINDS] = {[TINY] = -140, [HUGE_VALUES] = 56};
    const double unit = 2.0 * gram_rng_unit(&c->rng) - 1.0;
    const int exponent = kind == WIDE ? (int)(gram_rng_u64(&c->rng) % 41) - 20 : exponents[kind];
    return (float)ldexp(unit, exponent);
}

float *place_floats(struct kcheck *c, enum slot slot, int64_t n, enum kind kind)
{
    float *at = place(c, slot, n * (int64_t)sizeof *at);
    for (int64_t i = 0; i < n; i++)
        at[i] = random_float(c, kind);
    return at;
}

bool near(float got, double want, double bound)
{
    if (isnan(want) || isinf(want))
        return isnan(want) ? isnan(got) : (double)got == want;
    if (fabs(want) > FLT_MAX)
        return isinf(got) && signbit(got) == signbit(want);
    return fabs((double)got - want) <= bound;
}
