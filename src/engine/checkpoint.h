/*
 * A model directory opened and understood, but not bound to kernels: what inspect, check and quantize
 * need, and what the engine starts from.
 */
#ifndef GRAM_ENGINE_CHECKPOINT_H
#define GRAM_ENGINE_CHECKPOINT_H

#include "arch/arch.h"
#include "formats/container.h"
#include "formats/store.h"

struct gram_checkpoint {
    char *path;          /* directory, after the hub lookup */
    char *config_path;
    json_t *config;
    struct gram_store *store;
    struct gram_arena arena;
    struct gram_model_desc desc;
    const struct gram_container *container; /* NULL: no quantization_config */
    void *container_state;
};

/* path as gram_model_open() takes it. Checks that every weight is there with its shape. Release with
 * gram_checkpoint_reset(), also after a failure. */
enum gram_status gram_checkpoint_open(struct gram_checkpoint *ck, const char *path,
                                      struct gram_error *err);
/* The same without looking for the weights: of a folder that is still being filled. */
enum gram_status gram_checkpoint_open_unfinished(struct gram_checkpoint *ck, const char *path,
                                                 struct gram_error *err);
void gram_checkpoint_reset(struct gram_checkpoint *ck);

/* The plain tensor of a slot (by name or alias); NULL if it is not stored plainly. */
const struct gram_tensor *gram_checkpoint_tensor(const struct gram_checkpoint *ck,
                                                 const struct gram_weight_slot *slot);
/* The elements [rows][cols] of a slot that is stored plainly. */
enum gram_status gram_checkpoint_read(const struct gram_checkpoint *ck,
                                      const struct gram_weight_slot *slot, float *to,
                                      struct gram_error *err);
/* The slot as a weight, dense or quantized; repacked parts live in `arena`. */
enum gram_status gram_checkpoint_bind(const struct gram_checkpoint *ck,
                                      const struct gram_weight_slot *slot, struct gram_arena *arena,
                                      struct gram_weight *w, struct gram_error *err);

#endif
