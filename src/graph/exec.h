/*
 * Running a graph: activations and scratch, all allocated once, and the walk over the nodes. Timelines
 * bring their own caches, any mixture of them in a call.
 */
#ifndef GRAM_GRAPH_EXEC_H
#define GRAM_GRAPH_EXEC_H

#include "base/error.h"
#include "base/pool.h"
#include "graph/fake_acts.h"
#include "graph/graph.h"
#include "graph/kv.h"
#include "graph/matmul.h"
#include "kernels/kernels.h"
#include "kernels/panels.h"

/*
 * What stands behind a parameter: a matrix for linears and embeddings, or a vector of f32. A matrix that is
 * multiplied often has been repacked into one kind of panels; `weight` then tells its scheme and still reads
 * row by row. This is where an adapter, a fake quantizer or an observer of a linear plugs in.
 */
struct gram_binding {
    struct gram_weight weight;
    const float *vector;
    struct gram_int_panels int_panels;     /* codes is NULL: none */
    int act_parts;                         /* ... parts of int8 that activations come in: 1 or 2 */
    struct gram_float_panels float_panels; /* data is NULL: none */
    struct gram_fake_acts *acts;           /* in training: what it reads is rounded first; NULL: not so */
};

/* Consecutive tokens of one timeline: its part of a call. */
struct gram_exec_segment {
    struct gram_kv *kv; /* holds the tokens before `position`; no two segments of a call share one */
    int64_t position;   /* of the first token; position + rows <= kv->capacity */
    int64_t rows;       /* >= 1 */
    int64_t length;     /* tokens that the sequence comes to with this prompt (for dynamic rope) */
    int64_t n_last;     /* results are wanted of so many of its last tokens, 0..rows */
};

/* Where a row of a call belongs. */
struct gram_exec_place {
    const struct gram_kv *kv;
    int64_t position;
};

/* Which values stay until they are read on the way back (graph/grad.h): none, those of the block that was run
 * last, or all. */
enum gram_keeping { GRAM_KEEP_NONE, GRAM_KEEP_BLOCK, GRAM_KEEP_ALL };

struct gram_exec {
    const struct gram_graph *graph;
    const struct gram_binding *bindings;
    const struct gram_kernels *kernels;
    struct gram_pool *pool;

    float **values;             /* [n_values], each [max_rows, cols] */
    float *base;                /* where all of them lie, floats_per_row * max_rows */
    int64_t floats_per_row;
    int64_t max_rows;
    struct gram_exec_place *places; /* [max_rows] */
    float *rope_cos, *rope_sin; /* [max_rows, rope_half] of this call */
    float *inv_freq, rope_scale; /* [rope_half]; as gram_rope_frequencies() gives them */
    int64_t rope_length;        /* ... for a sequence of this length; 0: not yet */
    void *shared;               /* scratch of all workers: the activations as codes */
    struct gram_int_acts acts;  /* ... of value acts_of (GRAM_NONE: none yet in this call) */
    int acts_of;
    float acts_scale, acts_outlier; /* ... by these rules of the weight */
    char *scratch;              /* [threads][scratch_bytes] */
    int64_t scratch_bytes;
    float *rounded;             /* [max_rows][rounded_cols]: activations that training rounds; NULL: none */
    double *rounded_sums;       /* [max_rows] */
    int64_t rounded_cols;       /* of the widest */
    struct gram_matmul matmul;  /* for linears without panels, when values are kept; else zero */
    bool is_watching;           /* the call moves the ranges that are watched */
    struct gram_arena arena;    /* owns all of the above but is_watching */

    uint64_t noise;    /* of dropout, another for every pass of a training; 0: nothing is dropped */
    int64_t noise_row; /* ... rows of the pass that lie before this call's */

    /* The call at hand. */
    const struct gram_exec_segment *segments;
    int64_t n_segments;
    const int32_t *tokens, *types; /* types may be NULL */
    int64_t rows;   /* tokens of all segments */
    int64_t n_last; /* rows of values that are is_last */
};

/* Receives every node's output as it is computed; return false to stop the walk. */
typedef bool gram_exec_hook(void *user, const struct gram_node *node, const float *values,
                            int64_t rows, int64_t cols);

/*
 * One call: append tokens to timelines and compute. Their rows lie under each other, so that linears see
 * all of them; what comes out for a timeline does not depend on the others.
 */
struct gram_exec_call {
    const struct gram_exec_segment *segments;
    int64_t n_segments;    /* >= 1 */
    const int32_t *tokens; /* of all segments, one after the other; at most max_rows */
    const int32_t *types;  /* of the tokens, for models that tell their kinds apart; NULL: all 0 */
    float *result;         /* [sum of n_last, cols of the result], or NULL when none is wanted */
    gram_exec_hook *hook;  /* may be NULL */
    void *user;
};

/* For calls of up to max_rows tokens. graph, bindings, kernels and pool must outlive exec. */
enum gram_status gram_exec_open(struct gram_exec *exec, const struct gram_graph *graph,
                                const struct gram_binding *bindings,
                                const struct gram_kernels *kernels, struct gram_pool *pool,
                                int64_t max_rows, enum gram_keeping keeping,
                                struct gram_error *err);
void gram_exec_close(struct gram_exec *exec);
/* False when the hook stopped it. */
bool gram_exec_run(struct gram_exec *exec, const struct gram_exec_call *call);
/* Nodes [first, end) of it alone; the caller has filled the values that enter. */
bool gram_exec_run_nodes(struct gram_exec *exec, const struct gram_exec_call *call, int first, int end);
/* The same for a call that is at hand already, whose rows need not be placed again. */
bool gram_exec_continue(struct gram_exec *exec, const struct gram_exec_call *call, int first, int end);

/* For ops: what `acts` makes of a value in this call, in exec->rounded. */
struct gram_fake_call gram_exec_fake_call(const struct gram_exec *exec, struct gram_fake_acts *acts,
                                          int value);
/* Rows of a value in this call, its memory, a worker's scratch. */
int64_t gram_exec_rows(const struct gram_exec *exec, int value);
static inline float *gram_exec_value(const struct gram_exec *exec, int value)
{
    return exec->values[value];
}
static inline void *gram_exec_scratch(const struct gram_exec *exec, int worker)
{
    return exec->scratch + worker * exec->scratch_bytes;
}

#endif
