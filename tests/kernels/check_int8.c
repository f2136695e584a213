/* Integer kernels: exactly what ref gives, and ref what the rule says. */
#include "kcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void expect_like_ref(struct kcheck *c, const float *x, int64_t n, const char *what)
{
    static int8_t want[1 << 13];
    int8_t *q = place(c, OUT, n);
    const float want_scale = c->ref->quantize_i8(want, x, n);
    const float scale = c->kernels->quantize_i8(q, x, n);

    check_canaries(c, "quantize_i8");
    if (memcmp(&scale, &want_scale, sizeof scale) != 0)
        fail(c, "%s, n %lld: scale %a, not %a", what, (long long)n, (double)scale,
             (double)want_scale);
    for (int64_t i = 0; i < n; i++) {
        if (q[i] != want[i]) {
            fail(c, "%s, n %lld: code %lld of %a is %d, not %d", what, (long long)n, (long long)i,
                 (double)x[i], q[i], want[i]);
            return;
        }
    }
}

/* Quotients halfway between codes: even wins; the largest rounds to 128 and is clamped. */
static void ties_round_to_even(struct kcheck *c)
{
    static const int8_t want[] = {127, -128, 0, 0, 2, 2, -2, -2, 4, 126, 0};
    static const float quotients[] = {127.5f, -127.5f, 0.5f, -0.5f,  1.5f, 2.5f,
                                      -1.5f,  -2.5f,   3.5f, 125.5f, 0.25f};
    enum { N = sizeof want };
    float *x = place(c, LEFT, sizeof quotients);
    int8_t *q = place(c, OUT, N);

    for (int i = 0; i < N; i++)
        x[i] = quotients[i] * 0.25f; /* the scale, exactly */
    const float scale = c->kernels->quantize_i8(q, x, N);
    if (scale != 0.25f)
        fail(c, "scale of 31.875 is %.9g, not 0.25", (double)scale);
    for (int i = 0; i < N; i++)
        if (q[i] != want[i])
            fail(c, "%g scales quantize to %d, not %d", (double)quotients[i], q[i], want[i]);
}

static void zeros_stay_zero(struct kcheck *c)
{
    static const float small[] = {0.0f, -0.0f, 0x1p-149f};
    for (int kind = 0; kind < 3; kind++) {
        float *x = place(c, LEFT, 77 * sizeof *x);
        int8_t *q = place(c, OUT, 77);
        for (int i = 0; i < 77; i++)
            x[i] = small[kind];
        if (c->kernels->quantize_i8(q, x, 77) != 0.0f)
            fail(c, "scale of a row of %a is not 0", (double)small[kind]);
        for (int i = 0; i < 77; i++)
            if (q[i] != 0)
                fail(c, "%a in a row without scale gives %d", (double)small[kind], q[i]);
    }
}

void check_quantize_i8(struct kcheck *c)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, FLT_MIN, 0x1p-149f};

    for (int i = 0; i < n_sizes; i++) {
        for (int kind = 0; kind < N_KINDS; kind++) {
            float *x = place_floats(c, LEFT, sizes[i], (enum kind)kind);
            expect_like_ref(c, x, sizes[i], "random");
            for (int64_t k = 0; k < sizes[i]; k++) /* multiples of half a code when the top is in */
                x[k] = k == 0 ? 127.5f : (float)((int)(gram_rng_u64(&c->rng) % 511) - 255) / 2.0f;
            expect_like_ref(c, x, sizes[i], "ties");
            for (int64_t k = 0; k < sizes[i]; k++) /* ... or next to them, with a scale that is not exact */
                x[k] = nextafterf(x[k] * 0.7f, k % 3 ? (k % 3 == 1 ? INFINITY : -INFINITY) : x[k] * 0.7f);
            expect_like_ref(c, x, sizes[i], "near ties");
        }
        for (size_t o = 0; o < sizeof odd / sizeof odd[0]; o++) {
            float *x = place_floats(c, LEFT, sizes[i], UNIT);
            if (sizes[i] > 0)
                x[gram_rng_u64(&c->rng) % (uint64_t)sizes[i]] = odd[o];
            expect_like_ref(c, x, sizes[i], "with an odd value");
        }
    }
    ties_round_to_even(c);
    zeros_stay_zero(c);
}
