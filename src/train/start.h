/* Training on a grid that begins where a method of quantization ended. */
#ifndef GRAM_TRAIN_START_H
#define GRAM_TRAIN_START_H

#include "train/learner.h"

/*
 * The quantized model at `path`, of the same shape as `ck`. Reset it with gram_checkpoint_reset() also after
 * a failure. GRAM_EINVAL, and what opening a model returns.
 */
enum gram_status gram_start_open(struct gram_checkpoint *start, const char *path,
                                 const struct gram_checkpoint *ck, struct gram_error *err);

/*
 * Codes and steps of that model, which has the learner's grids. Each weight begins at the value of its code:
 * where it was when the code was chosen may be just beside another code, which one step of training would
 * then take instead. What is trained without a grid is taken over as it is. GRAM_EINVAL when grids differ,
 * GRAM_ENOMEM.
 */
enum gram_status gram_start_from(struct gram_learner *learner, const struct gram_checkpoint *start,
                                 struct gram_error *err);

#endif
