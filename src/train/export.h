/* What a training leaves: a model directory like any other, with the weights that moved. */
#ifndef GRAM_TRAIN_EXPORT_H
#define GRAM_TRAIN_EXPORT_H

#include "quant/recipe.h"
#include "quant/sidecar.h"
#include "train/learner.h"

struct gram_export {
    const struct gram_checkpoint *ck;
    struct gram_output *output;
    struct gram_assignment *assigned; /* [slots] */
    struct gram_layout layout;
    struct gram_written written;
    struct gram_arena arena;
};

/* What becomes of every tensor: linears on the scheme's grid, or (NULL) all as they are stored. Close it with
 * gram_export_close(), also after a failure. GRAM_EINVAL, GRAM_ENOMEM. */
enum gram_status gram_export_open(struct gram_export *export, const struct gram_checkpoint *ck,
                                  const char *scheme, struct gram_error *err);
void gram_export_close(struct gram_export *export);

/* Weights, config.json, the tokenizer's files; all are listed in export->written. */
enum gram_status gram_export_model(struct gram_export *export, struct gram_output *output,
                                   const struct gram_learner *learner, const struct gram_job *job,
                                   struct gram_error *err);

#endif
