/*
 * Windows that fit a call are computed together, as segments with a cache each: linears see all of their
 * rows, attention sees each alone. A cache lives as long as one block is run.
 */
#include "calib/runner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "graph/op.h"
#include "tensor/finite.h"

enum { ROWS = 512, MOST_WINDOWS = 32 }; /* of a call; a longer window is a call of its own */

struct gram_runner_batch {
    struct gram_kv kv[MOST_WINDOWS];
    int n_kv;
    struct gram_exec_segment segments[MOST_WINDOWS];
    int n;
    size_t next;    /* first window that is not in it */
    int32_t *tokens; /* [max_rows] */
    int64_t rows;
};

static int64_t longest_window(const struct gram_corpus *corpus)
{
    int64_t longest = 0;
    for (size_t i = 0; i < corpus->n_windows; i++)
        longest = gram_max_i64(longest, corpus->windows[i].n);
    return longest;
}

static int64_t rows_of_call(const struct gram_corpus *corpus)
{
    return gram_max_i64(longest_window(corpus), gram_min_i64(ROWS, corpus->tokens));
}

enum gram_status gram_runner_open(struct gram_runner *runner, struct gram_error *err)
{
    const int64_t rows = rows_of_call(runner->corpus);

    runner->batch = calloc(1, sizeof *runner->batch);
    if (!runner->batch || !(runner->batch->tokens = calloc((size_t)rows, sizeof(int32_t)))) {
        free(runner->batch);
        runner->batch = NULL;
        return gram_fail_memory(err, "calibration windows");
    }
    const enum gram_status status =
        gram_exec_open(&runner->exec, runner->graph, runner->bindings, runner->kernels,
                       runner->pool, rows, false, err);
    if (status != GRAM_OK)
        gram_runner_close(runner);
    return status;
}

static void close_caches(struct gram_runner_batch *batch)
{
    while (batch->n_kv > 0)
        gram_kv_close(&batch->kv[--batch->n_kv]);
}

void gram_runner_close(struct gram_runner *runner)
{
    if (!runner->batch)
        return;
    close_caches(runner->batch);
    free(runner->batch->tokens);
    free(runner->batch);
    runner->batch = NULL;
    gram_exec_close(&runner->exec);
}

/* Enough caches for the windows that a call may take. */
static enum gram_status open_caches(struct gram_runner *runner, struct gram_error *err)
{
    struct gram_runner_batch *batch = runner->batch;
    const int64_t capacity = longest_window(runner->corpus);
    const size_t n = gram_min_i64(MOST_WINDOWS, (int64_t)runner->corpus->n_windows);

    while ((size_t)batch->n_kv < n) {
        GRAM_TRY(gram_kv_open(&batch->kv[batch->n_kv], runner->graph, GRAM_KV_F32, capacity, err));
        batch->n_kv++;
    }
    return GRAM_OK;
}

/* The next windows that fit a call; false when there are no more. */
static bool fill_batch(struct gram_runner *runner)
{
    struct gram_runner_batch *batch = runner->batch;
    const struct gram_corpus *corpus = runner->corpus;

    batch->n = 0;
    batch->rows = 0;
    for (; batch->next < corpus->n_windows && batch->n < batch->n_kv; batch->next++) {
        const struct gram_window *w = &corpus->windows[batch->next];
        if (w->n > runner->exec.max_rows - batch->rows)
            break;
        memcpy(batch->tokens + batch->rows, w->tokens, (size_t)w->n * sizeof *w->tokens);
        batch->segments[batch->n] = (struct gram_exec_segment){
            .kv = &batch->kv[batch->n],
            .rows = w->n,
            .length = w->n,
            .n_last = w->n,
        };
        batch->rows += w->n;
        batch->n++;
    }
    return batch->n > 0;
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
    const struct gram_node *wrong;  /* its output is not finite */
    enum gram_status status;        /* of what was written beside */
    struct gram_error *err;
};

static enum gram_status add_drift(const struct watch *w, struct gram_stats_slot *slot, const float *x,
                                  int64_t n)
{
    const struct gram_runner *runner = w->runner;
    float *wanted = w->stats->wanted;

    GRAM_TRY(gram_boundary_read(&slot->wanted, slot->stats.tokens, n, wanted, w->err));
    gram_drift_add(&slot->stats.drifted, runner->kernels, runner->pool, x, wanted, n);
    return GRAM_OK;
}

static enum gram_status add_windows(const struct watch *w, struct gram_stats_slot *slot)
{
    const struct gram_runner *runner = w->runner;
    const float *x = gram_exec_value(&runner->exec, slot->value);

