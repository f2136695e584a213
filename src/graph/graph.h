/*
 * A model as a recorded graph of named ops. It is built once per model and walked by everything:
 * inference, tracing, calibration, memory planning, cost, and gradients. Nobody writes a second
 * forward pass.
 *
 * Every value is a matrix of f32, [rows, cols]. rows is the number of tokens of a call, known at run
 * time; values behind `last` have one row per wanted output instead. Cache length and position are
 * inputs of `attend` and `rope` at run time, so one graph serves prompts and every generated token.
 */
#ifndef GRAM_GRAPH_GRAPH_H
#define GRAM_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "graph/rope.h"

struct gram_op;

/* Functions of one number, as config.json names them. */
enum gram_activation {
    GRAM_GELU,      /* x Phi(x), by the error function (Hendrycks, Gimpel 2016) */
    GRAM_GELU_TANH, /* ... by a tanh: "gelu_new", "gelu_pytorch_tanh" */
    GRAM_RELU,
    GRAM_TANH,
    GRAM_N_ACTIVATION
};

/* What chooses the row that a token adds to its own. */
enum gram_add_by { GRAM_BY_POSITION, GRAM_BY_TYPE };

enum { GRAM_NONE = -1, GRAM_MAX_INPUTS = 3, GRAM_MAX_PARAMS = 2, GRAM_MAX_RUN = 4 };

struct gram_value {
    int64_t cols;
    bool is_last;  /* one row per wanted output, not per token */
    int producer;  /* node */
};

struct gram_node {
    const struct gram_op *op;
    const char *name; /* "layers.3.attn.q" */
    int layer;        /* block it belongs to; -1 outside */
    int inputs[GRAM_MAX_INPUTS]; /* values; GRAM_NONE behind the last */
    int params[GRAM_MAX_PARAMS]; /* indices into the model's weight slots; GRAM_NONE if absent */
    int output;                  /* value */
    int run; /* nodes computed together: this one and run - 1 behind it; 0: it belongs to a run before it */
    union {
        struct {
            int64_t out; /* columns of the result */
        } linear;
        struct {
            int64_t width; /* columns normalized together: all, or one head */
            float eps;
        } norm;
        struct {
            int64_t head_dim;
        } rope;
        struct {
            float scale; /* of the second input */
        } add_scaled;
        struct {
            enum gram_add_by by;
        } add_row;
        struct {
            int64_t first, n; /* columns */
        } slice;
        struct {
            enum gram_activation function;
        } activate;
        struct {
            int64_t width; /* columns that are summed to one */
        } pool;
        struct {
            float rate; /* share of the elements that are dropped, below 1 */
        } dropout;
        struct {
            int64_t heads, kv_heads, head_dim;
            int64_t window; /* keys that a query sees, itself included; 0 = all before it */
            bool is_full;   /* a query sees every key of its segment, which a call must have whole */
            int kv_layer;   /* which layer of the cache */
        } attend;
    } at;
};

/* A named range of nodes: the unit of streaming, checkpointing and resume. */
struct gram_block {
    int layer;
    int first, end; /* nodes [first, end) */
    int output;     /* the value that leaves it */
};

/* A low-rank pair beside a weight: its linears become W x + scale B A x (Hu et al. 2021). */
struct gram_low_rank {
    int weight, a, b; /* parameters */
    int64_t rank;
    float scale;
    int64_t group; /* so many columns of x are summed before A (QA-LoRA, Xu et al. 2023); 0: none are */
    float dropout; /* of x, in training; 0: none */
};

struct gram_graph {
    struct gram_arena arena;
    const struct gram_low_rank *pairs; /* borrowed while the graph is built */
    size_t n_pairs;
    struct gram_node *nodes;
    int n_nodes, cap_nodes;
    struct gram_value *values;
    int n_values, cap_values;
    struct gram_block *blocks;
    int n_blocks, cap_blocks;
    int result; /* the value that is the model's output: logits */

    struct gram_rope_params rope;
    int64_t rope_half;  /* pairs per head; 0: the graph has no rope */
    int kv_layers;
    int layer;          /* of the block being built; -1 outside */
    bool failed;        /* memory ran out while building */
};

void gram_graph_init(struct gram_graph *graph);
void gram_graph_reset(struct gram_graph *graph);

/* Builders: each records one op and returns its value. name is copied. Linears that are recorded one behind
 * the other and read the same value (queries, keys, values; gate and up) become a run. After a failure they
 * return 0 and `failed` is set: check once at the end. */
int gram_build_embed(struct gram_graph *g, const char *name, int table, int64_t cols);
/* With every pair of the weight behind it: "<name>.lora_a", "<name>.lora_b" and "<name>.adapted", and before
 * these "<name>.dropout" and "<name>.pool" where the pair has them. */
int gram_build_linear(struct gram_graph *g, const char *name, int x, int weight, int bias,
                      int64_t out);
/* a + scale b */
int gram_build_add_scaled(struct gram_graph *g, const char *name, int a, int b, float scale);
/* y[g] = sum of columns [g width, (g + 1) width) of x; width divides the columns. */
int gram_build_pool(struct gram_graph *g, const char *name, int x, int64_t width);
/* In training, elements become 0 with probability `rate`, or else x / (1 - rate) (graph/dropout.h). */
int gram_build_dropout(struct gram_graph *g, const char *name, int x, float rate);
int gram_build_rmsnorm(struct gram_graph *g, const char *name, int x, int weight, int64_t width,
                       double eps);
/* (x - mean) / sqrt(variance + eps) weight + bias, over whole rows. */
int gram_build_layernorm(struct gram_graph *g, const char *name, int x, int weight, int bias,
                         double eps);
/* x + the table's row of the token's position or type. */
int gram_build_add_row(struct gram_graph *g, const char *name, int x, int table,
                       enum gram_add_by by);
/* Columns [first, first + n) of x. */
int gram_build_slice(struct gram_graph *g, const char *name, int x, int64_t first, int64_t n);
int gram_build_activate(struct gram_graph *g, const char *name, int x,
                        enum gram_activation function);
int gram_build_rope(struct gram_graph *g, const char *name, int x, int64_t head_dim);
int gram_build_attend(struct gram_graph *g, const char *name, int q, int k, int v, int64_t heads,
                      int64_t kv_heads, int64_t head_dim, int64_t window);
/* Every query sees every key of its segment, before and behind it. */
int gram_build_attend_full(struct gram_graph *g, const char *name, int q, int k, int v,
                           int64_t heads, int64_t head_dim);
int gram_build_swiglu(struct gram_graph *g, const char *name, int gate, int up);
int gram_build_add(struct gram_graph *g, const char *name, int a, int b);
/* Only the rows that the caller wants results for. */
int gram_build_last(struct gram_graph *g, const char *name, int x);
/* The first row of each segment; a call wants one result of each, or none. */
int gram_build_first(struct gram_graph *g, const char *name, int x);

void gram_graph_begin_block(struct gram_graph *g, int layer);
void gram_graph_end_block(struct gram_graph *g, int output);

#endif
