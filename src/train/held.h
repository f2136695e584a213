/*
 * A quantized linear whose codes stay and whose steps are learned, by their logarithms: PEQA (Kim et al.
 * 2023), and the second half of EfficientQAT (Chen et al. 2024, E2E-QP). Codes stay packed as they are
 * stored; zero points stay too.
 */
#ifndef GRAM_TRAIN_HELD_H
#define GRAM_TRAIN_HELD_H

#include "base/arena.h"
#include "base/pool.h"
#include "engine/checkpoint.h"
#include "kernels/kernels.h"

struct gram_held {
    struct gram_weight weight;       /* the codes as they are stored, with the steps as of the last fill */
    const struct gram_tensor *stored; /* where the file has the steps */
    float *scales;                   /* [n_steps]: of the last fill, values of the stored type */
    float *first;                    /* [n_steps]: as they are stored */
    float *logs, *g_logs;            /* [n_steps]: log(step / first step), and d loss / d it */
    double *row_sums;                /* [rows] */
    int64_t n_steps;
    float share;                     /* of the gradient of a step: LSQ's 1 / sqrt(weights * greatest code) */
};

/* w: of the slot `name`, as gram_checkpoint_bind() gives it. GRAM_EUNSUPPORTED when its steps are not stored
 * one by one, GRAM_ENOMEM. */
enum gram_status gram_held_open(struct gram_held *held, const struct gram_checkpoint *ck,
                                const struct gram_weight *w, const char *name,
                                struct gram_arena *arena, struct gram_error *err);

/* Steps from the logs. */
void gram_held_fill(struct gram_held *held);
/* g[rows][cols] is d loss / d W; g_logs is added to. */
void gram_held_pull(struct gram_held *held, const float *g, const struct gram_kernels *kernels,
                    struct gram_pool *pool);

#endif