    if (w->stats->keeps_wanted) {
        slot->kept += runner->batch->rows;
        return gram_boundary_write(&slot->wanted, slot->kept - runner->batch->rows, runner->batch->rows, x,
                                   w->err);
    }
    for (int i = 0; i < runner->batch->n; i++) {
        const int64_t n = runner->batch->segments[i].rows;
        if (slot->stats.drift)
            GRAM_TRY(add_drift(w, slot, x, n));
        gram_stats_add(&slot->stats, runner->kernels, runner->pool, x, n);
        x += n * slot->stats.cols;
    }
    return GRAM_OK;
}

/* The input of a linear is still in its place when the first linear that reads it is done. */
static bool watch_node(void *user, const struct gram_node *node, const float *values, int64_t rows,
                       int64_t cols)
{
    struct watch *w = user;
    const int at = (int)(node - w->runner->graph->nodes);

    if (gram_find_nonfinite(values, GRAM_F32, rows * cols) < rows * cols) {
        w->wrong = node;
        return false;
    }
    for (int i = 0; w->stats && i < w->stats->n; i++) {
        if (w->stats->slots[i].node == at && w->status == GRAM_OK)
            w->status = add_windows(w, &w->stats->slots[i]);
    }
    return w->status == GRAM_OK;
}

static enum gram_status run_batch(struct gram_runner *runner, int first, int end,
                                  struct gram_block_stats *stats, struct gram_error *err)
{
    struct watch watch = {.runner = runner, .stats = stats, .err = err};
    const struct gram_exec_call call = {
        .segments = runner->batch->segments,
        .n_segments = runner->batch->n,
        .tokens = runner->batch->tokens,
        .hook = watch_node,
        .user = &watch,
    };

    if (gram_exec_run_nodes(&runner->exec, &call, first, end))
        return GRAM_OK;
    if (watch.status != GRAM_OK)
        return watch.status;
    return gram_fail(err, GRAM_ENONFINITE,
                     "the output of %s is not finite for calibration window %zu or one of the %d "
                     "before it",
                     watch.wrong->name, runner->batch->next, runner->batch->n - 1);
}

/* The value that nodes from `first` on read from before. */
static int entering_value(const struct gram_graph *graph, int first)
{
    for (int i = first; i < graph->n_nodes; i++) {
        for (int k = 0; k < GRAM_MAX_INPUTS && graph->nodes[i].inputs[k] != GRAM_NONE; k++) {
            const int value = graph->nodes[i].inputs[k];
            if (graph->values[value].producer < first)
                return value;
        }
    }
    return GRAM_NONE;
}

static enum gram_status run_embed(struct gram_runner *runner, struct gram_boundary *to,
                                  struct gram_error *err)
{
    const int end = runner->graph->blocks[0].first;
    const int value = entering_value(runner->graph, end);
    int64_t done = 0;

    while (fill_batch(runner)) {
        GRAM_TRY(poll(runner, "embeddings", done, err));
        GRAM_TRY(run_batch(runner, 0, end, NULL, err));
        GRAM_TRY(gram_boundary_write(to, done, runner->batch->rows,
                                     gram_exec_value(&runner->exec, value), err));
        done += runner->batch->rows;
    }
    return GRAM_OK;
}

enum gram_status gram_runner_embed(struct gram_runner *runner, struct gram_boundary *to,
                                   struct gram_error *err)
{
    runner->batch->next = 0;
    enum gram_status status = open_caches(runner, err);
    if (status == GRAM_OK)
        status = run_embed(runner, to, err);
    close_caches(runner->batch);
    return status;
}

static enum gram_status run_block(struct gram_runner *runner, const struct gram_block *block,
                                  const struct gram_boundary *in, const struct gram_boundary *out,
                                  struct gram_block_stats *stats, struct gram_error *err)
{
    const int value = entering_value(runner->graph, block->first);
    char item[32];
    int64_t done = 0;

    snprintf(item, sizeof item, "block %d", block->layer);
    while (fill_batch(runner)) {
        const int64_t rows = runner->batch->rows;
        GRAM_TRY(poll(runner, item, done, err));
        GRAM_TRY(gram_boundary_read(in, done, rows, gram_exec_value(&runner->exec, value), err));
        GRAM_TRY(run_batch(runner, block->first, block->end, stats, err));
        if (out)
            GRAM_TRY(gram_boundary_write(out, done, rows,
                                         gram_exec_value(&runner->exec, block->output), err));
        done += rows;
    }
    return GRAM_OK;
}

enum gram_status gram_runner_block(struct gram_runner *runner, const struct gram_block *block,
                                   const struct gram_boundary *in, const struct gram_boundary *out,
                                   struct gram_block_stats *stats, struct gram_error *err)
{
    runner->batch->next = 0;
    enum gram_status status = open_caches(runner, err);
    if (status == GRAM_OK)
        status = run_block(runner, block, in, out, stats, err);
    close_caches(runner->batch);
    for (int i = 0; stats && !stats->keeps_wanted && status == GRAM_OK && i < stats->n; i++)
        gram_stats_close(&stats->slots[i].stats);
    return status;
}
