#include "train/mold.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "quant/steps.h"

enum { ROWS = 16 }; /* of a piece of work */

/* ---- B A, and back ---- */

static int64_t inputs(const struct gram_mold *m)
{
    return gram_lora_inputs(m->lora, m->pair);
}

static float scale_of(const struct gram_mold *m)
{
    return (float)gram_lora_scale(m->lora, m->pair);
}

static void multiply_pair(struct gram_mold *m)
{
    const struct gram_matrix a = gram_matrix_of(m->pair->a, m->pair->rank, inputs(m));
    const struct gram_matrix b = gram_matrix_of(m->pair->b, m->pair->slot->rows, m->pair->rank);

    gram_matmul_run(&m->matmul, m->product, b, a, false);
}

static void add_scaled(float *to, const float *from, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] += scale * from[i];
}

/* g is d loss / d (s B A):  dB += s g A'   dA += s B' g */
static void pull_pair(struct gram_mold *m, const float *g)
{
    const struct gram_lora_pair *p = m->pair;
    const int64_t n = inputs(m), rows = p->slot->rows;
    const struct gram_matrix a = gram_matrix_of(p->a, p->rank, n);
    const struct gram_matrix b = gram_matrix_of(p->b, rows, p->rank);
    const struct gram_matrix d = gram_matrix_of(g, rows, n);

    gram_matmul_run(&m->matmul, m->half, d, gram_matrix_transposed(a), false);
    add_scaled(m->g_b, m->half, scale_of(m), rows * p->rank);
    gram_matmul_run(&m->matmul, m->half, gram_matrix_transposed(b), d, false);
    add_scaled(m->g_a, m->half, scale_of(m), p->rank * n);
}

/* ---- loops over rows ---- */

struct row_loop {
    struct gram_mold *mold;
    void (*fn)(struct gram_mold *mold, int64_t r, float *g);
    float *g;
};

static void run_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct row_loop *loop = context;

    (void)worker;
    for (int64_t r = begin; r < end; r++)
        loop->fn(loop->mold, r, loop->g);
}

static void for_rows(struct gram_mold *m, void (*fn)(struct gram_mold *, int64_t, float *),
                     float *g)
{
    gram_pool_for(m->pool, m->fake.coded.rows, ROWS, run_rows, &(struct row_loop){m, fn, g});
}

static void decode_row(struct gram_mold *m, int64_t r, float *g)
{
    (void)g;
    gram_coded_row(&m->fake.coded, r, m->fake.quantized + r * m->fake.coded.cols);
}

/* ---- lora-qat ---- */

static void sum_row(struct gram_mold *m, int64_t r, float *g)
{
    const int64_t cols = m->base.cols;
    float *row = m->sum + r * cols;

    (void)g;
    m->kernels->decode[gram_weight_storage(&m->base)](row, &m->base, r, 0, cols);
    add_scaled(row, m->product + r * cols, scale_of(m), cols);
}

static void fill_rounded(struct gram_mold *m)
{
    multiply_pair(m);
    for_rows(m, sum_row, NULL);
    gram_fake_fill(&m->fake, m->pool);
}

static void pull_rounded(struct gram_mold *m, float *g)
{
    gram_fake_pull(&m->fake, g, m->pool);
    pull_pair(m, g);
}

/* ---- qa-lora ---- */

static int least_zero(const struct gram_mold *m)
{
    return -(1 << (m->fake.coded.grid.bits - 1));
}

/* The shift of group g of row r in steps, before it is rounded and cut off. */
static double steps_of(const struct gram_mold *m, int64_t r, int64_t g)
{
    const struct gram_coded *c = &m->fake.coded;
    return (double)scale_of(m) * (double)m->product[r * c->groups + g] /
           (double)gram_coded_step(c, r, g)->scale;
}

static void shift_row(struct gram_mold *m, int64_t r, float *g)
{
    const struct gram_coded *c = &m->fake.coded;

    for (int64_t i = 0; i < c->groups; i++) {
        const double zero = (double)m->zeros[r * c->groups + i] - rint(steps_of(m, r, i));
        gram_coded_step(c, r, i)->zero = (int)fmin(fmax(zero, least_zero(m)), -least_zero(m) - 1);
    }
    decode_row(m, r, g);
}

static void fill_shifted(struct gram_mold *m)
{
    multiply_pair(m);
    for_rows(m, shift_row, NULL);
}

/* All weights of a group move with its shift. Where the zero point is at its end, it cannot move
 * on. */
static void gather_row(struct gram_mold *m, int64_t r, float *g)
{
    const struct gram_coded *c = &m->fake.coded;
    const float *row = g + r * c->cols;

    for (int64_t i = 0; i < c->groups; i++) {
        const double zero = (double)m->zeros[r * c->groups + i] - steps_of(m, r, i);
        const bool is_inside = zero >= least_zero(m) - 0.5 && zero <= -least_zero(m) - 0.5;
        double sum = 0.0;
        for (int64_t k = i * c->span; k < i * c->span + gram_coded_width(c, i); k++)
            sum += (double)row[k];
        m->sum[r * c->groups + i] = is_inside ? (float)sum : 0.0f;
    }
}

