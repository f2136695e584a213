/* Recording ops. Each builder fills a node; the op's own shape rule says what comes out. */
#include "graph/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/op.h"

void gram_graph_init(struct gram_graph *graph)
{
    *graph = (struct gram_graph){.layer = -1, .result = GRAM_NONE};
}

void gram_graph_reset(struct gram_graph *graph)
{
    free(graph->nodes);
    free(graph->values);
    free(graph->blocks);
    gram_arena_reset(&graph->arena);
    gram_graph_init(graph);
}

/* Room for one more element in one of the graph's lists; NULL, and failed set, if memory ran out. */
static void *append(struct gram_graph *g, void **list, int *n, int *cap, size_t size)
{
    if (g->failed)
        return NULL;
    if (*n == *cap) {
        const int wanted = *cap ? *cap * 2 : 64;
        void *grown = realloc(*list, (size_t)wanted * size);
        if (!grown) {
            g->failed = true;
            return NULL;
        }
        *list = grown;
        *cap = wanted;
    }
    char *at = (char *)*list + (size_t)*n * size;
    (*n)++;
    return memset(at, 0, size);
}

static int record(struct gram_graph *g, const char *name, struct gram_node node)
{
    void *nodes = g->nodes, *values = g->values;
    struct gram_node *slot = append(g, &nodes, &g->n_nodes, &g->cap_nodes, sizeof *slot);
    g->nodes = nodes;
    struct gram_value *value = append(g, &values, &g->n_values, &g->cap_values, sizeof *value);
    g->values = values;
    const char *copy = gram_arena_str(&g->arena, name);
    if (!slot || !value || !copy) {
        g->failed = true;
        return 0;
    }
    *slot = node;
    slot->name = copy;
    slot->layer = g->layer;
    slot->run = 1;
    slot->output = g->n_values - 1;
    value->producer = g->n_nodes - 1;
    value->is_last = node.inputs[0] != GRAM_NONE && g->values[node.inputs[0]].is_last;
    node.op->shape(g, slot, value);
    return slot->output;
}

#define INPUTS(...) .inputs = {__VA_ARGS__}
#define PARAMS(a, b) .params = {(a), (b)}

int gram_build_embed(struct gram_graph *g, const char *name, int table, int64_t cols)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("embed"),
                                     INPUTS(GRAM_NONE, GRAM_NONE, GRAM_NONE),
                                     PARAMS(table, GRAM_NONE), .at.linear = {cols}});
}

/* The last node joins the run of the one before it, if both are linears of one value. */
static void join_run(struct gram_graph *g)
{
    const int last = g->n_nodes - 1;
    int first = last - 1;

    if (g->failed || first < 0 || g->nodes[first].op != g->nodes[last].op ||
        g->nodes[first].inputs[0] != g->nodes[last].inputs[0])
        return;
    while (g->nodes[first].run == 0)
        first--;
    if (g->nodes[first].run == GRAM_MAX_RUN)
        return;
    g->nodes[first].run++;
    g->nodes[last].run = 0;
}

static int plain_linear(struct gram_graph *g, const char *name, int x, int weight, int bias,
                        int64_t out)
{
    const int y =
        record(g, name,
               (struct gram_node){.op = gram_op_find("linear"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                  PARAMS(weight, bias), .at.linear = {out}});
    join_run(g);
    return y;
}

static int adapted(struct gram_graph *g, const char *linear, int x, int y,
                   const struct gram_low_rank *pair, int64_t out)
{
    char name[128];

    snprintf(name, sizeof name, "%s.dropout", linear);
    if (pair->dropout > 0.0f)
        x = gram_build_dropout(g, name, x, pair->dropout);
    snprintf(name, sizeof name, "%s.pool", linear);
    if (pair->group > 0)
        x = gram_build_pool(g, name, x, pair->group);
    snprintf(name, sizeof name, "%s.lora_a", linear);
    const int inner = plain_linear(g, name, x, pair->a, GRAM_NONE, pair->rank);
    snprintf(name, sizeof name, "%s.lora_b", linear);
    const int outer = plain_linear(g, name, inner, pair->b, GRAM_NONE, out);
    snprintf(name, sizeof name, "%s.adapted", linear);
    return gram_build_add_scaled(g, name, y, outer, pair->scale);
}

int gram_build_linear(struct gram_graph *g, const char *name, int x, int weight, int bias,
                      int64_t out)
{
    int y = plain_linear(g, name, x, weight, bias, out);

    for (size_t i = 0; i < g->n_pairs; i++)
        if (g->pairs[i].weight == weight)
            y = adapted(g, name, x, y, &g->pairs[i], out);
    return y;
}

int gram_build_add_scaled(struct gram_graph *g, const char *name, int a, int b, float scale)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("add_scaled"), INPUTS(a, b, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE), .at.add_scaled = {scale}});
}

