#include "train/merge_linear.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "formats/bitsandbytes.h"
#include "quant/steps.h"
#include "tensor/dtype.h"
#include "tensor/finite.h"

enum { ROWS = 8 }; /* of a piece of work */

/* Of a row; summed in their order when all are done. */
struct row_sums {
    double squares, change, error;
};

struct merge {
    const struct gram_merge_linear *linear;
    struct gram_merged *merged;
    struct row_sums *rows;
    float *scratch; /* [threads][2][cols] */
};

static float *scratch_of(const struct merge *m, int worker)
{
    return m->scratch + 2 * worker * m->linear->weight.cols;
}

static int64_t group_width(const struct gram_merge_linear *l)
{
    return gram_scheme_span(l->scheme, l->weight.cols);
}

/* ---- the sum ---- */

/* row[cols] += what a pair adds to row r, by groups or by columns. */
static void add_pair(const struct gram_merge_pair *p, int64_t r, float *row, float *sums)
{
    const int64_t group = p->lora->group ? p->lora->group : 1;
    const int64_t n = gram_lora_inputs(p->lora, p->pair);

    memset(sums, 0, (size_t)n * sizeof *sums);
    gram_lora_add_row(p->lora, p->pair, p->weight, r, sums);
    for (int64_t i = 0; i < n * group; i++)
        row[i] += sums[i / group];
}

static void sum_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct merge *m = context;
    const struct gram_weight *w = &m->linear->weight;
    float *change = scratch_of(m, worker), *sums = change + w->cols;

    for (int64_t r = begin; r < end; r++) {
        float *row = m->merged->target + r * w->cols;
        memset(change, 0, (size_t)w->cols * sizeof *change);
        for (size_t i = 0; i < m->linear->n_pairs; i++)
            add_pair(&m->linear->pairs[i], r, change, sums);
        m->linear->kernels->decode[gram_weight_storage(w)](row, w, r, 0, w->cols);
        for (int64_t i = 0; i < w->cols; i++)
            row[i] += change[i];
        m->rows[r].squares = gram_sum_squares(row, w->cols);
        m->rows[r].change = gram_sum_squares(change, w->cols);
    }
}

/* ---- floats ---- */

static void round_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct merge *m = context;
    const int64_t cols = m->linear->weight.cols;
    float *stored = scratch_of(m, worker), *back = stored + cols;

    for (int64_t r = begin; r < end; r++) {
        const float *row = m->merged->target + r * cols;
        gram_write_f32(stored, m->linear->dtype, 0, row, cols);
        gram_read_f32(back, stored, m->linear->dtype, 0, cols);
        for (int64_t i = 0; i < cols; i++)
            back[i] -= row[i];
        m->rows[r].error = gram_sum_squares(back, cols);
    }
}

/* ---- codes ---- */

/* How a group may be stored, and what that loses. */
struct choice {
    struct gram_step step;
    bool keeps_codes;
    double error;
};

static void consider(struct choice *best, struct choice other)
{
    if (other.error < best->error)
        *best = other;
}

/* Codes as they are, with the zero point moved by as many steps as the adapters add on average. */
static struct choice shift_zero(const struct gram_coded *coded, struct gram_step step,
                                const uint8_t *codes, const float *x, int64_t n, float *back)
{
    const int least = -(1 << (coded->grid.bits - 1));
    double sum = 0.0;

    gram_grid_decode(back, &coded->grid, step, codes, n);
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] - (double)back[i];
    const double steps = (double)step.zero - rint(sum / ((double)n * (double)step.scale));
    step.zero = (int)fmin(fmax(steps, least), -least - 1);
    gram_grid_decode(back, &coded->grid, step, codes, n);
    for (int64_t i = 0; i < n; i++)
        back[i] -= x[i];
    return (struct choice){step, true, gram_sum_squares(back, n)};
}

/* The group as it is, with its step or its codes, unless the step that was found anew is better. */
static struct choice keep_grid(const struct merge *m, int64_t r, int64_t g, struct choice found,
                               uint8_t *was, float *back)
{
    const struct gram_weight *w = &m->linear->weight;
    const struct gram_coded *coded = &m->merged->coded;
    const int64_t at = g * coded->span, n = gram_coded_width(coded, g);
    const float *x = m->merged->target + r * w->cols + at;
    const struct gram_step own = {gram_weight_scale(w, r, g),
                                  w->zeros ? w->zeros[r * w->scale_stride + g] : 0};
    struct choice best = {own, false, gram_grid_error(&coded->grid, own, x, n)};

    gram_weight_codes(was, w, r, at, n);
    if (coded->grid.asymmetric)
        consider(&best, shift_zero(coded, own, was, x, n, back));
    consider(&best, found);
    return best;
}

static void store_group(const struct merge *m, int64_t r, int64_t g, uint8_t *was, float *back)
{
    const struct gram_weight *w = &m->linear->weight;
    struct gram_coded *coded = &m->merged->coded;
    const int64_t at = g * coded->span, n = gram_coded_width(coded, g);
    const float *x = m->merged->target + r * w->cols + at;
    const struct gram_step found = *gram_coded_step(coded, r, g);
    struct choice best = {found, false, gram_grid_error(&coded->grid, found, x, n)};

    if (m->linear->is_same_grid)
        best = keep_grid(m, r, g, best, was, back);
    uint8_t *codes = coded->codes + r * w->cols + at;
    *gram_coded_step(coded, r, g) = best.step;
    if (best.keeps_codes)
        memcpy(codes, was, (size_t)n);
    else
        gram_grid_encode(codes, &coded->grid, best.step, x, n);
}

