#include "calib/runner.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/checked.h"
#include "graph/op.h"
#include "tensor/finite.h"

enum { ROWS = 512 }; /* of a call; a longer window is a call of its own */

enum gram_status gram_runner_open(struct gram_runner *runner, struct gram_error *err)
{
    const int64_t rows = gram_max_i64(gram_corpus_longest(runner->corpus),
                                      gram_min_i64(ROWS, runner->corpus->tokens));

    if (!gram_together_open(&runner->batch, rows))
        return gram_fail_memory(err, "calibration windows");
    const enum gram_status status =
        gram_exec_open(&runner->exec, runner->graph, runner->bindings, runner->kernels,
                       runner->pool, rows, GRAM_KEEP_NONE, err);
    if (status != GRAM_OK)
        gram_runner_close(runner);
    return status;
}

void gram_runner_close(struct gram_runner *runner)
{
    gram_together_close(&runner->batch);
    gram_exec_close(&runner->exec);
}

static enum gram_status poll(const struct gram_runner *runner, const char *item, int64_t done,
                             struct gram_error *err)
{
    const struct gram_job *job = runner->job;

    if (job && job->progress) {
        const struct gram_progress progress = {"calibrate", item, (uint64_t)done,
                                               (uint64_t)runner->corpus->tokens, "tokens"};
        job->progress(job->user, &progress);
    }
    if (job && job->cancelled && job->cancelled(job->user))
        return gram_fail(err, GRAM_ECANCELED, "interrupted while calibrating %s", item);
    return GRAM_OK;
}

/* What the nodes of a call are watched for. */
struct watch {
    struct gram_runner *runner;
    struct gram_block_stats *stats; /* or NULL */
    int64_t done;                   /* tokens of the calls before */
    const struct gram_node *wrong;  /* its output is not finite */
    enum gram_status status;        /* of what was read beside */
    struct gram_error *err;
};

static enum gram_status add_drift(const struct watch *w, struct gram_stats_slot *slot, const float *x,
                                  int64_t n)
{
    const struct gram_runner *runner = w->runner;
    const struct gram_boundary *wanted = gram_front_find(w->stats->floats, slot->value);

    GRAM_ASSERT(wanted);
    GRAM_TRY(gram_boundary_read(wanted, slot->stats.tokens, n, w->stats->wanted, w->err));
    gram_stats_add_wanted(&slot->stats, runner->kernels, runner->pool, x, w->stats->wanted, n);
    return GRAM_OK;
}

static enum gram_status add_windows(const struct watch *w, struct gram_stats_slot *slot)
{
    const struct gram_runner *runner = w->runner;
    const float *x = gram_exec_value(&runner->exec, slot->value);

    for (int i = 0; i < runner->batch.n; i++) {
        const int64_t n = runner->batch.segments[i].rows;
        if (slot->stats.drift)
            GRAM_TRY(add_drift(w, slot, x, n));
        gram_stats_add(&slot->stats, runner->kernels, runner->pool, x, n);
        x += n * slot->stats.cols;
    }
    return GRAM_OK;
}

/* The value is in its place, for the windows of this call. Of two passes that come by it the first counts. */
static enum gram_status collect(const struct watch *w, int value)
{
    for (int i = 0; w->stats && i < w->stats->n; i++) {
        struct gram_stats_slot *slot = &w->stats->slots[i];
        if (slot->value == value && slot->stats.tokens == w->done)
            GRAM_TRY(add_windows(w, slot));
    }
    return GRAM_OK;
}

struct finite_call {
    const float *values;
    int64_t n;
    atomic_bool has_others;
};

enum { FINITE_CHUNK = 1 << 16 };

static void look_through(void *context, int64_t begin, int64_t end, int worker)
{
    struct finite_call *c = context;
    const int64_t at = begin * FINITE_CHUNK, n = gram_min_i64(end * FINITE_CHUNK, c->n) - at;

    (void)worker;
    if (gram_find_nonfinite(c->values + at, GRAM_F32, n) < n)
        atomic_store(&c->has_others, true);
}

static bool are_finite(const struct gram_runner *runner, const float *values, int64_t n)
{
    struct finite_call call = {.values = values, .n = n};

    gram_pool_for(runner->pool, gram_ceil_div(n, FINITE_CHUNK), 1, look_through, &call);
    return !atomic_load(&call.has_others);
}

static bool watch_node(void *user, const struct gram_node *node, const float *values, int64_t rows,
                       int64_t cols)
{
    struct watch *w = user;

    if (!are_finite(w->runner, values, rows * cols)) {
        w->wrong = node;
        return false;
    }
    w->status = collect(w, node->output);
    return w->status == GRAM_OK;
}

static enum gram_status run_batch(struct watch *w, int first, int end)
{
    struct gram_runner *runner = w->runner;
    const struct gram_exec_call call = {
        .segments = runner->batch.segments,
        .n_segments = runner->batch.n,
        .tokens = runner->batch.tokens,
        .hook = watch_node,
        .user = w,
    };

    if (gram_exec_run_nodes(&runner->exec, &call, first, end))
        return GRAM_OK;
    if (w->status != GRAM_OK)
        return w->status;
    return gram_fail(w->err, GRAM_ENONFINITE,
                     "the output of %s is not finite for calibration window %zu or one of the %d "
                     "before it",
                     w->wrong->name, runner->batch.next, runner->batch.n - 1);
}

static enum gram_status run_embed(struct gram_runner *runner, struct gram_boundary *to,
                                  struct gram_error *err)
{
    const int end = runner->graph->blocks[0].first;
    const int value = gram_front_entering(runner->graph, end);
    struct watch watch = {.runner = runner, .err = err};

