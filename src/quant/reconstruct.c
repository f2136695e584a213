/* Batches of windows forward and back; what moves is in learned.h. */
#include "quant/reconstruct.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/rng.h"
#include "graph/grad.h"
#include "quant/learned.h"
#include "train/params.h"

enum { BATCH_ROWS = 1024 }; /* tokens of a batch; a longer window is a batch of its own */

static const double rate_weights = 0.03, rate_steps = 0.02;

struct work {
    const struct gram_reconstruction *r;
    struct gram_binding *bindings; /* [n_slots] */
    float **grads;                 /* [n_slots] */
    struct gram_learned *linears;
    struct gram_exec exec;
    struct gram_grad grad;
    struct gram_params params, steps;
    struct gram_kv *caches;
    int64_t n_caches, most_windows, max_rows;
    int64_t *offsets, *order; /* [n_windows]: where a window begins in a boundary; which is next */
    struct gram_exec_segment *segments;
    float *targets; /* [max_rows][cols] */
    double *errors; /* [max_rows] */
    double unit;    /* of the loss: the mean error of a token at the start */
    int64_t seen, to_see; /* tokens, for progress */
    struct gram_arena arena;
};

static void fill(struct work *k)
{
    for (int i = 0; i < k->r->n; i++)
        gram_learned_fill(&k->linears[i], k->r->pool);
}

/* ---- batches ---- */

struct batch {
    int64_t first, n; /* of the order */
    int64_t rows;
};

/* The windows from `first` on that fit a call. */
static struct batch batch_at(const struct work *k, int64_t first)
{
    struct batch b = {.first = first};

    for (; first + b.n < (int64_t)k->r->corpus->n_windows && b.n < k->most_windows; b.n++) {
        const int64_t rows = k->r->corpus->windows[k->order[first + b.n]].n;
        if (b.rows + rows > k->max_rows)
            break;
        b.rows += rows;
    }
    return b;
}

static int entry_of(const struct work *k)
{
    return k->r->graph->nodes[k->r->block->first - 1].output;
}

static enum gram_status read_batch(struct work *k, const struct batch *b, struct gram_error *err)
{
    const int64_t in = k->r->inputs->cols, out = k->r->targets->cols;
    float *x = gram_exec_value(&k->exec, entry_of(k));
    int64_t row = 0;

    for (int64_t i = 0; i < b->n; i++) {
        const int64_t window = k->order[b->first + i], n = k->r->corpus->windows[window].n;
        GRAM_TRY(gram_boundary_read(k->r->inputs, k->offsets[window], n, x + row * in, err));
        GRAM_TRY(gram_boundary_read(k->r->targets, k->offsets[window], n, k->targets + row * out, err));
        k->segments[i] = (struct gram_exec_segment){
            .kv = &k->caches[i], .rows = n, .length = n, .n_last = n};
        row += n;
    }
    return GRAM_OK;
}

static void row_errors(void *context, int64_t begin, int64_t end, int worker)
{
    const struct work *k = context;
    const int value = k->r->block->output;
    const int64_t cols = k->r->targets->cols;
    const float share = (float)(2.0 / ((double)k->exec.rows * k->unit));

    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        const float *y = gram_exec_value(&k->exec, value) + t * cols, *want = k->targets + t * cols;
        float *g = gram_grad_value(&k->grad, value) + t * cols;
        k->errors[t] = 0.0;
        for (int64_t i = 0; i < cols; i++) {
            const float off = y[i] - want[i];
            k->errors[t] += (double)off * (double)off;
            g[i] = share * off;
        }
    }
}

static enum gram_status poll(struct work *k, const struct batch *b, struct gram_error *err)
{
    const struct gram_job *job = k->r->job;
    char item[32];

    snprintf(item, sizeof item, "block %d", k->r->block->layer);
    k->seen += b->rows;
    if (job && job->progress)
        job->progress(job->user, &(struct gram_progress){"learn", item, (uint64_t)k->seen,
                                                         (uint64_t)k->to_see, "tokens"});
    if (job && job->cancelled && job->cancelled(job->user))
        return gram_fail(err, GRAM_ECANCELED, "interrupted while learning %s", item);
    return GRAM_OK;
}

/* Forward: the sum over tokens of the squared error, and the gradient of the mean, in units. */
static enum gram_status run_batch(struct work *k, const struct batch *b, double *sum,
                                  struct gram_error *err)
{
    const struct gram_exec_call call = {.segments = k->segments, .n_segments = b->n};

