/* kcheck --bench for attention: one head against a context, queries as generation and prompts stack
 * them. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernels/attend.h"

enum { POSITIONS = 2048, MOST_DIM = 128 };

struct attention {
    const struct gram_kernels *kernels;
    struct gram_attend a;
    float *scratch;
};

static void attend(void *context)
{
    struct attention *work = context;
    work->kernels->attend(&work->a, work->scratch);
}

static const struct {
    int64_t T, dim;
} shapes[] = {{1, 64}, {4, 64}, {8, 64}, {16, 64}, {1, 128}, {8, 128}, {16, 128}};

static void *filled(int64_t n, int64_t size)
{
    void *at = calloc((size_t)n, (size_t)size);
    if (!at) {
        perror("kcheck");
        exit(1);
    }
    return at;
}

void bench_attend(const char *level, const struct gram_kernels *kernels, const struct ceilings *top)
{
    uint16_t *keys = filled(gram_attend_keys(POSITIONS, MOST_DIM), sizeof *keys);
    uint16_t *values = filled(gram_attend_values(POSITIONS, MOST_DIM), sizeof *values);
    float *rows = filled(2 * GRAM_ATTEND_QUERIES * MOST_DIM, sizeof *rows);
    struct attention work = {.kernels = kernels,
                             .a = {.keys = keys, .values = values, .scale = 0.125f},
                             .scratch = filled(gram_attend_scratch(MOST_DIM), sizeof(float))};

    for (int64_t t = 0; t < GRAM_ATTEND_QUERIES; t++) {
        work.a.q[t] = rows + t * MOST_DIM;
        work.a.y[t] = rows + (GRAM_ATTEND_QUERIES + t) * MOST_DIM;
        work.a.end[t] = POSITIONS;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        char what[64];
        work.a.T = shapes[i].T;
        work.a.dim = shapes[i].dim;
        snprintf(what, sizeof what, "T %d, dim %d, 2048 keys", (int)shapes[i].T,
                 (int)shapes[i].dim);
        const double products = (double)(2 * POSITIONS * shapes[i].dim);
        bench_report(&(struct timing){level, "attend", what, time_of(attend, &work),
                                      2 * products * (double)shapes[i].T, 2 * products, false},
                     top);
    }
    free(keys);
    free(values);
    free(rows);
    free(work.scratch);
}
