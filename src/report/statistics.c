/*
 * Mean, then moments around it, then outliers by them. Each chunk of elements leaves its sums in a place of
 * its own, and these are added in order: nothing depends on which thread was faster.
 */
#include "report/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "tensor/dtype.h"

enum { CHUNK = 1 << 18, STEP = 1024 };
static const double outlier_sigmas = 6;

/* What one chunk found in a pass. */
struct sums {
    double absmax, sum, square, fourth;
    uint64_t finite, outliers;
};

struct pass {
    const struct gram_tensor *tensor;
    struct sums *chunks;
    double mean, limit; /* known from the passes before; 0 in the first */
};

static void add_element(struct sums *s, const struct pass *pass, double x)
{
    const double away = x - pass->mean, square = away * away;
    s->absmax = fmax(s->absmax, fabs(x));
    s->sum += x;
    s->square += square;
    s->fourth += square * square;
    s->outliers += fabs(away) > pass->limit;
    s->finite++;
}

static void sum_chunks(void *context, int64_t begin, int64_t end, int worker)
{
    const struct pass *pass = context;
    (void)worker;
    for (int64_t c = begin; c < end; c++) {
        const int64_t last = gram_min_i64((c + 1) * CHUNK, pass->tensor->count);
        struct sums s = {0};
        for (int64_t at = c * CHUNK; at < last; at += STEP) {
            float x[STEP];
            const int64_t n = gram_min_i64(STEP, last - at);
            gram_read_f32(x, pass->tensor->data, pass->tensor->dtype, at, n);
            for (int64_t i = 0; i < n; i++) {
                if (isfinite(x[i]))
                    add_element(&s, pass, (double)x[i]);
            }
        }
        pass->chunks[c] = s;
    }
}

static struct sums run_pass(struct pass *pass, struct gram_pool *pool)
{
    const int64_t n = gram_ceil_div(pass->tensor->count, CHUNK);
    struct sums total = {0};

    gram_pool_for(pool, n, 1, sum_chunks, pass);
    for (int64_t c = 0; c < n; c++) {
        const struct sums *s = &pass->chunks[c];
        total.absmax = fmax(total.absmax, s->absmax);
        total.sum += s->sum;
        total.square += s->square;
        total.fourth += s->fourth;
        total.outliers += s->outliers;
        total.finite += s->finite;
    }
    return total;
}

enum gram_status gram_tensor_statistics(struct gram_tensor_report *out,
                                        const struct gram_store *store, struct gram_pool *pool,
                                        struct gram_error *err)
{
    const struct gram_tensor *t = &out->tensor;
    struct pass pass = {.tensor = t};

    pass.chunks = calloc((size_t)gram_ceil_div(t->count, CHUNK) + 1, sizeof *pass.chunks);
    if (!pass.chunks)
        return gram_fail_memory(err, t->name);
    const struct sums first = run_pass(&pass, pool);
    const double n = (double)first.finite;
    out->has_values = true;
    out->absmax = first.absmax;
    out->nonfinite = (uint64_t)t->count - first.finite;
    if (first.finite > 0) {
        pass.mean = out->mean = first.sum / n;
        const struct sums moments = run_pass(&pass, pool);
        const double variance = moments.square / n;
        out->std = sqrt(variance);
        out->kurtosis = variance > 0 ? moments.fourth / n / (variance * variance) : 0;
        pass.limit = outlier_sigmas * out->std;
        out->outliers = variance > 0 ? (double)run_pass(&pass, pool).outliers / n : 0;
    }
    if (t->rank > 0)
        gram_store_release(store, t, 0, t->shape[0]);
    free(pass.chunks);
    return GRAM_OK;
}
