/*
 * Products in f32 against sums in double. A sum of n products, in any order and with or without
 * fused rounding, is off by at most C n FLT_EPSILON sum |a b| with C = 1: every order has at most n
 * roundings of half an epsilon on any path, and n more for the products. Underflow adds 2^-149 a
 * product.
 */
#include "kcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double C = 1.0;

struct product {
    double sum, magnitude;
};

static struct product product_of(const float *a, const float *b, int64_t n, double start)
{
    struct product p = {start, fabs(start)};
    for (int64_t i = 0; i < n; i++) {
        const double term = (double)a[i] * b[i];
        p.sum += term;
        p.magnitude += fabs(term);
    }
    return p;
}

static bool is_product(float got, struct product p, int64_t n)
{
    return near(got, p.sum, (double)(n + 1) * (C * FLT_EPSILON * p.magnitude + 0x1p-149));
}

struct shape {
    int64_t T, N, K, y_stride, x_stride, w_stride;
};

/* One y[t][n] computed alone must have the bits that it has within the whole. */
static void check_alone(struct kcheck *c, const struct shape *s, const float *x, const float *w,
                        int64_t t, int64_t n, float start, float got)
{
    float alone = start;
    c->kernels->gemm_f32(&alone, 1, x + t * s->x_stride, s->x_stride, w + n * s->w_stride,
                         s->w_stride, 1, 1, s->K);
    if (memcmp(&alone, &got, sizeof got) != 0)
        fail(c, "T %lld N %lld K %lld: y[%lld][%lld] is %a, alone %a", (long long)s->T,
             (long long)s->N, (long long)s->K, (long long)t, (long long)n, (double)got,
             (double)alone);
}

/* Elements that a strided matrix spans: nothing follows its last row. */
static int64_t span(int64_t rows, int64_t cols, int64_t stride)
{
    return rows > 0 ? (rows - 1) * stride + cols : 0;
}

static void check_shape(struct kcheck *c, const struct shape *s, enum kind kind)
{
    static float before[1 << 16];
    const float *x = place_floats(c, LEFT, span(s->T, s->K, s->x_stride), kind);
    const float *w = place_floats(c, RIGHT, span(s->N, s->K, s->w_stride), kind);
    const int64_t ny = s->N > 0 ? span(s->T, s->N, s->y_stride) : 0;
    float *y = place_floats(c, OUT, ny, kind);

    memcpy(before, y, (size_t)ny * sizeof *y);
    c->kernels->gemm_f32(y, s->y_stride, x, s->x_stride, w, s->w_stride, s->T, s->N, s->K);
    check_canaries(c, "gemm_f32");
    for (int64_t i = 0; i < ny; i++) {
        const int64_t t = i / s->y_stride, n = i % s->y_stride;
        if (n >= s->N) {
            if (memcmp(&y[i], &before[i], sizeof *y) != 0)
                fail(c, "T %lld N %lld: the gap after row %lld was written", (long long)s->T,
                     (long long)s->N, (long long)t);
            continue;
        }
        const struct product p =
            product_of(x + t * s->x_stride, w + n * s->w_stride, s->K, (double)before[i]);
        if (!is_product(y[i], p, s->K))
            fail(c, "T %lld N %lld K %lld kind %d: y[%lld][%lld] is %.9g, not %.9g",
                 (long long)s->T, (long long)s->N, (long long)s->K, kind, (long long)t,
                 (long long)n, (double)y[i], p.sum);
        check_alone(c, s, x, w, t, n, before[i], y[i]);
    }
}

void check_gemm_f32(struct kcheck *c)
{
    static const int64_t depths[] = {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 48, 127};

    for (int64_t T = 0; T <= 13; T++) {
        for (int64_t N = 0; N <= 13; N++) {
            for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
                const int64_t K = depths[i];
                const struct shape s = {T, N, K, N + T % 3, K + N % 3, K + T % 4};
                check_shape(c, &s, (enum kind)((T + N + (int64_t)i) % N_KINDS));
            }
        }
    }
    check_shape(c, &(struct shape){37, 33, 1031, 33, 1031, 1040}, UNIT);
    check_shape(c, &(struct shape){1, 67, GRAM_K_BLOCK, 67, GRAM_K_BLOCK, GRAM_K_BLOCK}, WIDE);
}

void check_dot_f32(struct kcheck *c)
{
    for (int i = 0; i < n_sizes; i++) {
        for (int kind = 0; kind < N_KINDS; kind++) {
            const float *a = place_floats(c, LEFT, sizes[i], (enum kind)kind);
            const float *b = place_floats(c, RIGHT, sizes[i], (enum kind)kind);
            const float got = c->kernels->dot_f32(a, b, sizes[i]);
            const struct product p = product_of(a, b, sizes[i], 0.0);
            if (!is_product(got, p, sizes[i]))
                fail(c, "n %lld kind %d: %.9g, not %.9g", (long long)sizes[i], kind, (double)got,
                     p.sum);
        }
    }
}

static void check_axpy_of(struct kcheck *c, int64_t n, enum kind kind)
{
    static float before[1 << 13];
    const float *x = place_floats(c, LEFT, n, kind);
    float *y = place_floats(c, OUT, n, kind);
    const float s = random_float(c, kind);

    memcpy(before, y, (size_t)n * sizeof *y);
    c->kernels->axpy(y, s, x, n);
    check_canaries(c, "axpy");
    for (int64_t i = 0; i < n; i++) {
        const struct product p = product_of(&s, &x[i], 1, (double)before[i]);
        if (!is_product(y[i], p, 1))
            fail(c, "n %lld kind %d: y[%lld] is %.9g, not %.9g", (long long)n, kind, (long long)i,
                 (double)y[i], p.sum);
    }
}

void check_axpy(struct kcheck *c)
{
    for (int i = 0; i < n_sizes; i++)
        for (int kind = 0; kind < N_KINDS; kind++)
            check_axpy_of(c, sizes[i], (enum kind)kind);
}