    GRAM_TRY(poll(k, b, err));
    GRAM_TRY(read_batch(k, b, err));
    gram_exec_run_nodes(&k->exec, &call, k->r->block->first, k->r->block->end);
    gram_pool_for(k->r->pool, b->rows, 16, row_errors, k);
    for (int64_t t = 0; t < b->rows; t++)
        *sum += k->errors[t];
    return GRAM_OK;
}

/* The mean over all tokens. */
static enum gram_status measure(struct work *k, double *error, struct gram_error *err)
{
    double sum = 0.0;

    fill(k);
    for (struct batch b = batch_at(k, 0); b.n > 0; b = batch_at(k, b.first + b.n))
        GRAM_TRY(run_batch(k, &b, &sum, err));
    *error = sum / (double)k->r->corpus->tokens;
    return GRAM_OK;
}

/* ---- learning ---- */

static void go_back(struct work *k)
{
    gram_params_clear(&k->params);
    gram_params_clear(&k->steps);
    gram_grad_run(&k->grad, k->r->block->first, k->r->block->end);
    for (int i = 0; i < k->r->n; i++)
        gram_learned_pull(&k->linears[i], k->r->pool);
}

static void shuffle(int64_t *order, int64_t n, struct gram_rng *rng)
{
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = (int64_t)(gram_rng_u64(rng) % (uint64_t)(i + 1)), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

static enum gram_status learn_epoch(struct work *k, int64_t epoch, int64_t *step, struct gram_error *err)
{
    struct gram_optimizer_options options = GRAM_OPTIMIZER_OPTIONS_INIT;
    const double tokens = (double)k->r->corpus->tokens;
    double done = 0.0, sum = 0.0;

    for (struct batch b = batch_at(k, 0); b.n > 0; b = batch_at(k, b.first + b.n)) {
        const double left = 1.0 - ((double)epoch + done / tokens) / (double)k->r->epochs;
        fill(k);
        GRAM_TRY(run_batch(k, &b, &sum, err));
        go_back(k);
        ++*step;
        options.lr = rate_weights * left;
        gram_params_step(&k->params, &options, *step);
        options.lr = rate_steps * left;
        gram_params_step(&k->steps, &options, *step);
        done += (double)b.rows;
    }
    return GRAM_OK;
}

static enum gram_status learn(struct work *k, struct gram_reconstruction_result *result,
                              struct gram_error *err)
{
    struct gram_rng rng = {k->r->seed + (uint64_t)k->r->block->layer};
    int64_t step = 0;

    k->unit = 1.0;
    k->to_see = (k->r->epochs + 2) * k->r->corpus->tokens; /* measured before and after */
    GRAM_TRY(measure(k, &result->before, err));
    result->after = result->before;
    if (!(result->before > 0.0))
        return GRAM_OK;
    k->unit = result->before;
    for (int64_t epoch = 0; epoch < k->r->epochs; epoch++) {
        shuffle(k->order, (int64_t)k->r->corpus->n_windows, &rng);
        GRAM_TRY(learn_epoch(k, epoch, &step, err));
    }
    GRAM_TRY(measure(k, &result->after, err));
    if (!(result->after < result->before))
        result->after = result->before;
    else
        for (int i = 0; i < k->r->n; i++)
            gram_learned_keep(&k->linears[i], k->r->linears[i].coded);
    return GRAM_OK;
}

/* ---- memory ---- */

static bool take_windows(struct work *k)
{
    const struct gram_corpus *corpus = k->r->corpus;
    int64_t at = 0, longest = 0, shortest = INT64_MAX;

    k->offsets = gram_arena_take(&k->arena, corpus->n_windows, sizeof *k->offsets);
    k->order = gram_arena_take(&k->arena, corpus->n_windows, sizeof *k->order);
    for (size_t i = 0; k->offsets && k->order && i < corpus->n_windows; i++) {
        k->offsets[i] = at;
        k->order[i] = (int64_t)i;
        at += corpus->windows[i].n;
        longest = gram_max_i64(longest, corpus->windows[i].n);
        shortest = gram_min_i64(shortest, corpus->windows[i].n);
    }
    k->max_rows = gram_max_i64(longest, gram_min_i64(BATCH_ROWS, corpus->tokens));
    k->most_windows = gram_min_i64(64, gram_min_i64(k->max_rows / shortest, (int64_t)corpus->n_windows));
    k->caches = gram_arena_take(&k->arena, (size_t)k->most_windows, sizeof *k->caches);
    k->segments = gram_arena_take(&k->arena, (size_t)k->most_windows, sizeof *k->segments);
    k->targets = gram_arena_take(&k->arena, (size_t)k->max_rows, (size_t)k->r->targets->cols * sizeof(float));
    k->errors = gram_arena_take(&k->arena, (size_t)k->max_rows, sizeof *k->errors);
    return k->offsets && k->order && k->caches && k->segments && k->targets && k->errors;
}

static bool take_tables(struct work *k)
{
    k->bindings = gram_arena_take(&k->arena, k->r->n_slots, sizeof *k->bindings);
    k->grads = gram_arena_take(&k->arena, k->r->n_slots, sizeof *k->grads);
    k->linears = gram_arena_take(&k->arena, (size_t)k->r->n, sizeof *k->linears);
    if (!k->bindings || !k->grads || !k->linears || !take_windows(k))
        return false;
    memcpy(k->bindings, k->r->bindings, k->r->n_slots * sizeof *k->bindings);
    return true;
}

static enum gram_status open_linear(struct work *k, const struct gram_reconstructed *from,
                                    struct gram_learned *l, struct gram_error *err)
{
    GRAM_TRY(gram_learned_open(l, from->coded, from->w, &k->arena, err));
    k->grads[from->slot] = l->g_place;
    k->bindings[from->slot] = (struct gram_binding){
        .weight = {.rows = from->coded->rows,
                   .cols = from->coded->cols,
                   .data = l->fake.quantized,
                   .row_bytes = from->coded->cols * (int64_t)sizeof(float),
                   .dtype = GRAM_F32},
    };
    return GRAM_OK;
}

static enum gram_status open_params(struct work *k, struct gram_error *err)
{
    const struct gram_optimizer *adam;
    struct gram_param *weights = gram_arena_take(&k->arena, (size_t)k->r->n, sizeof *weights);
    struct gram_param *steps = gram_arena_take(&k->arena, (size_t)k->r->n, sizeof *steps);

    if (!weights || !steps)
        return gram_fail_memory(err, "block reconstruction");
    for (int i = 0; i < k->r->n; i++) {
        const struct gram_learned *l = &k->linears[i];
        const struct gram_coded *c = &l->fake.coded;
        weights[i] = (struct gram_param){
            .name = "weight", .w = l->place, .g = l->g_place, .n = c->rows * c->cols};
        steps[i] = (struct gram_param){
            .name = "steps", .w = l->fake.logs, .g = l->fake.g_logs, .n = l->fake.n_steps};
    }
    GRAM_TRY(gram_optimizer_find(&adam, "adam", err));
    GRAM_TRY(gram_params_open(&k->params, weights, (size_t)k->r->n, adam, k->r->pool, err));
    GRAM_TRY(gram_params_place(&k->params, NULL, err));
    GRAM_TRY(gram_params_open(&k->steps, steps, (size_t)k->r->n, adam, k->r->pool, err));
    return gram_params_place(&k->steps, NULL, err);
}

static enum gram_status open_work(struct work *k, struct gram_error *err)
{
    int64_t longest = 0;

    if (!take_tables(k))
        return gram_fail_memory(err, "block reconstruction");
    for (size_t i = 0; i < k->r->corpus->n_windows; i++)
        longest = gram_max_i64(longest, k->r->corpus->windows[i].n);
    for (; k->n_caches < k->most_windows; k->n_caches++)
        GRAM_TRY(gram_kv_open(&k->caches[k->n_caches], k->r->graph, GRAM_KV_F32, longest, err));
    for (int i = 0; i < k->r->n; i++)
        GRAM_TRY(open_linear(k, &k->r->linears[i], &k->linears[i], err));
    GRAM_TRY(gram_exec_open(&k->exec, k->r->graph, k->bindings, k->r->kernels, k->r->pool, k->max_rows,
                            GRAM_KEEP_BLOCK, err));
    GRAM_TRY(gram_grad_open(&k->grad, &k->exec, k->grads, err));
    return open_params(k, err);
}

static void close_work(struct work *k)
{
    gram_params_close(&k->steps);
    gram_params_close(&k->params);
    gram_grad_close(&k->grad);
    gram_exec_close(&k->exec);
    while (k->n_caches > 0)
        gram_kv_close(&k->caches[--k->n_caches]);
    gram_arena_reset(&k->arena);
}

enum gram_status gram_reconstruct(const struct gram_reconstruction *r,
                                  struct gram_reconstruction_result *result, struct gram_error *err)
{
    struct work k = {.r = r};

    enum gram_status status = open_work(&k, err);
    if (status == GRAM_OK)
        status = learn(&k, result, err);
    close_work(&k);
    return status;
}
