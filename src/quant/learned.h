/*
 * A linear whose codes move: the weights in front of rounding, in steps of their grid, so that one learning
 * rate fits all of them, and the steps (train/fake.h). A weight starts where it was, or, if a method has
 * chosen another code for it, at the end of that code's interval: the first pass has the codes that came.
 */
#ifndef GRAM_QUANT_LEARNED_H
#define GRAM_QUANT_LEARNED_H

#include "train/fake.h"

struct gram_learned {
    struct gram_fake fake;
    float *place, *g_place; /* [rows][cols]: the weight in steps; d loss / d it */
    float *w;               /* [rows][cols]: the weight */
};

/* From codes of w[rows][cols] on a grid of integers. Memory comes from `arena`. GRAM_ENOMEM. */
enum gram_status gram_learned_open(struct gram_learned *learned, const struct gram_coded *from,
                                   const float *w, struct gram_arena *arena, struct gram_error *err);

/* fake.quantized follows the places and the logs of the steps. */
void gram_learned_fill(struct gram_learned *learned, struct gram_pool *pool);
/* g_place is d loss / d quantized, and becomes d loss / d place. */
void gram_learned_pull(struct gram_learned *learned, struct gram_pool *pool);
/* Codes and steps of the last fill, to those of the same grid. */
void gram_learned_keep(const struct gram_learned *learned, struct gram_coded *to);

#endif