static void store_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct merge *m = context;
    const struct gram_coded *coded = &m->merged->coded;
    float *back = scratch_of(m, worker);
    uint8_t *was = (uint8_t *)(back + coded->cols);

    for (int64_t r = begin; r < end; r++) {
        if (coded->is_one)
            gram_coded_round_row(coded, r, m->merged->target + r * coded->cols);
        for (int64_t g = 0; g < coded->groups && !coded->is_one; g++)
            store_group(m, r, g, was, back);
    }
}

static void compare_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct merge *m = context;
    const int64_t cols = m->linear->weight.cols;
    float *back = scratch_of(m, worker);

    for (int64_t r = begin; r < end; r++) {
        gram_coded_row(&m->merged->coded, r, back);
        for (int64_t i = 0; i < cols; i++)
            back[i] -= m->merged->target[r * cols + i];
        m->rows[r].error = gram_sum_squares(back, cols);
    }
}

/* Scales that the container stores as codes are these from here on. */
static enum gram_status nest_scales(struct merge *m, struct gram_arena *arena,
                                    struct gram_error *err)
{
    struct gram_coded *coded = &m->merged->coded;
    const int64_t n = coded->rows * coded->groups;
    float *scales = gram_arena_take(arena, (size_t)n, sizeof *scales);

    if (!m->linear->scheme->is_nested)
        return GRAM_OK;
    if (!scales)
        return gram_fail_memory(err, m->linear->name);
    for (int64_t i = 0; i < n; i++)
        scales[i] = coded->steps[i].scale;
    GRAM_TRY(gram_bnb_nest_scales(scales, n, err));
    for (int64_t i = 0; i < n; i++)
        coded->steps[i].scale = scales[i];
    return GRAM_OK;
}

static enum gram_status store_codes(struct merge *m, struct gram_arena *arena,
                                    struct gram_error *err)
{
    const struct gram_merge_linear *l = m->linear;
    const struct gram_grid grid = gram_scheme_grid(l->scheme, l->dtype);
    const struct gram_step_rule rule = {.is_searched = true};
    struct gram_coded *coded = &m->merged->coded;

    if (!gram_coded_open(coded, &grid, l->weight.rows, l->weight.cols, group_width(l),
                         l->scheme->granularity == GRAM_PER_TENSOR, arena))
        return gram_fail_memory(err, l->name);
    gram_steps_find(coded, m->merged->target, &rule, l->pool);
    gram_pool_for(l->pool, l->weight.rows, ROWS, store_rows, m);
    struct gram_step *stored = coded->steps, *nested;
    const size_t bytes = (size_t)(coded->is_one ? 1 : coded->rows * coded->groups) * sizeof *nested;
    nested = gram_arena_take(arena, bytes, 1);
    if (!nested)
        return gram_fail_memory(err, l->name);
    memcpy(nested, stored, bytes);
    coded->steps = nested;
    GRAM_TRY(nest_scales(m, arena, err));
    gram_pool_for(l->pool, l->weight.rows, ROWS, compare_rows, m);
    coded->steps = stored; /* the container nests them itself */
    return GRAM_OK;
}

/* ---- the whole ---- */

static enum gram_status check_finite(const struct merge *m, struct gram_error *err)
{
    const int64_t n = m->linear->weight.rows * m->linear->weight.cols;
    const int64_t bad = gram_find_nonfinite(m->merged->target, GRAM_F32, n);

    if (bad == n)
        return GRAM_OK;
    return gram_fail(err, GRAM_ENONFINITE,
                     "%s: the merged weight at row %lld, column %lld is not a number",
                     m->linear->name, (long long)(bad / m->linear->weight.cols),
                     (long long)(bad % m->linear->weight.cols));
}

enum gram_status gram_merge_linear(struct gram_merged *merged, const struct gram_merge_linear *l,
                                   struct gram_arena *arena, struct gram_error *err)
{
    const size_t rows = (size_t)l->weight.rows, cols = (size_t)l->weight.cols;
    struct merge m = {.linear = l, .merged = merged};

    *merged = (struct gram_merged){.target = gram_arena_take(arena, rows, cols * sizeof(float))};
    m.rows = gram_arena_take(arena, rows, sizeof *m.rows);
    m.scratch =
        gram_arena_take(arena, (size_t)gram_pool_threads(l->pool), 2 * cols * sizeof(float));
    if (!merged->target || !m.rows || !m.scratch)
        return gram_fail_memory(err, l->name);
    gram_pool_for(l->pool, l->weight.rows, ROWS, sum_rows, &m);
    GRAM_TRY(check_finite(&m, err));
    if (l->scheme->kind == GRAM_SCHEME_CODES)
        GRAM_TRY(store_codes(&m, arena, err));
    else
        gram_pool_for(l->pool, l->weight.rows, ROWS, round_rows, &m);
    for (size_t r = 0; r < rows; r++) {
        merged->squares += m.rows[r].squares;
        merged->change += m.rows[r].change;
        merged->error += m.rows[r].error;
    }
    return GRAM_OK;
}
