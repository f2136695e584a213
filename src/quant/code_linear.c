/* One linear: solve, or fall back when that breaks down; measure; write; note. */
#include <string.h>

#include "quant/bias.h"
#include "quant/blocks.h"
#include "quant/code_parts.h"
#include "quant/undrift.h"

static struct gram_writer writer_of(const struct gram_blocks *b)
{
    return (struct gram_writer){&b->q->stream, &b->q->layout, b->q->ck.store, false};
}

/* The unit is written: into the journal with it. */
static enum gram_status settle(struct gram_blocks *b, struct gram_unit *unit, struct gram_error *err)
{
    unit->result.is_done = true;
    gram_output_flush(&b->q->layout.shards[unit->shard].file);
    return gram_journal_add(b->q->output, unit, err);
}

static void begin_result(struct gram_unit *unit)
{
    struct gram_unit_result fresh = {.output_error = -1};

    memcpy(fresh.source_hash, unit->result.source_hash, sizeof fresh.source_hash);
    unit->result = fresh;
}

/* Memory comes from `arena`. */
static enum gram_status open_coding(struct gram_coding *w, struct gram_arena *arena, struct gram_error *err)
{
    const struct gram_scheme *scheme = &w->unit->how.scheme;
    const struct gram_grid grid = gram_unit_grid(w->unit);
    const struct gram_problem *p = &w->problem;
    const size_t count = (size_t)(p->rows * p->cols);

    w->original = gram_arena_take(arena, count, sizeof *w->original);
    if (!w->original ||
        !gram_coded_open(&w->coded, &grid, p->rows, p->cols, gram_scheme_span(scheme, p->cols),
                         scheme->granularity == GRAM_PER_TENSOR, arena))
        return gram_fail_memory(err, p->name);
    memcpy(w->original, p->w, count * sizeof *w->original);
    return GRAM_OK;
}

/* Arithmetic that broke down is no reason to lose the job: scale search always works. */
static enum gram_status solve(struct gram_blocks *b, struct gram_coding *w, struct gram_error *err)
{
    const struct gram_problem *p = &w->problem;
    struct gram_error inner = {0};

    if (gram_correct_drift(p) != GRAM_OK)
        return gram_fail_memory(err, p->name);
    enum gram_status status = w->unit->how.method->solve(&w->coded, p, &w->solution, &inner);

    if (status == GRAM_ENUMERIC) {
        gram_quantize_warn(b->q, "%s; %s is quantized by mse instead", inner.message,
                           p->name);
        memcpy(p->w, w->original, (size_t)(p->rows * p->cols) * sizeof *p->w);
        w->unit->result.fell_back = true;
        status = gram_solve_mse(&w->coded, p, &w->solution, &inner);
    }
    return status == GRAM_OK ? GRAM_OK : gram_fail(err, status, "%s", inner.message);
}

/* int8, zero in the middle: what the engine multiplies with. */
static float find_act_scale(const struct gram_observer *observer, const struct gram_input_stats *stats)
{
    const struct gram_levels levels = gram_levels_of(true, true, false);
    const struct gram_clip clip = observer->clip(stats, &levels);

    return gram_levels_scale(&levels, clip.low, clip.high).scale;
}

static enum gram_status store(struct gram_blocks *b, struct gram_coding *w, struct gram_error *err)
{
    const struct gram_writer writer = writer_of(b);
    struct gram_unit_result *result = &w->unit->result;
    const struct gram_problem *p = &w->problem;

    if (w->unit->how.scheme.is_static)
        w->unit->act_scale = find_act_scale(b->observer, p->stats);
    gram_solution_measure(&w->solution, &w->coded, w->original, p);
    if (w->solution.weight_error < 0)
        return gram_fail_memory(err, p->name);
    GRAM_TRY(gram_write_coded(&writer, w->unit, &w->coded, err));
    result->squared_error = w->solution.weight_error;
    result->squares = gram_sum_squares(w->original, p->rows * p->cols);
    result->output_error = w->solution.output_error;
    result->damping = w->solution.damping_used;
    result->tokens = p->stats ? (uint64_t)p->stats->tokens : 0;
    return settle(b, w->unit, err);
}

/* The bias takes up what rounding and drift shift the outputs by. */
static enum gram_status correct_bias(struct gram_blocks *b, size_t slot, const struct gram_coding *w,
                                     struct gram_error *err)
{
    const int bias = gram_blocks_bias_of(b, slot);
    const struct gram_input_stats *stats = w->problem.stats;

    if (bias == GRAM_NONE)
        return GRAM_OK;
    float *row = gram_arena_take(&b->work_arena, (size_t)w->coded.cols, sizeof *row);
    if (!row)
        return gram_fail_memory(err, w->problem.name);
    gram_correct_bias(b->values[bias], &w->coded, w->original, stats->mean, stats->wanted, row);
    return GRAM_OK;
}

static struct gram_coding coding_of(struct gram_blocks *b, size_t slot, const struct gram_input_stats *stats)
{
    const struct gram_weight_slot *at = &b->q->ck.desc.slots[slot];

    return (struct gram_coding){
        .unit = b->units[slot],
        .problem = {.name = at->op,
                    .w = b->values[slot],
                    .rows = at->rows,
                    .cols = at->cols,
                    .stats = stats,
                    .options = &b->units[slot]->how.options,
                    .pool = b->q->rt->pool,
                    .kernels = &b->kernels,
                    .scratch = &b->scratch},
    };
}

static enum gram_status choose(struct gram_blocks *b, struct gram_coding *w, struct gram_arena *arena,
                               struct gram_error *err)
{
    begin_result(w->unit);
    GRAM_TRY(open_coding(w, arena, err));
    return solve(b, w, err);
}

/* Solvers overwrite their weights, with which the float model is run. */
static void restore(const struct gram_coding *w)
{
    if (w->original)
        memcpy(w->problem.w, w->original, (size_t)(w->problem.rows * w->problem.cols) * sizeof(float));
}

enum gram_status gram_blocks_code(struct gram_blocks *b, size_t slot,
                                  const struct gram_input_stats *stats, struct gram_error *err)
{
    struct gram_coding w = coding_of(b, slot, stats);

    enum gram_status status = choose(b, &w, &b->work_arena, err);
    if (status == GRAM_OK)
        status = store(b, &w, err);
    if (status == GRAM_OK)
        status = correct_bias(b, slot, &w, err);
    if (b->floats)
        restore(&w);
    gram_arena_rewind(&b->work_arena);
    return status;
}

enum gram_status gram_blocks_hold(struct gram_blocks *b, size_t slot,
                                  const struct gram_input_stats *stats, struct gram_error *err)
{
    struct gram_coding *w = gram_arena_take(&b->block_arena, 1, sizeof *w);

    if (!w)
        return gram_fail_memory(err, b->units[slot]->slot->op);
    *w = coding_of(b, slot, stats);
    GRAM_TRY(choose(b, w, &b->block_arena, err));
    restore(w);
    b->held[slot] = w;
    return GRAM_OK;
}

enum gram_status gram_blocks_store(struct gram_blocks *b, size_t slot,
                                   const struct gram_input_stats *stats, struct gram_error *err)
{
    b->held[slot]->problem.stats = stats;
    return store(b, b->held[slot], err);
}

enum gram_status gram_blocks_put_floats(struct gram_blocks *b, size_t slot, struct gram_error *err)
{
    const struct gram_writer writer = writer_of(b);

    begin_result(b->units[slot]);
    GRAM_TRY(gram_write_floats(&writer, b->units[slot], b->values[slot], err));
    return settle(b, b->units[slot], err);
}
