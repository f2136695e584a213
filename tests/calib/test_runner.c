/* Block by block over windows: the same as whole passes of the model, and what linears read. */
#include "support.h"

#include <math.h>

#include "calib/runner.h"
#include "engine/model.h"

enum { WINDOWS = 5 };

static struct gram_runtime *rt;
static struct gram_model *model;
static int32_t tokens[512];
static struct gram_window windows[WINDOWS];
static struct gram_corpus corpus = {.windows = windows, .n_windows = WINDOWS};

static int open_model(void **state)
{
    static const int64_t lengths[WINDOWS] = {31, 2, 64, 17, 64};
    struct gram_error err;
    int64_t at = 0;

    (void)state;
    if (gram_runtime_open(&rt, NULL, &err) != GRAM_OK ||
        gram_model_open(&model, rt, source_path("models/hamlet"), &err) != GRAM_OK)
        return -1;
    for (int i = 0; i < 512; i++)
        tokens[i] = (int32_t)((i * 7919) % model->ck.desc.hp.vocab);
    for (int i = 0; i < WINDOWS; i++) {
        windows[i] = (struct gram_window){tokens + at, lengths[i]};
        at += lengths[i];
    }
    corpus.tokens = at;
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    gram_model_close(&model);
    gram_runtime_close(&rt);
    return 0;
}

static struct gram_runner opened(void)
{
    struct gram_error err;
    struct gram_runner runner = {
        .desc = &model->ck.desc,
        .graph = &model->graph,
        .kernels = &model->kernels,
        .pool = model->rt->pool,
        .corpus = &corpus,
        .bindings = model->bindings,
    };
    MUST(gram_runner_open(&runner, &err));
    return runner;
}

/* The rows that an op of this name has in a whole pass over each window, one behind the other. */
struct rows {
    const char *name;
    float *at;
    int64_t n;
};

static bool keep_rows(void *user, const char *name, int layer, const float *values, int64_t rows,
                      int64_t cols)
{
    struct rows *r = user;
    (void)layer;
    if (strcmp(name, r->name) == 0) {
        r->at = realloc(r->at, (size_t)((r->n + rows) * cols) * sizeof *r->at);
        assert_non_null(r->at);
        memcpy(r->at + r->n * cols, values, (size_t)(rows * cols) * sizeof *values);
        r->n += rows;
    }
    return true;
}

static struct rows traced(int value)
{
    struct rows r = {model->graph.nodes[model->graph.values[value].producer].name, NULL, 0};
    struct gram_error err;

    for (int i = 0; i < WINDOWS; i++)
        MUST(gram_trace(model, windows[i].tokens, (size_t)windows[i].n, keep_rows, &r, &err));
    assert_int_equal(r.n, corpus.tokens);
    return r;
}

/* Apart from the order in which the test adds up. */
static void assert_close(const float *a, const float *b, int64_t n)
{
    double worst = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    if (!(worst <= 1e-5 * size))
        fail_msg("off by %g of %g", worst, size);
}

static void blocks_one_by_one_equal_a_whole_pass(void **state)
{
    struct gram_runner runner = opened();
    const struct gram_graph *g = runner.graph;
    const int64_t hidden = model->ck.desc.hp.hidden;
    float *x = calloc((size_t)(corpus.tokens * hidden), sizeof *x);
    struct gram_error err;

    (void)state;
    for (int spill = 0; spill < 2; spill++) {
        struct gram_boundary b;
        MUST(gram_boundary_open(&b, corpus.tokens, hidden, spill, fresh_folder(), &err));
        MUST(gram_runner_embed(&runner, &b, &err));
        for (int i = 0; i < g->n_blocks; i++) {
            MUST(gram_runner_block(&runner, &g->blocks[i], &b, &b, NULL, &err));
            MUST(gram_boundary_read(&b, 0, corpus.tokens, x, &err));
            struct rows whole = traced(g->blocks[i].output);
            assert_memory_equal(x, whole.at, (size_t)(corpus.tokens * hidden) * sizeof *x);
            free(whole.at);
        }
        gram_boundary_close(&b);
    }
    free(x);
    gram_runner_close(&runner);
}

static unsigned mean_of_down(void *context, const struct gram_node *node)
{
    (void)context;
    return strstr(node->name, "mlp.") ? GRAM_NEED_MEAN_ABS | GRAM_NEED_RANGE : 0;
}

static const struct gram_node *node_called(const struct gram_graph *g, const char *name)
{
    for (int i = 0; i < g->n_nodes; i++) {
        if (strcmp(g->nodes[i].name, name) == 0)
            return &g->nodes[i];
    }
    fail_msg("no node %s", name);
    return NULL;
}