int gram_build_pool(struct gram_graph *g, const char *name, int x, int64_t width)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("pool"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE), .at.pool = {width}});
}

int gram_build_dropout(struct gram_graph *g, const char *name, int x, float rate)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("dropout"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE), .at.dropout = {rate}});
}

int gram_build_rmsnorm(struct gram_graph *g, const char *name, int x, int weight, int64_t width,
                       double eps)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("rmsnorm"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(weight, GRAM_NONE), .at.norm = {width, (float)eps}});
}

int gram_build_layernorm(struct gram_graph *g, const char *name, int x, int weight, int bias,
                         double eps)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("layernorm"),
                                     INPUTS(x, GRAM_NONE, GRAM_NONE), PARAMS(weight, bias),
                                     .at.norm = {0, (float)eps}});
}

int gram_build_add_row(struct gram_graph *g, const char *name, int x, int table,
                       enum gram_add_by by)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("add_row"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(table, GRAM_NONE), .at.add_row = {by}});
}

int gram_build_slice(struct gram_graph *g, const char *name, int x, int64_t first, int64_t n)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("slice"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE), .at.slice = {first, n}});
}

int gram_build_activate(struct gram_graph *g, const char *name, int x,
                        enum gram_activation function)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("activate"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE), .at.activate = {function}});
}

int gram_build_rope(struct gram_graph *g, const char *name, int x, int64_t head_dim)
{
    g->rope_half = head_dim / 2;
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("rope"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE), .at.rope = {head_dim}});
}

int gram_build_attend(struct gram_graph *g, const char *name, int q, int k, int v, int64_t heads,
                      int64_t kv_heads, int64_t head_dim, int64_t window)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("attend"), INPUTS(q, k, v),
                                     PARAMS(GRAM_NONE, GRAM_NONE),
                                     .at.attend = {heads, kv_heads, head_dim, window, false,
                                                   g->kv_layers++}});
}

int gram_build_attend_full(struct gram_graph *g, const char *name, int q, int k, int v,
                           int64_t heads, int64_t head_dim)
{
    const int y = gram_build_attend(g, name, q, k, v, heads, heads, head_dim, 0);
    if (!g->failed)
        g->nodes[g->n_nodes - 1].at.attend.is_full = true;
    return y;
}

int gram_build_swiglu(struct gram_graph *g, const char *name, int gate, int up)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("swiglu"), INPUTS(gate, up, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE)});
}

int gram_build_add(struct gram_graph *g, const char *name, int a, int b)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("add"), INPUTS(a, b, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE)});
}

int gram_build_last(struct gram_graph *g, const char *name, int x)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("last"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE)});
}

int gram_build_first(struct gram_graph *g, const char *name, int x)
{
    return record(g, name,
                  (struct gram_node){.op = gram_op_find("first"), INPUTS(x, GRAM_NONE, GRAM_NONE),
                                     PARAMS(GRAM_NONE, GRAM_NONE)});
}

void gram_graph_begin_block(struct gram_graph *g, int layer)
{
    void *blocks = g->blocks;
    struct gram_block *block = append(g, &blocks, &g->n_blocks, &g->cap_blocks, sizeof *block);
    g->blocks = blocks;
    g->layer = layer;
    if (block)
        *block = (struct gram_block){.layer = layer, .first = g->n_nodes};
}

void gram_graph_end_block(struct gram_graph *g, int output)
{
    g->layer = -1;
    if (g->failed)
        return;
    g->blocks[g->n_blocks - 1].end = g->n_nodes;
    g->blocks[g->n_blocks - 1].output = output;
}
