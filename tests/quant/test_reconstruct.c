/* Learning on what leaves a block, on a gated MLP whose answer is known. */
#include "solving.h"

#include "base/cpu.h"
#include "quant/reconstruct.h"

enum { HIDDEN = 32, FFN = 64, WINDOWS = 12, LENGTH = 16, TOKENS = WINDOWS * LENGTH, SLOTS = 4 };
enum { TABLE, GATE, UP, DOWN };

struct mlp {
    struct gram_graph graph;
    struct gram_binding bindings[SLOTS];
    struct gram_kernels kernels;
    struct gram_pool *pool;
    struct gram_window windows[WINDOWS];
    struct gram_corpus corpus;
    struct gram_boundary inputs, targets;
    float *w[SLOTS];
    struct gram_coded coded[SLOTS];
    struct gram_reconstructed linears[3];
    struct gram_reconstruction call;
    struct gram_arena arena;
};

static const int64_t rows_of[SLOTS] = {1, FFN, FFN, HIDDEN}, cols_of[SLOTS] = {HIDDEN, HIDDEN, HIDDEN, FFN};

static float *fill(struct mlp *m, int64_t n, float size, struct gram_rng *rng)
{
    float *x = gram_arena_take(&m->arena, (size_t)n, sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = size * draw(rng);
    return x;
}

static void build(struct gram_graph *g)
{
    gram_graph_init(g);
    const int x = gram_build_embed(g, "embed", TABLE, HIDDEN);
    gram_graph_begin_block(g, 0);
    const int gate = gram_build_linear(g, "gate", x, GATE, GRAM_NONE, FFN);
    const int up = gram_build_linear(g, "up", x, UP, GRAM_NONE, FFN);
    const int h = gram_build_swiglu(g, "act", gate, up);
    const int y = gram_build_linear(g, "down", h, DOWN, GRAM_NONE, HIDDEN);
    const int out = gram_build_add(g, "sum", x, y);
    gram_graph_end_block(g, out);
    g->result = gram_build_last(g, "last", out);
    assert_false(g->failed);
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* One token through the block with these weights. */
static void forward(float *y, const float *x, float *const *w)
{
    float h[FFN];
    for (int64_t i = 0; i < FFN; i++) {
        const double gate = dot(w[GATE] + i * HIDDEN, x, HIDDEN);
        h[i] = (float)(gate / (1 + exp(-gate)) * dot(w[UP] + i * HIDDEN, x, HIDDEN));
    }
    for (int64_t i = 0; i < HIDDEN; i++)
        y[i] = x[i] + (float)dot(w[DOWN] + i * FFN, h, FFN);
}

/* Codes of 2 bits by rounding to nearest; inputs of a few factors, targets by the float weights. */
static void open(struct mlp *m, int threads)
{
    const struct gram_grid grid = grid_of(2, true, GRAM_F16);
    const struct gram_step_rule rule = {.is_searched = true};
    struct gram_rng rng = {5};
    struct gram_error err;

    *m = (struct mlp){0};
    build(&m->graph);
    MUST(gram_pool_open(&m->pool, threads, &err));
    gram_kernels_init(&m->kernels, gram_cpu_detect());
    m->corpus = (struct gram_corpus){.windows = m->windows, .n_windows = WINDOWS, .tokens = TOKENS};
    for (int i = 0; i < WINDOWS; i++)
        m->windows[i].n = LENGTH;
    m->inputs = (struct gram_boundary){
        .rows = TOKENS, .cols = HIDDEN, .data = fill(m, TOKENS * HIDDEN, 1, &rng)};
    m->targets = (struct gram_boundary){
        .rows = TOKENS, .cols = HIDDEN, .data = fill(m, TOKENS * HIDDEN, 1, &rng)};
    for (int s = GATE; s <= DOWN; s++) {
        m->w[s] = fill(m, rows_of[s] * cols_of[s], 0.3f, &rng);
        assert_true(gram_coded_open(&m->coded[s], &grid, rows_of[s], cols_of[s], 16, false, &m->arena));
        gram_steps_find(&m->coded[s], m->w[s], &rule, m->pool);
        for (int64_t i = 0; i < rows_of[s] * cols_of[s]; i += 16)
            gram_grid_encode(m->coded[s].codes + i, &grid, m->coded[s].steps[i / 16], m->w[s] + i, 16);
        m->linears[s - GATE] = (struct gram_reconstructed){s, m->w[s], &m->coded[s]};
    }
    for (int64_t t = 0; t < TOKENS; t++)
        forward(m->targets.data + t * HIDDEN, m->inputs.data + t * HIDDEN, m->w);
    m->call = (struct gram_reconstruction){.graph = &m->graph, .block = &m->graph.blocks[0],
                                           .bindings = m->bindings, .n_slots = SLOTS,
                                           .kernels = &m->kernels, .pool = m->pool, .corpus = &m->corpus,
                                           .inputs = &m->inputs, .targets = &m->targets,
                                           .linears = m->linears, .n = 3, .epochs = 30};
}

static void close(struct mlp *m)
{
    gram_graph_reset(&m->graph);
    gram_pool_close(&m->pool);
    gram_arena_reset(&m->arena);
}

/* Mean over tokens of the squared error that the codes make, computed without the executor. */
static double error_of(struct mlp *m)
{
    float *w[SLOTS] = {0};
    double sum = 0;

    for (int s = GATE; s <= DOWN; s++) {
        w[s] = gram_arena_take(&m->arena, (size_t)(rows_of[s] * cols_of[s]), sizeof(float));
        assert_non_null(w[s]);
        for (int64_t r = 0; r < rows_of[s]; r++)
            gram_coded_row(&m->coded[s], r, w[s] + r * cols_of[s]);
    }
    for (int64_t t = 0; t < TOKENS; t++) {
        float y[HIDDEN];
        forward(y, m->inputs.data + t * HIDDEN, w);
        for (int64_t i = 0; i < HIDDEN; i++)
            sum += pow((double)y[i] - (double)m->targets.data[t * HIDDEN + i], 2);
    }
    return sum / TOKENS;
}

static void a_block_comes_nearer_to_the_float_one(void **state)
{
    struct gram_reconstruction_result result;
    struct gram_error err;
    struct mlp m;
    (void)state;

    open(&m, 2);
    const double before = error_of(&m);
    MUST(gram_reconstruct(&m.call, &result, &err));
    const double after = error_of(&m);
    print_message("# %.4g to %.4g\n", before, after);
    assert_true(fabs(result.before / before - 1) < 1e-3); /* sums of f32 */
    assert_true(fabs(result.after / after - 1) < 1e-3);
    assert_true(after < 0.75 * before);
    close(&m);
}

static void the_number_of_threads_does_not_change_what_is_learned(void **state)
{
    struct gram_reconstruction_result result[2];
    struct gram_error err;
    struct mlp m[2];
    (void)state;

    for (int i = 0; i < 2; i++) {
        open(&m[i], 1 + 2 * i);
        m[i].call.epochs = 3;
        MUST(gram_reconstruct(&m[i].call, &result[i], &err));
    }
    assert_true(result[0].after == result[1].after);
    for (int s = GATE; s <= DOWN; s++) {
        const size_t n = (size_t)(rows_of[s] * cols_of[s]);
        assert_memory_equal(m[0].coded[s].codes, m[1].coded[s].codes, n);
        assert_memory_equal(m[0].coded[s].steps, m[1].coded[s].steps, n / 16 * sizeof *m[0].coded[s].steps);
    }
    close(&m[0]);
    close(&m[1]);
}

/* The target is what the codes give already: there is nothing to gain. */
static void codes_that_cannot_be_bettered_stay(void **state)
{
    struct gram_reconstruction_result result;
    struct gram_error err;
    struct mlp m;
    (void)state;

    open(&m, 2);
    float *w[SLOTS] = {0};
    for (int s = GATE; s <= DOWN; s++) {
        w[s] = m.w[s];
        for (int64_t r = 0; r < rows_of[s]; r++)
            gram_coded_row(&m.coded[s], r, w[s] + r * cols_of[s]);
    }
    for (int64_t t = 0; t < TOKENS; t++)
        forward(m.targets.data + t * HIDDEN, m.inputs.data + t * HIDDEN, w);
    uint8_t codes[FFN * HIDDEN];
    memcpy(codes, m.coded[UP].codes, sizeof codes);
    MUST(gram_reconstruct(&m.call, &result, &err));
    assert_true(result.after <= result.before);
    assert_memory_equal(codes, m.coded[UP].codes, sizeof codes);
    close(&m);
}

static bool always(void *user)
{
    (void)user;
    return true;
}

static void it_can_be_interrupted(void **state)
{
    const struct gram_job job = {.cancelled = always};
    struct gram_reconstruction_result result;
    struct gram_error err;
    struct mlp m;
    (void)state;

    open(&m, 2);
    m.call.job = &job;
    assert_int_equal(gram_reconstruct(&m.call, &result, &err), GRAM_ECANCELED);
    close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_comes_nearer_to_the_float_one),
        cmocka_unit_test(the_number_of_threads_does_not_change_what_is_learned),
        cmocka_unit_test(codes_that_cannot_be_bettered_stay),
        cmocka_unit_test(it_can_be_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
