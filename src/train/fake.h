/*
 * Fake quantization: in training, a linear is multiplied by what the grid has nearest to its weights, and
 * gradients pass through the rounding as if it were not there (the straight-through estimator, Bengio et al.
 * 2013). The steps of the grid are learned too (LSQ, Esser et al. 2020), by their logarithms, so that one
 * learning rate fits steps of every size.
 */
#ifndef GRAM_TRAIN_FAKE_H
#define GRAM_TRAIN_FAKE_H

#include "base/error.h"
#include "base/pool.h"
#include "quant/coded.h"

struct gram_fake {
    struct gram_coded coded;     /* as of the last fill */
    const float *w;              /* [rows][cols]: the caller's */
    float *quantized;            /* [rows][cols]: what the linear is multiplied by */
    float *logs, *g_logs;        /* [n_steps]: log(step / first step), and d loss / d it */
    float *first;                /* [n_steps]: steps at the start, those of least squared error */
    float low, high;             /* what lies beyond, over the step and with its zero point, is cut off */
    double *row_logs;            /* [rows]: sums over a row, when there is one step for all */
    int64_t n_steps;
    float share;                 /* of the gradient of a step: LSQ's 1 / sqrt(weights * greatest code) */
};

/* grid, span and is_one as gram_coded_open() takes them. Memory comes from `arena`. GRAM_ENOMEM. */
enum gram_status gram_fake_open(struct gram_fake *fake, const struct gram_grid *grid, int64_t rows,
                                int64_t cols, int64_t span, bool is_one, const float *w,
                                struct gram_pool *pool, struct gram_arena *arena,
                                struct gram_error *err);

/* The same in two parts: room, and the beginning, when coded.steps are what they begin with. */
enum gram_status gram_fake_place(struct gram_fake *fake, const struct gram_grid *grid, int64_t rows,
                                 int64_t cols, int64_t span, bool is_one, struct gram_arena *arena,
                                 struct gram_error *err);
void gram_fake_begin(struct gram_fake *fake, const float *w);

/* The same from codes and steps that were chosen before, of w that rounds to them. */
enum gram_status gram_fake_resume(struct gram_fake *fake, const struct gram_coded *from, const float *w,
                                  struct gram_arena *arena, struct gram_error *err);

/* Steps from the logs, codes and quantized from w. */
void gram_fake_fill(struct gram_fake *fake, struct gram_pool *pool);
/* g[rows][cols] is d loss / d quantized and becomes d loss / d w; g_logs is added to. */
void gram_fake_pull(struct gram_fake *fake, float *g, struct gram_pool *pool);

#endif
