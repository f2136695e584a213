/* Row kernels against the same formula in double. Each bound counts the roundings of a plain
 * evaluation. */
#include "kcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MAX_N = 1 << 13 };

static void expect(struct kcheck *c, const char *what, int64_t n, int64_t i, float got, double want,
                   double bound)
{
    if (!near(got, want, bound))
        fail(c, "%s, n %lld: [%lld] is %.9g, not %.9g (bound %.3g)", what, (long long)n,
             (long long)i, (double)got, want, bound);
}

/* Squares summed in double, so the roundings are those of the factor and two products: c = 2. */
static void check_rmsnorm_of(struct kcheck *c, int64_t n, enum kind kind, float eps)
{
    const float *x = place_floats(c, LEFT, n, kind), *weight = place_floats(c, RIGHT, n, UNIT);
    float *y = place(c, OUT, n * (int64_t)sizeof *y);
    double squares = 0.0;

    c->kernels->rmsnorm(y, x, weight, n, eps);
    check_canaries(c, "rmsnorm");
    for (int64_t i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    for (int64_t i = 0; i < n; i++) {
        const double want = x[i] / sqrt(squares / (double)n + eps) * weight[i];
        expect(c, "rmsnorm", n, i, y[i], want, 2 * FLT_EPSILON * fabs(want) + 0x1p-148);
    }
}

void check_rmsnorm(struct kcheck *c)
{
    for (int i = 1; i < n_sizes; i++)
        for (int kind = 0; kind < N_KINDS; kind++)
            check_rmsnorm_of(c, sizes[i], (enum kind)kind, kind % 2 ? 1e-5f : 1e-6f);
}

/*
 * With d = x - top rounded, exp is off by |d| eps / 2 for the rounding of d and 2 eps of its own,
 * the sum by n eps / 2, reciprocal and product by eps. Exponentials below FLT_MIN may be 0.
 */
static void expect_softmax(struct kcheck *c, float *x, int64_t n, const char *what)
{
    static float before[MAX_N];
    double top = -INFINITY, sum = 0.0;

    memcpy(before, x, (size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        top = before[i] > top ? before[i] : top;
    const double shift = top > -INFINITY ? top : 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += exp(before[i] - shift);
    c->kernels->softmax(x, n);
    check_canaries(c, "softmax");
    for (int64_t i = 0; i < n; i++) {
        const double d = before[i] - shift;
        const double want = before[i] > -INFINITY ? exp(d) / sum : 0.0;
        const double roundings = want > 0.0 ? fabs(d) / 2 + (double)n / 2 + 4 : 0.0;
        expect(c, what, n, i, x[i], want, roundings * FLT_EPSILON * want + FLT_MIN);
    }
}

/* Beside one 0, values under -30 do not change the sum: softmax is exp, within 1.5 units in the
 * last place. */
static void softmax_shows_exp(struct kcheck *c)
{
    for (int64_t first = 0; first < 400; first++) {
        float before[16], x[16] = {0};
        for (int64_t i = 1; i < 16; i++)
            x[i] = (float)(-87.0 + 57.0 * gram_rng_unit(&c->rng));
        memcpy(before, x, sizeof x);
        c->kernels->softmax(x, 16);
        for (int64_t i = 1; i < 16; i++) {
            const double want = exp((double)before[i]);
            int exponent;
            frexp(want, &exponent);
            expect(c, "exp", 16, i, x[i], want, 1.5 * ldexp(1.0, exponent - 24));
        }
    }
}

static void masked_rows_stay_finite(struct kcheck *c)
{
    for (int64_t n = 1; n < 70; n++) {
        float *x = place(c, OUT, n * (int64_t)sizeof *x);
        for (int64_t i = 0; i < n; i++)
            x[i] = -INFINITY;
        expect_softmax(c, x, n, "all masked");
        for (int64_t i = 0; i < n; i++)
            x[i] = i < n / 2 ? -INFINITY : i % 2 ? FLT_MAX : -FLT_MAX;
        expect_softmax(c, x, n, "half masked, extreme");
    }
}

void check_softmax(struct kcheck *c)
{
    for (int i = 1; i < n_sizes; i++) {
        for (int kind = 0; kind < N_KINDS; kind++)
            expect_softmax(c, place_floats(c, OUT, sizes[i], (enum kind)kind), sizes[i], "softmax");
        float *x = place_floats(c, OUT, sizes[i], UNIT);
        for (int64_t k = 0; k < sizes[i]; k++)
            x[k] *= 110.0f;
        expect_softmax(c, x, sizes[i], "softmax over 220");
    }
    softmax_shows_exp(c);
    masked_rows_stay_finite(c);
}

/* exp 2 eps, sum, quotient and two products half each: c = 4. An exponential below FLT_MIN may be
 * 0. */
static void expect_swiglu(struct kcheck *c, float *y, const float *gate, const float *up, int64_t n)
{
    static float z[MAX_N], u[MAX_N];

    memcpy(z, gate, (size_t)n * sizeof *z); /* y may be one of them */
    memcpy(u, up, (size_t)n * sizeof *u);
    c->kernels->swiglu(y, gate, up, n);
    check_canaries(c, "swiglu");
    for (int64_t i = 0; i < n; i++) {
        const double want = z[i] / (1.0 + exp(-(double)z[i])) * u[i];
        const double lost = 4 * FLT_MIN * (1 + fabs((double)z[i])) * fmax(fabs((double)u[i]), 1.0);
        expect(c, "swiglu", n, i, y[i], want,
               4 * FLT_EPSILON * fabs(want) + (z[i] < -80.0f || fabs(want) < FLT_MIN ? lost : 0.0));
    }
}

void check_swiglu(struct kcheck *c)
{
    for (int i = 0; i < n_sizes; i++) {
        for (int kind = 0; kind < N_KINDS; kind++) {
            float *gate = place_floats(c, LEFT, sizes[i], (enum kind)kind);
            float *up = place_floats(c, RIGHT, sizes[i], UNIT);
            float *y = place(c, OUT, sizes[i] * (int64_t)sizeof *y);
            expect_swiglu(c, y, gate, up, sizes[i]);
            for (int64_t k = 0; k < sizes[i]; k++)
                gate[k] = random_float(c, UNIT) * 100.0f;
            expect_swiglu(c, y, gate, up, sizes[i]);
            expect_swiglu(c, gate, gate, up, sizes[i]);
            expect_swiglu(c, up, gate, up, sizes[i]);
        }
    }
}

/* A share of the largest term: 1 + gate (1 - s) may cancel. What is exp of below ln FLT_MIN is 0. */
static void expect_slopes(struct kcheck *c, const float *d_gate, const float *d_up, const float *gate,
                          const float *up, const float *dy, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double z = (double)gate[i], s = 1.0 / (1.0 + exp(-z)), pull = (double)dy[i] * s;
        expect(c, "swiglu_vjp", n, i, d_gate[i], pull * (double)up[i] * (1.0 + z * (1.0 - s)),
               8 * (double)FLT_EPSILON * fabs(pull * (double)up[i]) * (1.0 + fabs(z)) + 0x1p-116);
        expect(c, "swiglu_vjp", n, i, d_up[i], pull * z,
               8 * (double)FLT_EPSILON * fabs(pull * z) + 0x1p-116);
    }
}

void check_swiglu_vjp(struct kcheck *c)
{
    for (int i = 0; i < n_sizes; i++) {
        for (int spread = 1; spread <= 100; spread *= 10) {
            const int64_t n = sizes[i];
            float *gate = place_floats(c, LEFT, n, UNIT), *up = place_floats(c, RIGHT, n, UNIT);
            float *dy = place_floats(c, THIRD, n, UNIT);
            float *d_gate = place(c, OUT, 2 * n * (int64_t)sizeof *d_gate);
            for (int64_t k = 0; k < n; k++)
                gate[k] = random_float(c, UNIT) * (float)spread;
            c->kernels->swiglu_vjp(d_gate, d_gate + n, gate, up, dy, n);
            check_canaries(c, "swiglu_vjp");
            expect_slopes(c, d_gate, d_gate + n, gate, up, dy, n);
        }
    }
}

void check_add(struct kcheck *c)
{
    for (int i = 0; i < n_sizes; i++) {
        const float *a = place_floats(c, LEFT, sizes[i], WIDE);
        float *b = place_floats(c, RIGHT, sizes[i], WIDE);
        float *y = place(c, OUT, sizes[i] * (int64_t)sizeof *y);
        c->kernels->add(y, a, b, sizes[i]);
        check_canaries(c, "add");
        for (int64_t k = 0; k < sizes[i]; k++)
            expect(c, "add", sizes[i], k, y[k], (double)(a[k] + b[k]), 0.0);
        c->kernels->add(b, a, b, sizes[i]);
        if (sizes[i] > 0 && memcmp(b, y, (size_t)sizes[i] * sizeof *y) != 0)
            fail(c, "add in place differs, n %lld", (long long)sizes[i]);
    }
}

/* Two products and a sum: c = 1.5 over |a cos| + |b sin|. */
void check_rope(struct kcheck *c)
{
    static float x[2 * MAX_N], y[2 * MAX_N];

    for (int i = 0; i < n_sizes; i++) {
        const int64_t half = sizes[i];
        const float *cs = place_floats(c, LEFT, half, UNIT),
                    *sn = place_floats(c, RIGHT, half, UNIT);
        float *at = place_floats(c, OUT, 2 * half, WIDE);
        memcpy(x, at, (size_t)half * 2 * sizeof *x);
        c->kernels->rope(y, x, cs, sn, half);
        c->kernels->rope(at, at, cs, sn, half);
        check_canaries(c, "rope");
        if (half > 0 && memcmp(at, y, (size_t)half * 2 * sizeof *y) != 0)
            fail(c, "rope in place differs, half %lld", (long long)half);
        for (int64_t k = 0; k < half; k++) {
            const double a = x[k], b = x[k + half];
            const double bound = 1.5 * FLT_EPSILON * (fabs(a) + fabs(b));
            expect(c, "rope", half, k, y[k], a * cs[k] - b * sn[k], bound);
            expect(c, "rope", half, k + half, y[k + half], b * cs[k] + a * sn[k], bound);
        }
    }
}
