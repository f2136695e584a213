/*
 * Lazy batches as in GPTQ: inside a block of columns corrections are dot products that stay in the first
 * cache; the columns behind get the whole block's at once, as a matrix product. A slice of rows goes
 * through all columns before the next one begins.
 */
#include "quant/feedback.h"

#include <math.h>
#include <stdatomic.h>

#include "base/checked.h"
#include "quant/nearest.h"
#include "quant/product.h"

enum { SLICE = 64 }; /* rows */

/* Scratch memory of a worker. */
struct slice {
    float *x;       /* [SLICE][cols] corrected weights, in the order of rounding */
    float *e;       /* [SLICE][cols] what is fed back, in the order: w - q, or x - q */
    float *group;   /* [span] weights of a group, in the order of the file */
    bool *is_known; /* [groups] steps that were found */
};

struct feedback_call {
    struct gram_coded *coded;
    const float *w;
    const struct gram_feedback *feedback;
    const struct gram_kernels *kernels;
    struct gram_product lower; /* what columns behind a block get from it */
    int64_t *place; /* [cols]: the inverse of order */
    struct slice *slices; /* [workers] */
    atomic_bool has_failed;
};

/* Find the steps of group g for rows [r0, r0 + n). */
static void find_steps(const struct feedback_call *c, const struct slice *s, int64_t r0, int64_t n,
                       int64_t g)
{
    const struct gram_coded *coded = c->coded;
    const struct gram_step_rule *rule = c->feedback->rule;
    const int64_t at = g * coded->span, width = gram_coded_width(coded, g);

    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < width; k++)
            s->group[k] = s->x[i * coded->cols + c->place[at + k]];
        *gram_coded_step(coded, r0 + i, g) =
            gram_step_find(&coded->grid, rule->is_searched, s->group,
                           rule->importance ? rule->importance + at : NULL, width);
    }
    s->is_known[g] = true;
}

/* Round the j-th column, whose block began at `begin`. */
static void round_column(const struct feedback_call *c, const struct slice *s, int64_t r0,
                         int64_t n, int64_t begin, int64_t j)
{
    const struct gram_coded *coded = c->coded;
    const int64_t cols = coded->cols, column = c->feedback->order[j], g = column / coded->span;
    const float *b = c->feedback->lower + j * cols + begin;

    for (int64_t i = 0; i < n; i++) {
        const int64_t at = (r0 + i) * cols + column;
        float *e = s->e + i * cols;
        const struct gram_step step = *gram_coded_step(coded, r0 + i, g);
        const float x = s->x[i * cols + j] + c->kernels->dot_f32(e + begin, b, j - begin);

        coded->codes[at] = gram_nearest(&coded->grid, step, x);
        const float value = gram_code_value(&coded->grid, step, coded->codes[at]);
        /* x - x is zero, or NaN where x is not finite */
        e[j] = c->feedback->rule ? x - value : c->w[at] - value + (x - x);
    }
}

static void load_slice(const struct feedback_call *c, const struct slice *s, int64_t r0, int64_t n)
{
    const int64_t cols = c->coded->cols;

    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < cols; j++)
            s->x[i * cols + j] = c->w[(r0 + i) * cols + c->feedback->order[j]];
    }
    for (int64_t g = 0; g < c->coded->groups; g++)
        s->is_known[g] = !c->feedback->rule;
}

static void round_slice(struct feedback_call *c, const struct slice *s, int64_t r0, int64_t n)
{
    const int64_t cols = c->coded->cols, block = c->feedback->block;

    load_slice(c, s, r0, n);
    for (int64_t begin = 0; begin < cols; begin += block) {
        const int64_t end = cols - begin < block ? cols : begin + block;
        for (int64_t j = begin; j < end; j++) {
            const int64_t g = c->feedback->order[j] / c->coded->span;
            if (!s->is_known[g])
                find_steps(c, s, r0, n, g);
            round_column(c, s, r0, n, begin, j);
        }
        gram_product_add_part(&c->lower, s->x + end, cols, s->e + begin, cols, n, begin, end - begin, end,
                              cols);
    }
    struct gram_range range = {0};
    for (int64_t i = 0; i < n; i++) {
        if (!gram_range_add(&range, s->e + i * cols, cols))
            atomic_store(&c->has_failed, true);
    }
}

static void round_slices(void *context, int64_t begin, int64_t end, int worker)
{
    struct feedback_call *c = context;
    for (int64_t i = begin; i < end; i++) {
        const int64_t r0 = i * SLICE, left = c->coded->rows - r0;
        round_slice(c, &c->slices[worker], r0, left < SLICE ? left : SLICE);
    }
}

static bool take_slices(struct feedback_call *c, int workers, struct gram_arena *arena)
{
    const size_t cols = (size_t)c->coded->cols;

    c->place = gram_arena_take(arena, cols, sizeof *c->place);
    c->slices = gram_arena_take(arena, (size_t)workers, sizeof *c->slices);
    if (!c->place || !c->slices)
        return false;
    for (int i = 0; i < workers; i++) {
        struct slice *s = &c->slices[i];
        s->x = gram_arena_take(arena, SLICE * cols, sizeof *s->x);
        s->e = gram_arena_take(arena, SLICE * cols, sizeof *s->e);
        s->group = gram_arena_take(arena, (size_t)c->coded->span, sizeof *s->group);
        s->is_known = gram_arena_take(arena, (size_t)c->coded->groups, sizeof *s->is_known);
        if (!s->x || !s->e || !s->group || !s->is_known)
            return false;
    }
    return true;
}

enum gram_status gram_feedback_round(struct gram_coded *coded, const float *w,
                                     const struct gram_feedback *feedback,
                                     const struct gram_kernels *kernels, struct gram_pool *pool)
{
    struct feedback_call call = {.coded = coded, .w = w, .feedback = feedback, .kernels = kernels};
    struct gram_arena own = {0}, *arena = feedback->scratch ? feedback->scratch : &own;
    const int64_t block = gram_min_i64(feedback->block, coded->cols);
    enum gram_status status = GRAM_ENOMEM;

    GRAM_ASSERT(!feedback->rule || !coded->is_one);
    if (take_slices(&call, gram_pool_threads(pool), arena) &&
        gram_product_open(&call.lower, feedback->lower, coded->cols, block, kernels, pool, arena)) {
        for (int64_t j = 0; j < coded->cols; j++)
            call.place[feedback->order[j]] = j;
        gram_pool_for(pool, (coded->rows + SLICE - 1) / SLICE, 1, round_slices, &call);
        status = atomic_load(&call.has_failed) ? GRAM_ENUMERIC : GRAM_OK;
    }
    gram_arena_rewind(arena);
    gram_arena_reset(&own);
    return status;
}