/* Cut wherever it can be cut, a block gives the same bits, and so do its statistics. */
static void assert_cut_at_will(struct gram_runner *runner, const struct gram_boundary *in,
                               const struct gram_block_stats *right)
{
    const struct gram_graph *g = runner->graph;
    const struct gram_block *block = &g->blocks[0];
    const size_t bytes = (size_t)(in->rows * in->cols) * sizeof(float);
    struct gram_boundary out, whole;
    struct gram_block_stats stats;
    struct gram_error err;

    MUST(gram_boundary_open(&whole, in->rows, in->cols, false, NULL, &err));
    MUST(gram_boundary_open(&out, in->rows, in->cols, false, NULL, &err));
    MUST(gram_runner_block(runner, block, in, &whole, NULL, &err));
    for (int spill = 0; spill < 2; spill++) {
        struct gram_front front = {.graph = g,
                                   .block = block,
                                   .tokens = corpus.tokens,
                                   .spills = spill,
                                   .folder = fresh_folder()};
        MUST(gram_front_open(&front, in, &err));
        MUST(gram_block_stats_open(&stats, g, block->first, block->end, mean_of_down, NULL, &err));
        for (int to = block->first; to < block->end; to++) {
            if (g->nodes[to].run > 0)
                MUST(gram_runner_advance(runner, &front, to, &stats, &err));
        }
        MUST(gram_block_stats_close(&stats, NULL, NULL, &err));
        MUST(gram_runner_leave(runner, &front, &out, &err));
        assert_memory_equal(out.data, whole.data, bytes);
        for (int i = 0; i < stats.n; i++)
            assert_memory_equal(stats.slots[i].stats.mean_abs, right->slots[i].stats.mean_abs,
                                (size_t)stats.slots[i].stats.cols * sizeof(float));
        gram_block_stats_reset(&stats);
        gram_front_close(&front);
    }
    gram_boundary_close(&out);
    gram_boundary_close(&whole);
}

static void statistics_are_those_of_what_a_linear_reads(void **state)
{
    struct gram_runner runner = opened();
    const struct gram_graph *g = runner.graph;
    const struct gram_block *block = &g->blocks[0];
    const struct gram_node *down = node_called(g, "layers.0.mlp.down");
    struct gram_block_stats stats;
    struct gram_boundary b;
    struct gram_error err;

    (void)state;
    MUST(gram_boundary_open(&b, corpus.tokens, model->ck.desc.hp.hidden, false, NULL, &err));
    MUST(gram_block_stats_open(&stats, g, block->first, block->end, mean_of_down, NULL, &err));
    assert_int_equal(stats.n, 2); /* gate and up share theirs */
    MUST(gram_runner_embed(&runner, &b, &err));
    MUST(gram_runner_block(&runner, block, &b, NULL, &stats, &err));
    assert_cut_at_will(&runner, &b, &stats);

    const struct gram_input_stats *s = gram_block_stats_of(&stats, down);
    struct rows read = traced(down->inputs[0]);
    float *mean = calloc((size_t)s->cols, sizeof *mean);
    assert_int_equal(s->tokens, corpus.tokens);
    for (int64_t t = 0; t < read.n; t++) {
        for (int64_t k = 0; k < s->cols; k++)
            mean[k] += fabsf(read.at[t * s->cols + k]) / (float)read.n;
    }
    assert_close(s->mean_abs, mean, s->cols);
    assert_null(gram_block_stats_of(&stats, node_called(g, "layers.0.attn.q")));
    free(mean);
    free(read.at);
    gram_block_stats_reset(&stats);
    gram_boundary_close(&b);
    gram_runner_close(&runner);
}

static bool always(void *user)
{
    (void)user;
    return true;
}

static void a_cancelled_run_ends(void **state)
{
    struct gram_runner runner = opened();
    const struct gram_job job = {.cancelled = always};
    struct gram_boundary b;
    struct gram_error err;

    (void)state;
    runner.job = &job;
    MUST(gram_boundary_open(&b, corpus.tokens, model->ck.desc.hp.hidden, false, NULL, &err));
    MUST_FAIL(GRAM_ECANCELED, "interrupted", gram_runner_embed(&runner, &b, &err));
    gram_boundary_close(&b);
    gram_runner_close(&runner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_one_by_one_equal_a_whole_pass),
        cmocka_unit_test(statistics_are_those_of_what_a_linear_reads),
        cmocka_unit_test(a_cancelled_run_ends),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
