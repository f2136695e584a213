/*
 * The part of a job that works on whole blocks in memory: for methods that want the whole matrix or
 * calibration, and for transforms. Block by block: load its weights, collect what its linears read, rewrite,
 * solve, write; then bind what was written, exactly as a user's engine would, and run it to get
 * what the next block reads. One block of float weights is in memory at a time.
 *
 * A finished block is taken over from an interrupted run by running what it wrote.
 */
#ifndef GRAM_QUANT_BLOCKS_H
#define GRAM_QUANT_BLOCKS_H

#include "base/runtime.h"
#include "calib/observe.h"
#include "calib/runner.h"
#include "calib/stats_file.h"
#include "quant/job.h"
#include "quant/transform.h"
#include "quant/write.h"

/* A linear whose codes are chosen. */
struct gram_coding {
    struct gram_unit *unit;
    struct gram_problem problem;
    float *original; /* [rows][cols]: solvers overwrite their weights */
    struct gram_coded coded;
    struct gram_solution solution;
};

struct gram_blocks {
    struct quantize *q;
    struct gram_kernels kernels;
    struct gram_graph graph;
    struct gram_unit **units;      /* [slots]: what becomes of the slot */
    struct gram_binding *bindings; /* [slots] */
    float **values;                /* [slots]: those of the block at hand, or NULL */
    bool *is_bias;                 /* [slots], if biases are corrected: made with the linear beside it */
    const struct gram_observer *observer; /* of static activations */
    struct gram_checkpoint made;   /* the output so far */

    bool is_calibrated, spills;
    char folder[4096];             /* for activations that spill */
    struct gram_stats_file kept;  /* statistics come from here (kept.h); closed: the model is run */
    bool collects;                /* and the file is to be made first, of this model */
    char model_digest[GRAM_SHA256_HEX], kept_digest[GRAM_SHA256_HEX];
    struct gram_corpus corpus;
    struct gram_corpus share;     /* of it that this rank runs: all, for a process alone */
    struct gram_runner runner;
    struct gram_boundary boundary;
    struct gram_boundary wanted;      /* if drift is corrected: the same in the float model, */
    struct gram_binding *floats;      /* [slots], and the block of it */
    struct gram_boundary aims;     /* if blocks are learned: what should leave the block at hand, */
    struct gram_coding **held;     /* [slots], and codes that are not written yet */
    struct gram_front front, wanted_front; /* how far both have come in the block at hand */
    struct gram_spares spares;
    uint64_t linears, done;        /* for progress */

    struct gram_arena arena, block_arena, work_arena; /* of the job, the block, the linear at hand */
    struct gram_arena scratch;                        /* of a part of the work */
};

/* Does the recipe need this at all? Marks the units that are made in memory. */
bool gram_blocks_plan(struct quantize *q);

/* Is the text run through the model? */
static inline bool gram_blocks_runs(const struct gram_blocks *blocks)
{
    return blocks->is_calibrated || blocks->collects;
}

/* enum gram_need: what must be known of the inputs of a unit. */
unsigned gram_blocks_needs(const struct gram_blocks *blocks, const struct gram_unit *unit);

/* The slot of the bias that is corrected with the linear of `slot`; GRAM_NONE if there is none. */
int gram_blocks_bias_of(const struct gram_blocks *blocks, size_t slot);

/* Read the calibration text, refuse what cannot work; nothing is written. */
enum gram_status gram_blocks_open(struct gram_blocks *blocks, struct quantize *q,
                                  struct gram_error *err);
void gram_blocks_close(struct gram_blocks *blocks);

/* Open what running blocks takes; the output is open. */
enum gram_status gram_blocks_start(struct gram_blocks *blocks, struct gram_error *err);
/* Fill the boundary before the first block. */
enum gram_status gram_blocks_embed(struct gram_blocks *blocks, struct gram_error *err);
/* Done with the block at hand. */
void gram_blocks_forget(struct gram_blocks *blocks);
/* Give back what gram_blocks_start() opened. */
void gram_blocks_stop(struct gram_blocks *blocks);
/* Make every unit in memory that is not done. All others are written. */
enum gram_status gram_blocks_make(struct gram_blocks *blocks, struct gram_error *err);

/* ---- bind.c ---- */

/* Bind the slot to what was written of it, or to blocks->values. */
enum gram_status gram_blocks_bind_made(struct gram_blocks *blocks, size_t slot,
                                       struct gram_error *err);
enum gram_status gram_blocks_bind_floats(struct gram_blocks *blocks, size_t slot,
                                         struct gram_error *err);
/* Bind it to what the codes that are held stand for. */
enum gram_status gram_blocks_bind_held(struct gram_blocks *blocks, size_t slot, struct gram_error *err);
/* Read the slot's weights into blocks->values. GRAM_ENONFINITE names the place. */
enum gram_status gram_blocks_load(struct gram_blocks *blocks, size_t slot, struct gram_error *err);

/* ---- code_linear.c ---- */

/* Choose codes for the slot's values by its unit's method and write them; values are lost. stats may
 * be NULL. */
enum gram_status gram_blocks_code(struct gram_blocks *blocks, size_t slot,
                                  const struct gram_input_stats *stats, struct gram_error *err);
/* The same in two steps: choose, and keep in held[slot], values as they are; write, measured by stats. */
enum gram_status gram_blocks_hold(struct gram_blocks *blocks, size_t slot,
                                  const struct gram_input_stats *stats, struct gram_error *err);
enum gram_status gram_blocks_store(struct gram_blocks *blocks, size_t slot,
                                   const struct gram_input_stats *stats, struct gram_error *err);
/* Write the slot's values as a tensor of floats. */
enum gram_status gram_blocks_put_floats(struct gram_blocks *blocks, size_t slot,
                                        struct gram_error *err);

/* ---- learn_block.c ---- */

/* Run the block as it is bound, in floats: what should leave it. */
enum gram_status gram_blocks_aim(struct gram_blocks *blocks, const struct gram_block *block,
                                 struct gram_error *err);
/* Learn the codes that are held, and write them. */
enum gram_status gram_blocks_learn(struct gram_blocks *blocks, const struct gram_block *block,
                                   struct gram_error *err);

#endif
