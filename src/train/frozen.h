/* A weight that does not move, as it is stored. */
#ifndef GRAM_TRAIN_FROZEN_H
#define GRAM_TRAIN_FROZEN_H

#include "engine/checkpoint.h"
#include "graph/exec.h"

/* Vectors become f32; memory comes from arena. GRAM_ENOMEM, and what gram_checkpoint_bind() returns. */
enum gram_status gram_bind_frozen(struct gram_binding *binding, const struct gram_checkpoint *ck,
                                  const struct gram_weight_slot *slot, struct gram_arena *arena,
                                  struct gram_error *err);

#endif
