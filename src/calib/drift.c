#include "calib/drift.h"

#include "base/checked.h"

enum {
    BATCH = 256, /* tokens of a product */
    ROWS = 32    /* of the sum, that one thread adds to at a time */
};

bool gram_drift_open(struct gram_drift *drift, float *sum, int64_t cols, struct gram_arena *arena)
{
    *drift = (struct gram_drift){
        .cols = cols,
        .sum = sum,
        .inputs = gram_arena_take(arena, (size_t)cols, BATCH * sizeof(float)),
        .gaps = gram_arena_take(arena, (size_t)cols, BATCH * sizeof(float)),
    };
    return drift->inputs && drift->gaps;
}

struct work {
    struct gram_drift *drift;
    const struct gram_kernels *kernels;
    const float *x, *wanted;
    int64_t n;
};

static void turn_columns(void *context, int64_t begin, int64_t end, int worker)
{
    const struct work *w = context;
    const int64_t cols = w->drift->cols;

    (void)worker;
    for (int64_t t = 0; t < w->n; t++) {
        for (int64_t k = begin; k < end; k++) {
            w->drift->inputs[k * BATCH + t] = w->x[t * cols + k];
            w->drift->gaps[k * BATCH + t] = w->wanted[t * cols + k] - w->x[t * cols + k];
        }
    }
}

static void add_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct work *w = context;
    const struct gram_drift *d = w->drift;

    (void)worker;
    for (int64_t i = begin * ROWS; i < gram_min_i64(end * ROWS, d->cols); i += ROWS)
        w->kernels->gemm_f32(d->sum + i * d->cols, d->cols, d->inputs + i * BATCH, BATCH, d->gaps, BATCH,
                             gram_min_i64(ROWS, d->cols - i), d->cols, w->n);
}

void gram_drift_add(struct gram_drift *drift, const struct gram_kernels *kernels, struct gram_pool *pool,
                    const float *x, const float *wanted, int64_t n)
{
    for (int64_t t = 0; t < n; t += BATCH) {
        struct work w = {drift, kernels, x + t * drift->cols, wanted + t * drift->cols,
                         gram_min_i64(n - t, BATCH)};
        gram_pool_for(pool, drift->cols, 64, turn_columns, &w);
        gram_pool_for(pool, gram_ceil_div(drift->cols, ROWS), 1, add_rows, &w);
    }
}
