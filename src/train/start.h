/* Training on a grid that begins where a method of quantization ended. */
#ifndef GRAM_TRAIN_START_H
#define GRAM_TRAIN_START_H

#include "train/learner.h"

/*
 * Codes and steps of the model at `path`, which was quantized by the learner's scheme: each weight moves as
 * little as it must to be rounded to its code. What is not on a grid is taken over as it is. GRAM_EINVAL when
 * shapes or grids differ, and what opening a model returns.
 */
enum gram_status gram_start_from(struct gram_learner *learner, const char *path,
                                 struct gram_error *err);

#endif
