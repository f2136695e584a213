/* A vector is rotated alike from both sides: x R = S D x', and R' y = S D y. Sums are in f64. */
#include "quant/rotation.h"

#include <math.h>

#include "base/checked.h"
#include "base/rng.h"

static const double pi = 3.14159265358979323846;

int64_t gram_odd_factor(int64_t n)
{
    while (n % 2 == 0)
        n /= 2;
    return n;
}

bool gram_rotation_open(struct gram_rotation *rotation, int64_t n, uint64_t seed, struct gram_arena *arena)
{
    struct gram_rng rng = {seed};
    const int64_t odd = gram_odd_factor(n);

    *rotation = (struct gram_rotation){.n = n, .odd = odd};
    rotation->signs = gram_arena_take(arena, (size_t)n, sizeof(float));
    rotation->hartley = gram_arena_take(arena, (size_t)(odd * odd), sizeof(double));
    if (!rotation->signs || !rotation->hartley)
        return false;
    for (int64_t i = 0; i < n; i++)
        rotation->signs[i] = gram_rng_u64(&rng) >> 63 ? -1.0f : 1.0f;
    for (int64_t i = 0; i < odd; i++) {
        for (int64_t j = 0; j < odd; j++) {
            const double angle = 2.0 * pi * (double)(i * j % odd) / (double)odd;
            rotation->hartley[i * odd + j] = (cos(angle) + sin(angle)) / sqrt((double)odd);
        }
    }
    return true;
}

/* Sums and differences of elements `stride` apart, for all powers of two from `stride` on. */
static void hadamard(double *x, int64_t n, int64_t stride)
{
    for (; stride < n; stride *= 2) {
        for (int64_t i = 0; i < n; i += 2 * stride) {
            for (int64_t k = i; k < i + stride; k++) {
                const double a = x[k], b = x[k + stride];
                x[k] = a + b;
                x[k + stride] = a - b;
            }
        }
    }
}

/* y[odd] = the Hartley matrix times x[odd]. */
static void hartley(double *y, const struct gram_rotation *rotation, const double *x)
{
    for (int64_t i = 0; i < rotation->odd; i++) {
        y[i] = 0;
        for (int64_t j = 0; j < rotation->odd; j++)
            y[i] += rotation->hartley[i * rotation->odd + j] * x[j];
    }
}

/* x[n] := S D x, whose elements are `stride` apart, in scratch[2][n]. */
static void rotate(const struct gram_rotation *rotation, float *x, int64_t stride, const float *gain,
                   double *scratch)
{
    const int64_t n = rotation->n;
    const double norm = 1.0 / sqrt((double)(n / rotation->odd));
    double *a = scratch, *b = scratch + n;

    for (int64_t i = 0; i < n; i++)
        a[i] = (double)x[i * stride] * (double)rotation->signs[i] * (gain ? (double)gain[i] : 1.0);
    hadamard(a, n, rotation->odd);
    for (int64_t i = 0; i < n; i += rotation->odd)
        hartley(b + i, rotation, a + i);
    for (int64_t i = 0; i < n; i++)
        x[i * stride] = (float)(b[i] * norm);
}

struct rotate_call {
    const struct gram_rotation *rotation;
    float *w;
    const float *gain;
    int64_t cols, groups;
    double *scratch; /* [workers][2][n] */
};

static void rotate_columns(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rotate_call *c = context;
    const int64_t n = c->rotation->n;

    for (int64_t i = begin; i < end; i++)
        rotate(c->rotation, c->w + i * n, 1, c->gain ? c->gain + i % c->groups * n : NULL,
               c->scratch + worker * 2 * n);
}

static void rotate_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rotate_call *c = context;
    const int64_t n = c->rotation->n;

    for (int64_t i = begin; i < end; i++)
        rotate(c->rotation, c->w + i / c->cols * n * c->cols + i % c->cols, c->cols, NULL,
               c->scratch + worker * 2 * n);
}

static bool run(struct rotate_call *call, int64_t vectors, gram_pool_fn *fn, struct gram_pool *pool)
{
    const size_t room = (size_t)(gram_pool_threads(pool) * 2 * call->rotation->n);
    struct gram_arena arena = {0};

    call->scratch = gram_arena_take(&arena, room, sizeof(double));
    const bool ok = call->scratch != NULL;
    if (ok)
        gram_pool_for(pool, vectors, 16, fn, call);
    gram_arena_reset(&arena);
    return ok;
}

bool gram_rotate_columns(const struct gram_rotation *rotation, float *w, int64_t rows, int64_t groups,
                         const float *gain, struct gram_pool *pool)
{
    struct rotate_call call = {.rotation = rotation, .w = w, .gain = gain, .groups = groups};
    return run(&call, rows * groups, rotate_columns, pool);
}

bool gram_rotate_rows(const struct gram_rotation *rotation, float *w, int64_t cols, int64_t groups,
                      struct gram_pool *pool)
{
    struct rotate_call call = {.rotation = rotation, .w = w, .cols = cols};
    return run(&call, cols * groups, rotate_rows, pool);
}
