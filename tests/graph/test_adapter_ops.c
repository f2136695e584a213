/* The ops of adapters: sums over groups of columns, dropout, and their gradients. */
#include <math.h>

#include "base/runtime.h"
#include "graph/grad.h"
#include "support.h"

enum { ROWS = 3, COLS = 24, WIDTH = 4, POOLED = COLS / WIDTH, OUT = 5, VOCAB = 4 };

/* loss = sum of c y, y = W pool(dropout(row of the table)) */
struct net {
    struct gram_runtime *rt;
    struct gram_kernels kernels;
    struct gram_graph graph;
    struct gram_exec exec;
    struct gram_grad grad;
    struct gram_binding bindings[2];
    struct gram_kv kv;
    struct gram_exec_segment segment;
    float table[VOCAB * COLS], w[OUT * POOLED], result[ROWS * OUT], c[ROWS * OUT];
    float d_table[VOCAB * COLS], d_w[OUT * POOLED];
    float *grads[2];
    int dropped, pooled;
};

static const int32_t tokens[ROWS] = {2, 0, 3};

static void fill(float *x, int n, uint32_t state)
{
    for (int i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)((double)(state >> 8) / (1 << 23) - 1.0);
    }
}

static void bind(struct gram_binding *binding, const float *data, int64_t rows, int64_t cols)
{
    binding->weight = (struct gram_weight){
        .rows = rows, .cols = cols, .data = data, .row_bytes = cols * 4, .dtype = GRAM_F32};
}

static void open_net(struct net *n, float rate)
{
    struct gram_error err;

    memset(n, 0, sizeof *n);
    MUST(gram_runtime_open(&n->rt, NULL, &err));
    gram_kernels_init(&n->kernels, n->rt->cpu_flags);
    fill(n->table, VOCAB * COLS, 1);
    fill(n->w, OUT * POOLED, 2);
    fill(n->c, ROWS * OUT, 3);
    bind(&n->bindings[0], n->table, VOCAB, COLS);
    bind(&n->bindings[1], n->w, OUT, POOLED);
    gram_graph_init(&n->graph);
    const int x = gram_build_embed(&n->graph, "x", 0, COLS);
    n->dropped = gram_build_dropout(&n->graph, "dropped", x, rate);
    n->pooled = gram_build_pool(&n->graph, "pooled", n->dropped, WIDTH);
    n->graph.result = gram_build_linear(&n->graph, "y", n->pooled, 1, GRAM_NONE, OUT);
    assert_false(n->graph.failed);
    MUST(gram_exec_open(&n->exec, &n->graph, n->bindings, &n->kernels, n->rt->pool, ROWS, GRAM_KEEP_BLOCK,
                        &err));
    n->grads[0] = n->d_table;
    n->grads[1] = n->d_w;
    MUST(gram_grad_open(&n->grad, &n->exec, n->grads, &err));
    n->kv.capacity = ROWS;
    n->segment =
        (struct gram_exec_segment){.kv = &n->kv, .rows = ROWS, .length = ROWS, .n_last = ROWS};
}

static void close_net(struct net *n)
{
    gram_grad_close(&n->grad);
    gram_exec_close(&n->exec);
    gram_graph_reset(&n->graph);
    gram_runtime_close(&n->rt);
}

static double loss(struct net *n)
{
    const struct gram_exec_call call = {
        .segments = &n->segment, .n_segments = 1, .tokens = tokens, .result = n->result};
    double sum = 0.0;

    gram_exec_run(&n->exec, &call);
    for (int i = 0; i < ROWS * OUT; i++)
        sum += (double)n->c[i] * (double)n->result[i];
    return sum;
}

static void hold_gradient(struct net *n, float *x, const float *dx, int count)
{
    for (int i = 0; i < count; i++) {
        const float was = x[i];
        x[i] = was + 0.01f;
        const double up = loss(n);
        x[i] = was - 0.01f;
        const double down = loss(n);
        x[i] = was;
        if (!(fabs((up - down) / 0.02 - (double)dx[i]) < 1e-3))
            fail_msg("element %d: %g, by differences %g", i, (double)dx[i], (up - down) / 0.02);
    }
}

static void gradients_are_those_of_finite_differences(void **state)
{
    struct net n;

    (void)state;
    open_net(&n, 0.4f);
    n.exec.noise = 77;
    loss(&n);
    n.grad.values[n.graph.result] = n.c;
    gram_grad_run(&n.grad, 0, n.graph.n_nodes);
    hold_gradient(&n, n.table, n.d_table, VOCAB * COLS);
    hold_gradient(&n, n.w, n.d_w, OUT * POOLED);
    close_net(&n);
}

static void a_pool_sums_the_columns_of_a_group(void **state)
{
    struct net n;

    (void)state;
    open_net(&n, 0.4f);
    loss(&n); /* without noise nothing is dropped */
    for (int t = 0; t < ROWS; t++)
        for (int g = 0; g < POOLED; g++) {
            double sum = 0.0;
            for (int k = 0; k < WIDTH; k++)
                sum += (double)n.table[tokens[t] * COLS + g * WIDTH + k];
            assert_true(fabs(sum - (double)gram_exec_value(&n.exec, n.pooled)[t * POOLED + g]) <
                        1e-6);
        }
    close_net(&n);
}

static void what_a_dropout_keeps_is_scaled_and_each_pass_keeps_other_elements(void **state)
{
    int kept = 0, same = 0;
    struct net n;

    (void)state;
    open_net(&n, 0.25f);
    float first[ROWS * COLS];
    for (uint64_t noise = 1; noise <= 200; noise++) {
        n.exec.noise = noise;
        loss(&n);
        const float *y = gram_exec_value(&n.exec, n.dropped);
        for (int i = 0; i < ROWS * COLS; i++) {
            const float x = n.table[tokens[i / COLS] * COLS + i % COLS];
            assert_true(y[i] == 0.0f || fabsf(y[i] - x / 0.75f) < 1e-6f);
            kept += y[i] != 0.0f;
            same += noise > 1 && (y[i] != 0.0f) == (first[i] != 0.0f);
        }
        if (noise == 1)
            memcpy(first, y, sizeof first);
    }
    const double share = kept / (200.0 * ROWS * COLS), alike = same / (199.0 * ROWS * COLS);
    assert_true(fabs(share - 0.75) < 0.02);
    assert_true(fabs(alike - (0.75 * 0.75 + 0.25 * 0.25)) < 0.04); /* as independent draws are */
    close_net(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_finite_differences),
        cmocka_unit_test(a_pool_sums_the_columns_of_a_group),
        cmocka_unit_test(what_a_dropout_keeps_is_scaled_and_each_pass_keeps_other_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