static void pull_shifted(struct gram_mold *m, float *g)
{
    for_rows(m, gather_row, g);
    pull_pair(m, m->sum);
}

/* ---- frozen ---- */

static void fill_frozen(struct gram_mold *m)
{
    for_rows(m, decode_row, NULL);
}

/* ---- kinds ---- */

static const struct gram_mold_kind kinds[] = {
    {"lora-qat", true, true, false, true, fill_rounded, pull_rounded},
    {"qa-lora", true, false, true, false, fill_shifted, pull_shifted},
    {"frozen", false, false, false, false, fill_frozen, NULL},
};

const struct gram_mold_kind *gram_mold_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* ---- opening ---- */

static float *take(struct gram_arena *arena, int64_t n)
{
    return gram_arena_take(arena, (size_t)n, sizeof(float));
}

/* Codes and steps as the base has them. */
static void take_codes(struct gram_mold *m)
{
    struct gram_coded *c = &m->fake.coded;
    const struct gram_weight *w = &m->base;

    for (int64_t r = 0; r < c->rows; r++) {
        gram_weight_codes(c->codes + r * c->cols, w, r, 0, c->cols);
        for (int64_t g = 0; g < c->groups; g++)
            *gram_coded_step(c, r, g) = (struct gram_step){
                gram_weight_scale(w, r, g), w->zeros ? w->zeros[r * w->scale_stride + g] : 0};
    }
}

static void round_row(struct gram_mold *m, int64_t r, float *g)
{
    const struct gram_coded *c = &m->fake.coded;

    (void)g;
    gram_coded_round_row(c, r, m->fake.quantized + r * c->cols);
}

static void decode_base(struct gram_mold *m, int64_t r, float *g)
{
    (void)g;
    m->kernels->decode[gram_weight_storage(&m->base)](m->fake.quantized + r * m->base.cols,
                                                      &m->base, r, 0, m->base.cols);
}

static void find_codes(struct gram_mold *m)
{
    const struct gram_step_rule rule = {.is_searched = true};

    for_rows(m, decode_base, NULL);
    gram_steps_find(&m->fake.coded, m->fake.quantized, &rule, m->pool);
    for_rows(m, round_row, NULL);
}

static bool take_pair(struct gram_mold *m, const struct gram_mold_parts *parts,
                      struct gram_arena *arena)
{
    const struct gram_coded *c = &m->fake.coded;

    m->lora = parts->lora;
    m->pair = parts->pair;
    m->g_a = parts->g_a;
    m->g_b = parts->g_b;
    const int64_t halves = gram_max_i64(c->rows, inputs(m)) * m->pair->rank;
    m->product = take(arena, c->rows * inputs(m));
    m->half = take(arena, halves);
    m->sum = take(arena, c->rows * inputs(m));
    m->zeros = gram_arena_take(arena, (size_t)(c->rows * c->groups), sizeof *m->zeros);
    return m->product && m->half && m->sum && m->zeros &&
           gram_matmul_open(&m->matmul, m->kernels, m->pool, arena);
}

enum gram_status gram_mold_open(struct gram_mold *m, const struct gram_mold_kind *kind,
                                const struct gram_mold_parts *parts, struct gram_arena *arena,
                                struct gram_error *err)
{
    const struct gram_weight *w = &parts->base;

    *m = (struct gram_mold){
        .kind = kind, .base = *w, .pool = parts->pool, .kernels = parts->kernels};
    GRAM_TRY(gram_fake_place(&m->fake, parts->grid, w->rows, w->cols, parts->span, parts->is_one,
                             arena, err));
    if (kind->has_pair && !take_pair(m, parts, arena))
        return gram_fail_memory(err, "an adapter on its grid");
    if (w->bits > 0)
        take_codes(m);
    else
        find_codes(m);
    gram_fake_begin(&m->fake, kind->sums ? m->sum : NULL);
    for (int64_t r = 0; m->zeros && r < w->rows; r++)
        for (int64_t g = 0; g < m->fake.coded.groups; g++)
            m->zeros[r * m->fake.coded.groups + g] = gram_coded_step(&m->fake.coded, r, g)->zero;
    return GRAM_OK;
}

/* ---- what an adapter states of it ---- */

enum gram_status gram_mold_unfold(const struct gram_mold *m, struct gram_lora_pair *pair,
                                  struct gram_arena *arena, struct gram_error *err)
{
    const struct gram_coded *c = &m->fake.coded;
    const int64_t n = c->groups;

    *pair = (struct gram_lora_pair){.slot = m->pair->slot,
                                    .rank = n,
                                    .alpha = (double)c->span, /* s = alpha / rank * groups / span */
                                    .a = take(arena, n * n),
                                    .b = take(arena, c->rows * n)};
    if (!pair->a || !pair->b)
        return gram_fail_memory(err, "an adapter");
    for (int64_t i = 0; i < n; i++)
        pair->a[i * n + i] = 1.0f;
    for (int64_t i = 0; i < c->rows * n; i++) {
        const struct gram_step *step = gram_coded_step(c, i / n, i % n);
        pair->b[i] = (float)(m->zeros[i] - step->zero) * step->scale;
    }
    return GRAM_OK;
}
