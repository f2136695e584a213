/*
 * Running a model block by block over the windows of a corpus, with only one block's weights at
 * hand: what a block gets is the boundary before it, what it gives replaces that.
 */
#ifndef GRAM_CALIB_RUNNER_H
#define GRAM_CALIB_RUNNER_H

#include <gram/job.h>
#include "arch/arch.h"
#include "calib/boundary.h"
#include "calib/corpus.h"
#include "calib/front.h"
#include "calib/stats.h"
#include "calib/together.h"
#include "graph/exec.h"

/* Statistics of the value that some linears of a block read. */
struct gram_stats_slot {
    int value;                     /* of the graph */
    int node;                      /* the first linear that reads it */
    struct gram_input_stats stats;
};

struct gram_block_stats {
    struct gram_stats_slot *slots; /* in the order of the graph */
    int n;
    const struct gram_graph *graph;
    const struct gram_front *floats; /* with GRAM_NEED_DRIFT: where the float model stands */
    float *wanted;                   /* [rows of the longest window][most columns]: scratch memory */
    struct gram_arena arena;
};

struct gram_runner {
    const struct gram_model_desc *desc;
    const struct gram_graph *graph;
    const struct gram_kernels *kernels;
    struct gram_pool *pool;
    const struct gram_corpus *corpus;
    struct gram_binding *bindings; /* [slots]; the caller fills those of the block that is to run */
    const struct gram_job *job;    /* may be NULL */
    struct gram_comm *comm;        /* others run other windows of the text; NULL: all are in the corpus */

    struct gram_exec exec;
    struct gram_together batch; /* the windows of a call */
};

/* The fields up to comm are the caller's. Activations of the longest window, or of several short ones that
 * are computed together, are allocated here. */
enum gram_status gram_runner_open(struct gram_runner *runner, struct gram_error *err);
void gram_runner_close(struct gram_runner *runner);

/* Fill the boundary before the first block from the bound embedding. */
enum gram_status gram_runner_embed(struct gram_runner *runner, struct gram_boundary *to,
                                   struct gram_error *err);

/* Prepare statistics for the linears of nodes [first, end): needs of a node by `needs`. */
enum gram_status gram_block_stats_open(struct gram_block_stats *stats, const struct gram_graph *graph,
                                       int first, int end,
                                       unsigned (*needs)(void *context, const struct gram_node *node),
                                       void *context, struct gram_error *err);
/* Drift is measured from the float model, whose front must keep what statistics are asked of; windows have at
 * most `longest` tokens. */
enum gram_status gram_block_stats_want(struct gram_block_stats *stats, const struct gram_front *floats,
                                       int64_t longest, struct gram_error *err);
/* After the last window, of all ranks; NULL is none. Errors of gram_stats_share(). */
enum gram_status gram_block_stats_close(struct gram_block_stats *stats, struct gram_comm *comm,
                                        const struct gram_job *job, struct gram_error *err);
/* Of the input of a linear; NULL when nothing was asked for. */
const struct gram_input_stats *gram_block_stats_of(const struct gram_block_stats *stats,
                                                   const struct gram_node *node);
void gram_block_stats_reset(struct gram_block_stats *stats);

/*
 * Over every window: from the front to node `to` of its block, where it then stands; from the front to the
 * end of its block, whose output `out` receives (it may be what the front began with); and both in one call,
 * out of a block's input (out may be `in` itself, or NULL). stats (or NULL) receives what linears read, and
 * is closed by the last one alone. No cut may lie inside a run of linears. GRAM_ECANCELED; GRAM_ENONFINITE
 * names the node whose output is not finite.
 */
enum gram_status gram_runner_advance(struct gram_runner *runner, struct gram_front *front, int to,
                                     struct gram_block_stats *stats, struct gram_error *err);
enum gram_status gram_runner_leave(struct gram_runner *runner, const struct gram_front *front,
                                   const struct gram_boundary *out, struct gram_error *err);
enum gram_status gram_runner_block(struct gram_runner *runner, const struct gram_block *block,
                                   const struct gram_boundary *in, const struct gram_boundary *out,
                                   struct gram_block_stats *stats, struct gram_error *err);

#endif
