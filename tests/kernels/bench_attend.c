/* kcheck --bench for attention: one head against a context, queries as generation and prompts stack
 * them. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernels/attend.h"

enum { POSITIONS = 2048, MOST_DIM = 128 };

struct attention {
    const struct gram_kernels *kernels;
    enum gram_kv_kind kind;
    struct gram_attend a;
    float *scratch;
};

static void attend(void *context)
{
    struct attention *work = context;
    work->kernels->attend[work->kind](&work->a, work->scratch);
}

static const struct {
    int64_t T, dim;
} shapes[] = {{1, 64},  {4, 64},  {8, 64},   {16, 64}, {48, 64},
              {1, 128}, {8, 128}, {16, 128}, {48, 128}};

static void *filled(int64_t n, int64_t size)
{
    void *at = calloc((size_t)n, (size_t)size);
    if (!at) {
        perror("kcheck");
        exit(1);
    }
    return at;
}

static const char *const names[GRAM_N_KV] = {"attend_f32", "attend_f16", "attend_i8"};

static void bench_shapes(struct attention *work, const char *level, const struct gram_ceilings *top)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const double products = (double)(2 * POSITIONS * shapes[i].dim);
        char what[64];
        work->a.T = shapes[i].T;
        work->a.dim = shapes[i].dim;
        snprintf(what, sizeof what, "T %d, dim %d, 2048 keys", (int)shapes[i].T,
                 (int)shapes[i].dim);
        bench_report(&(struct timing){level, names[work->kind], what, time_of(attend, work),
                                      2 * products * (double)shapes[i].T,
                                      products * (double)gram_kv_bytes(work->kind), false},
                     top);
    }
}

void bench_attend(const char *level, const struct gram_kernels *kernels, enum gram_kv_kind kind,
                  const struct gram_ceilings *top)
{
    float *rows = filled(2 * GRAM_ATTEND_QUERIES * MOST_DIM, sizeof *rows);
    float *scales = filled(POSITIONS, sizeof *scales);
    struct attention work = {.kernels = kernels, .kind = kind, .a = {.scale = 0.125f}};

    work.scratch = filled(gram_attend_scratch(MOST_DIM), sizeof(float));
    work.a.kv.keys = filled(gram_attend_keys_bytes(kind, POSITIONS, MOST_DIM), 1);
    work.a.kv.values = filled(gram_attend_values_bytes(kind, POSITIONS, MOST_DIM), 1);
    if (kind == GRAM_KV_I8)
        work.a.kv.key_scales = work.a.kv.value_scales = scales;
    for (int64_t t = 0; t < GRAM_ATTEND_QUERIES; t++) {
        work.a.q[t] = rows + t * MOST_DIM;
        work.a.y[t] = rows + (GRAM_ATTEND_QUERIES + t) * MOST_DIM;
        work.a.end[t] = POSITIONS;
    }
    bench_shapes(&work, level, top);
    free(work.a.kv.keys);
    free(work.a.kv.values);
    free(scales);
    free(rows);
    free(work.scratch);
}
