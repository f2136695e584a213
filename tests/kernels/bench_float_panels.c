/* kcheck --bench for linears over float panels: one token from memory, many from the caches. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernels/panels.h"

enum { COLS = 2048, MOST_T = 512 };

struct linear {
    const struct gram_kernels *kernels;
    struct gram_float_panels w;
    int64_t T, rows;
    const float *x;
    float *y;
    void *scratch;
};

static void linear(void *context)
{
    struct linear *l = context;
    l->kernels->float_linear(l->y, l->w.rows, l->x, l->w.cols, l->T, &l->w, 0,
                             gram_panel_count(l->w.rows), l->scratch);
}

static const struct linear_row {
    int64_t T, rows; /* rows 0: as many as fill the memory */
} linear_rows[] = {{1, 0},    {2, 0},    {4, 0},     {1, 512},  {6, 512},
                   {16, 512}, {128, 64}, {128, 512}, {512, 512}};

static const struct {
    const char *name;
    enum gram_dtype dtype;
    int64_t bytes;
} dtypes[] = {{"f32", GRAM_F32, 4}, {"f16", GRAM_F16, 2}, {"bf16", GRAM_BF16, 2}};

static void *zeroed(size_t bytes)
{
    void *at = aligned_alloc(GRAM_PANEL_ALIGN, bytes);
    if (!at) {
        perror("kcheck");
        exit(1);
    }
    for (size_t i = 0; i < bytes; i++)
        ((char *)at)[i] = 0;
    return at;
}

void bench_float_linear(const char *level, const struct gram_kernels *kernels,
                        const struct gram_ceilings *top, const void *memory, int64_t bytes)
{
    struct linear l = {.kernels = kernels, .w = {.cols = COLS, .data = memory}};
    float *x = zeroed(MOST_T * COLS * sizeof *x);
    l.x = x;
    l.y = zeroed(MOST_T * 1024 * sizeof *l.y);
    l.scratch = zeroed(GRAM_PANEL_SCRATCH);

    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
        for (size_t i = 0; i < sizeof linear_rows / sizeof linear_rows[0]; i++) {
            const struct linear_row *row = &linear_rows[i];
            const int64_t row_bytes = COLS * dtypes[d].bytes;
            char what[64];

            l.T = row->T;
            l.w.dtype = dtypes[d].dtype;
            l.w.rows = row->rows ? row->rows : bytes / row_bytes;
            snprintf(what, sizeof what, "%s T %d, %s %d", dtypes[d].name, (int)row->T,
                     row->rows ? "N" : "stream", (int)(row->rows ? row->rows : bytes >> 20));
            const double products = 2.0 * (double)(row->T * l.w.rows) * COLS;
            bench_report(&(struct timing){level, "float_linear", what, time_of(linear, &l),
                                          products, (double)(l.w.rows * row_bytes), false},
                         top);
        }
    }
    free(x);
    free(l.y);
    free(l.scratch);
}
