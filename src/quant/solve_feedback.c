/*
 * What methods that round with feedback have in common: the order of columns, steps before or on the
 * way, rounding, and sweeps of descent on the output error afterwards.
 */
#include "quant/solve_feedback.h"

#include "base/checked.h"
#include "quant/feedback.h"
#include "quant/refine.h"

struct workspace {
    int64_t *order;
    float *lower, *pivots, *importance;
    struct gram_damping damping;
    struct gram_kernels kernels;
};

static bool take(struct workspace *q, int64_t cols, struct gram_arena *arena)
{
    const size_t n = (size_t)cols;
    size_t square;

    if (!gram_mul_size(&square, n, n))
        return false;
    q->order = gram_arena_take(arena, n, sizeof *q->order);
    q->lower = gram_arena_take(arena, square, sizeof *q->lower);
    q->pivots = gram_arena_take(arena, n, sizeof *q->pivots);
    q->importance = gram_arena_take(arena, n, sizeof *q->importance);
    return q->order && q->lower && q->pivots && q->importance;
}

static enum gram_status prepare(struct workspace *q, const struct gram_problem *p,
                                const struct gram_feedback_method *method)
{
    const float *gram = p->stats->gram;

    for (int64_t j = 0; j < p->cols; j++)
        q->order[j] = j;
    if (p->options->act_order && !gram_order_by_diagonal(q->order, gram, p->cols))
        return GRAM_ENOMEM;
    q->damping.share = p->options->damping;
    GRAM_TRY(method->factor(q->lower, q->pivots, gram, q->order, p->cols, &q->damping));
    for (int64_t j = 0; j < p->cols; j++)
        q->importance[q->order[j]] = q->pivots[j];
    q->kernels = gram_problem_kernels(p);
    return GRAM_OK;
}

static enum gram_status solve(struct gram_coded *coded, const struct workspace *q,
                              const struct gram_problem *p,
                              const struct gram_feedback_method *method)
{
    const struct gram_step_rule rule = {p->options->mse_steps, q->importance};
    const bool are_given = p->options->static_groups || coded->is_one;
    const struct gram_feedback feedback = {
        .lower = q->lower,
        .order = q->order,
        .block = p->options->block,
        .rule = are_given ? NULL : &rule,
        .scratch = p->scratch,
    };
    const int64_t iterations = p->options->iterations;
    const struct gram_refine refine = {
        .gram = p->stats->gram,
        .ridge = q->damping.ridge,
        .sweeps = iterations ? iterations : method->sweeps,
        .keep_steps = method->keep_steps,
        .scratch = p->scratch,
    };

    if (are_given)
        gram_steps_find(coded, p->w, &rule, p->pool);
    else
        gram_invert_unit_lower(q->lower, p->cols);
    GRAM_TRY(gram_feedback_round(coded, p->w, &feedback, &q->kernels, p->pool));
    if (refine.sweeps > 0 && !gram_refine(coded, p->w, &refine, &q->kernels, p->pool))
        return GRAM_ENOMEM;
    return GRAM_OK;
}

enum gram_status gram_solve_by_feedback(struct gram_coded *coded, const struct gram_problem *problem,
                                        const struct gram_feedback_method *method,
                                        struct gram_solution *solution, struct gram_error *err)
{
    struct gram_arena arena = {0};
    struct workspace q = {0};
    enum gram_status status = GRAM_ENOMEM;

    if (take(&q, problem->cols, &arena))
        status = prepare(&q, problem, method);
    if (status == GRAM_OK)
        status = solve(coded, &q, problem, method);
    gram_arena_reset(&arena);
    solution->damping_used = q.damping.share;
    solution->damping_retries = q.damping.retries;
    if (status == GRAM_ENOMEM)
        return gram_fail_memory(err, problem->name);
    if (status != GRAM_OK)
        return gram_fail(err, status,
                         "%s: %s broke down: X'X is not positive definite with %g of its mean diagonal "
                         "added, or corrections overflow; calibrate with more text, or use mse",
                         problem->name, method->name, q.damping.share);
    return GRAM_OK;
}
