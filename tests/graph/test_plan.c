/* Memory planning: no value may share memory with another that is still to be read, and sharing must pay. */
#include "support.h"

#include "base/rng.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "graph/plan.h"

/* A chain of random adds over random earlier values, with widths that differ by branch. */
static void random_graph(struct gram_graph *g, uint64_t seed, int n)
{
    struct gram_rng rng = {seed};
    int same[64], n_same = 0;

    gram_graph_init(g);
    same[n_same++] = gram_build_embed(g, "embed", 0, 48);
    for (int i = 0; i < n; i++) {
        const int a = same[gram_rng_u64(&rng) % (uint64_t)n_same];
        const int b = same[gram_rng_u64(&rng) % (uint64_t)n_same];
        int x = gram_build_add(g, "add", a, b);
        const int wide = gram_build_linear(g, "up", x, 0, GRAM_NONE,
                                           16 + (int64_t)(gram_rng_u64(&rng) % 100));
        x = gram_build_linear(g, "down", wide, 0, GRAM_NONE, 48);
        same[n_same < 64 ? n_same++ : (int)(gram_rng_u64(&rng) % 64)] = x;
    }
    g->result = gram_build_last(g, "last", same[0]);
    assert_false(g->failed);
}

static int last_use(const struct gram_graph *g, int value)
{
    int last = g->values[value].producer;
    for (int i = 0; i < g->n_nodes; i++) {
        for (int k = 0; k < GRAM_MAX_INPUTS; k++)
            last = g->nodes[i].inputs[k] == value ? i : last;
    }
    return last;
}

static void check_plan(const struct gram_graph *g)
{
    int64_t offsets[512];
    int64_t sum = 0;
    assert_true(g->n_values <= 512);
    const int64_t total = gram_plan(g, offsets);

    for (int a = 0; a < g->n_values; a++) {
        if (a == g->result) {
            assert_int_equal(offsets[a], GRAM_NONE);
            continue;
        }
        sum += g->values[a].cols;
        assert_true(offsets[a] >= 0 && offsets[a] % 16 == 0);
        assert_true(offsets[a] + g->values[a].cols <= total);
        for (int b = 0; b < a; b++) {
            const bool both_live = g->values[a].producer <= last_use(g, b) &&
                                   g->values[b].producer <= last_use(g, a);
            const bool meet = b != g->result && offsets[a] < offsets[b] + g->values[b].cols &&
                              offsets[b] < offsets[a] + g->values[a].cols;
            assert_false(both_live && meet);
        }
    }
    assert_true(total < sum);
}

static void live_values_never_share_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct gram_graph g;
        random_graph(&g, seed, 40);
        check_plan(&g);
        gram_graph_reset(&g);
    }
}

static void linears_of_one_value_are_a_run_whose_results_stay_apart(void **state)
{
    struct gram_graph g;
    int64_t offsets[16];
    (void)state;

    gram_graph_init(&g);
    const int x = gram_build_embed(&g, "embed", 0, 64);
    const int q = gram_build_linear(&g, "q", x, 0, GRAM_NONE, 64); /* nobody reads q and k */
    const int k = gram_build_linear(&g, "k", x, 0, GRAM_NONE, 64);
    const int v = gram_build_linear(&g, "v", x, 0, GRAM_NONE, 64);
    const int o = gram_build_linear(&g, "o", v, 0, GRAM_NONE, 64);
    g.result = gram_build_last(&g, "last", o);
    const int runs[] = {1, 3, 0, 0, 1, 1};
    for (int i = 0; i < g.n_nodes; i++)
        assert_int_equal(g.nodes[i].run, runs[i]);
    assert_true(gram_plan(&g, offsets) > 0);
    assert_true(offsets[q] != offsets[k] && offsets[k] != offsets[v] && offsets[q] != offsets[v]);
    assert_true(offsets[x] != offsets[q] && offsets[x] != offsets[k] && offsets[x] != offsets[v]);
    gram_graph_reset(&g);
}

static void cost_counts_every_multiply_add_of_a_linear(void **state)
{
    struct gram_graph g;
    (void)state;

    gram_graph_init(&g);
    const int x = gram_build_embed(&g, "embed", 0, 48);
    g.result = gram_build_linear(&g, "up", x, 0, GRAM_NONE, 100);
    const struct gram_cost cost = gram_graph_cost(&g, 0, g.n_nodes, 7, 0);
    assert_true(cost.multiply_adds == 48.0 * 100 * 7);
    gram_graph_reset(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_values_never_share_memory),
        cmocka_unit_test(linears_of_one_value_are_a_run_whose_results_stay_apart),
        cmocka_unit_test(cost_counts_every_multiply_add_of_a_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
