/* kcheck --bench for linears over integer panels and their activations: a few tokens from memory,
 * a prompt with a chunk of work (256 outputs) in the caches. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/int_layout.h"

enum { CHUNK = 256, MOST_T = 512, MOST_COLS = 5632 };

static const struct form {
    const char *name;
    int bits;
    int64_t group; /* 0: a channel */
    bool is_table;
} forms[] = {{"8 channel", 8, 0, false}, {"4 g128", 4, 128, false}, {"4 g32", 4, 32, false},
             {"3 g128", 3, 128, false},  {"2 g64", 2, 64, false},   {"nf4 g64", 4, 64, true}};

static const struct shape {
    int64_t T, rows, cols; /* rows 0: as many as fill the memory */
    int parts;             /* of the activations */
} shapes[] = {{1, 0, 2048, 1},       {1, 0, 5632, 1},      {4, 0, 2048, 1},       {8, 0, 2048, 1},
              {1, CHUNK, 2048, 1},   {2, CHUNK, 2048, 1},  {4, CHUNK, 2048, 1},   {8, CHUNK, 2048, 1},
              {16, CHUNK, 2048, 1},  {16, CHUNK, 5632, 1}, {128, CHUNK, 2048, 1}, {128, CHUNK, 5632, 1},
              {512, CHUNK, 2048, 1}, {512, CHUNK, 5632, 1}, {256, CHUNK, 2048, 2}};

struct linear {
    const struct gram_kernels *kernels;
    struct gram_int_panels w;
    struct gram_int_acts acts;
    const float *x;
    float *y;
    void *scratch;
    void *row; /* for quantize_acts */
};

static void *zeroed(int64_t bytes)
{
    void *at = aligned_alloc(GRAM_PANEL_ALIGN, (size_t)(bytes + GRAM_PANEL_ALIGN - 1) /
                                                   GRAM_PANEL_ALIGN * GRAM_PANEL_ALIGN);
    if (!at) {
        perror("kcheck");
        exit(1);
    }
    return memset(at, 0, (size_t)bytes);
}

static void set_panels(struct gram_int_panels *w, const struct form *form, const struct shape *s,
                       const void *memory, int64_t bytes)
{
    const int64_t group = form->group ? form->group : s->cols, groups = s->cols / group;
    const int64_t panel_bytes = groups * gram_quads_bytes(form->bits, group / 4);
    const int64_t scale_bytes = groups * GRAM_PANEL * (form->is_table ? 4 : 2);
    const int64_t most = bytes / (panel_bytes + scale_bytes);
    const int64_t panels = s->rows ? s->rows / GRAM_PANEL : most;

    *w = (struct gram_int_panels){.rows = panels * GRAM_PANEL,
                                  .cols = s->cols,
                                  .bits = form->bits,
                                  .group = group,
                                  .groups = groups,
                                  .codes = memory,
                                  .panel_bytes = panel_bytes,
                                  .scales = (const char *)memory + panels * panel_bytes,
                                  .scale_dtype = form->is_table ? GRAM_F32 : GRAM_F16,
                                  .is_table = form->is_table};
}

static void quantize(void *context)
{
    struct linear *l = context;
    for (int64_t t = 0; t < l->acts.rows; t++)
        l->kernels->quantize_acts(&l->acts, t, l->x, l->row);
}

/* One scale a token for a channel, one a group for the others. */
static void make_acts(struct linear *l, int64_t rows, int parts)
{
    const struct gram_int_panels *w = &l->w;
    struct gram_int_acts *acts = &l->acts;

    *acts = (struct gram_int_acts){.rows = rows,
                                   .cols = w->cols,
                                   .span = w->group,
                                   .spans = w->groups,
                                   .group = w->group,
                                   .groups = w->groups,
                                   .parts = parts,
                                   .stride = gram_acts_stride(w->cols)};
    l->kernels->acts_layout(acts);
    const int64_t room = gram_acts_room(acts);
    acts->codes = zeroed(room * acts->stride);
    acts->scales = zeroed(room * acts->spans * (int64_t)sizeof *acts->scales);
    acts->sums = zeroed(room * acts->groups * (int64_t)sizeof *acts->sums);
    quantize(l);
}

static void free_acts(struct gram_int_acts *acts)
{
    free(acts->codes);
    free(acts->scales);
    free(acts->sums);
}

static void multiply(void *context)
{
    struct linear *l = context;
    l->kernels->int_linear(l->y, l->w.rows, &l->acts, &l->w, 0, gram_panel_count(l->w.rows),
                           l->scratch);
}

static void bench_shape(struct linear *l, const char *level, const struct gram_ceilings *top,
                        const struct form *form, const struct shape *s)
{
    const struct gram_int_panels *w = &l->w;
    const double products = 2.0 * (double)(s->T * s->parts * w->rows) * (double)w->cols;
    const double panels = (double)gram_panel_count(w->rows);
    const int scale_bytes = form->is_table ? 4 : 2;
    const double bytes = panels * (double)(w->panel_bytes + w->groups * scale_bytes * GRAM_PANEL);
    char what[64];

    make_acts(l, s->T, s->parts);
    snprintf(what, sizeof what, "%s T %d%s%s K %d", form->name, (int)s->T,
             s->parts == 2 ? "x2" : "", s->rows ? "" : " stream", (int)s->cols);
    bench_report(&(struct timing){level, "int_linear", what, time_of(multiply, l), products, bytes,
                                  .integer = true},
                 top);
    free_acts(&l->acts);
}

static void linear_init(struct linear *l, const struct gram_kernels *kernels)
{
    float *x = zeroed(MOST_COLS * (int64_t)sizeof *x);
    for (int64_t k = 0; k < MOST_COLS; k++)
        x[k] = (float)(k % 251 - 125) / 64.0f;
    *l = (struct linear){.kernels = kernels, .x = x};
    l->scratch = zeroed(GRAM_PANEL_SCRATCH);
    l->row = zeroed(5 * gram_acts_stride(MOST_COLS));
    l->y = zeroed((8 << 20) * (int64_t)sizeof *l->y);
}

static void linear_reset(struct linear *l)
{
    free((void *)(uintptr_t)l->x);
    free(l->y);
    free(l->scratch);
    free(l->row);
}

void bench_int_linear(const char *level, const struct gram_kernels *kernels,
                      const struct gram_ceilings *top, const void *memory, int64_t bytes)
{
    struct linear l;

    linear_init(&l, kernels);
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            set_panels(&l.w, &forms[f], &shapes[s], memory, bytes);
            bench_shape(&l, level, top, &forms[f], &shapes[s]);
        }
    linear_reset(&l);
}

void bench_quantize_acts(const char *level, const struct gram_kernels *kernels,
                         const struct gram_ceilings *top)
{
    static const int64_t groups[] = {MOST_COLS, 128, 32};
    struct linear l;

    linear_init(&l, kernels);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        char what[64];
        l.w = (struct gram_int_panels){
            .cols = MOST_COLS, .group = groups[i], .groups = MOST_COLS / groups[i]};
        make_acts(&l, 16, 1);
        snprintf(what, sizeof what, "T 16 K %d g%d", MOST_COLS, (int)groups[i]);
        bench_report(&(struct timing){level, "quantize_acts", what, time_of(quantize, &l),
                                      .bytes = 5.0 * 16 * MOST_COLS},
                     top);
        free_acts(&l.acts);
    }
    linear_reset(&l);
}