    while (gram_together_fill(&runner->batch, runner->corpus)) {
        const int64_t rows = runner->batch.rows;
        GRAM_TRY(poll(runner, "embeddings", watch.done, err));
        GRAM_TRY(run_batch(&watch, 0, end));
        GRAM_TRY(gram_boundary_write(to, watch.done, rows, gram_exec_value(&runner->exec, value), err));
        watch.done += rows;
    }
    return GRAM_OK;
}

enum gram_status gram_runner_embed(struct gram_runner *runner, struct gram_boundary *to,
                                   struct gram_error *err)
{
    enum gram_status status = gram_together_begin(&runner->batch, runner->corpus, runner->graph, 0,
                                                  runner->graph->blocks[0].first, err);
    if (status == GRAM_OK)
        status = run_embed(runner, to, err);
    gram_together_end(&runner->batch);
    return status;
}

struct copy_call {
    char *to;
    const char *from;
    int64_t bytes;
};

enum { COPY_CHUNK = 1 << 18 };

static void copy_chunks(void *context, int64_t begin, int64_t end, int worker)
{
    const struct copy_call *c = context;
    const int64_t at = begin * COPY_CHUNK;

    (void)worker;
    memcpy(c->to + at, c->from + at, (size_t)(gram_min_i64(end * COPY_CHUNK, c->bytes) - at));
}

static void copy(const struct watch *w, float *to, const float *from, int64_t cols)
{
    struct copy_call call = {(char *)to, (const char *)from,
                             w->runner->batch.rows * cols * (int64_t)sizeof *to};

    gram_pool_for(w->runner->pool, gram_ceil_div(call.bytes, COPY_CHUNK), 1, copy_chunks, &call);
}

/* The batch's rows of a value, from where they are kept to where nodes look for them, and back. */
static enum gram_status bring(const struct watch *w, const struct gram_kept *kept)
{
    float *x = gram_exec_value(&w->runner->exec, kept->value);
    const float *from = gram_boundary_at(&kept->rows, w->done);

    if (!from)
        return gram_boundary_read(&kept->rows, w->done, w->runner->batch.rows, x, w->err);
    copy(w, x, from, kept->rows.cols);
    return GRAM_OK;
}

static enum gram_status put(const struct watch *w, const struct gram_kept *kept)
{
    const float *x = gram_exec_value(&w->runner->exec, kept->value);
    float *to = gram_boundary_at(&kept->rows, w->done);

    if (!to)
        return gram_boundary_write(&kept->rows, w->done, w->runner->batch.rows, x, w->err);
    copy(w, to, x, kept->rows.cols);
    return GRAM_OK;
}

/* One call of a pass: the windows that are in the batch. */
static enum gram_status cross_batch(struct watch *w, const struct gram_front *from,
                                    const struct gram_front *to)
{
    for (int i = 0; i < from->n; i++) {
        GRAM_TRY(bring(w, &from->kept[i]));
        GRAM_TRY(collect(w, from->kept[i].value));
    }
    GRAM_TRY(run_batch(w, from->node, to->node));
    for (int i = 0; i < to->n; i++) {
        if (!gram_front_find(from, to->kept[i].value))
            GRAM_TRY(put(w, &to->kept[i]));
    }
    return GRAM_OK;
}

/* All windows from one front to another. */
static enum gram_status cross(struct gram_runner *runner, const struct gram_front *from,
                              const struct gram_front *to, struct gram_block_stats *stats,
                              struct gram_error *err)
{
    struct watch watch = {.runner = runner, .stats = stats, .err = err};
    char item[32];

    snprintf(item, sizeof item, "block %d", from->block->layer);
    enum gram_status status = gram_together_begin(&runner->batch, runner->corpus, runner->graph,
                                                  from->node, to->node, err);
    while (status == GRAM_OK && gram_together_fill(&runner->batch, runner->corpus)) {
        status = poll(runner, item, watch.done, err);
        if (status == GRAM_OK)
            status = cross_batch(&watch, from, to);
        watch.done += runner->batch.rows;
    }
    gram_together_end(&runner->batch);
    return status;
}

enum gram_status gram_runner_advance(struct gram_runner *runner, struct gram_front *front, int to,
                                     struct gram_block_stats *stats, struct gram_error *err)
{
    struct gram_front ahead;

    GRAM_TRY(gram_front_ahead(&ahead, front, to, err));
    const enum gram_status status = cross(runner, front, &ahead, stats, err);
    if (status == GRAM_OK)
        gram_front_move(front, &ahead);
    gram_front_close(&ahead);
    return status;
}

enum gram_status gram_runner_leave(struct gram_runner *runner, const struct gram_front *front,
                                   const struct gram_boundary *out, struct gram_error *err)
{
    struct gram_kept kept = {front->block->output, *out, true};
    const struct gram_front end = {.node = front->block->end, .kept = &kept, .n = 1};

    return cross(runner, front, &end, NULL, err);
}

enum gram_status gram_runner_block(struct gram_runner *runner, const struct gram_block *block,
                                   const struct gram_boundary *in, const struct gram_boundary *out,
                                   struct gram_block_stats *stats, struct gram_error *err)
{
    struct gram_kept entry = {gram_front_entering(runner->graph, block->first), *in, true};
    struct gram_kept kept = {block->output, out ? *out : (struct gram_boundary){0}, true};
    const struct gram_front from = {.block = block, .node = block->first, .kept = &entry, .n = 1};
    const struct gram_front end = {.node = block->end, .kept = &kept, .n = out != NULL};

    const enum gram_status status = cross(runner, &from, &end, stats, err);
    return status == GRAM_OK ? gram_block_stats_close(stats, runner->comm, runner->job, err) : status;
}
