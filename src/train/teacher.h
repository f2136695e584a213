/*
 * The model that a training holds its own against: another one, or the unquantized one itself, whose weights
 * stay as they are stored. Of the sequences of a pass it gives logits, and what leaves each block.
 */
#ifndef GRAM_TRAIN_TEACHER_H
#define GRAM_TRAIN_TEACHER_H

#include "base/runtime.h"
#include "engine/checkpoint.h"
#include "train/stepper.h"

struct gram_teacher {
    struct gram_checkpoint own;       /* of a model of its own */
    const struct gram_checkpoint *ck; /* own, or the caller's */
    struct gram_graph graph;
    struct gram_kernels kernels;
    struct gram_binding *bindings;
    struct gram_exec exec;
    struct gram_kv *caches;             /* [sequences] */
    struct gram_exec_segment *segments; /* [sequences] */
    float *logits;                      /* [rows][vocab] of the last pass; the caller may write to them */
    float **blocks;                     /* [blocks]: what left each, [rows][hidden]; NULL: not kept */
    struct gram_stepper_limits limits;
    struct gram_arena arena;
};

/*
 * path: a model, or NULL for ck itself, which must outlive it. keeps_blocks: fill `blocks`. Close it also
 * after a failure. GRAM_EINVAL when its logits (or, with keeps_blocks, its blocks) are not those of ck's
 * shape, GRAM_ENOMEM, and what opening a model returns.
 */
enum gram_status gram_teacher_open(struct gram_teacher *teacher, struct gram_runtime *rt,
                                   const struct gram_checkpoint *ck, const char *path,
                                   bool keeps_blocks, struct gram_stepper_limits limits,
                                   struct gram_error *err);
void gram_teacher_close(struct gram_teacher *teacher);

/* Logits of all tokens, and what left the blocks. */
void gram_teacher_run(struct gram_teacher *teacher, const struct gram_sequences *sequences);

#endif
