/*
 * Containers: how quantized linears are laid out in a model directory. One row per container; knows tensors
 * and config.json's quantization_config, nothing of architectures.
 */
#ifndef GRAM_FORMATS_CONTAINER_H
#define GRAM_FORMATS_CONTAINER_H

#include "base/arena.h"
#include "base/json.h"
#include "formats/store.h"
#include "tensor/weight.h"

enum { GRAM_MAX_PARTS = 6 }; /* tensors of one linear, in any container; part 0 is its codes */

struct gram_container {
    const char *name; /* the quant_method of config.json */
    /* Check quantization_config and prepare; *state lives in arena. */
    enum gram_status (*open)(const json_t *config, const char *where, struct gram_arena *arena,
                             void **state, struct gram_error *err);
    /*
     * Fill *w with the linear called `module` ("model.layers.0.mlp.up_proj") of shape [rows, cols] if this
     * container holds it quantized, and set *found; leave *found false if it is stored as a plain
     * <module>.weight. What cannot be used in place is repacked into `arena`.
     */
    enum gram_status (*bind)(const void *state, const struct gram_store *store, const char *module,
                             int64_t rows, int64_t cols, struct gram_arena *arena,
                             struct gram_weight *w, bool *found, struct gram_error *err);
};

/* The container that quantization_config names; NULL for a quant_method we do not know. */
const struct gram_container *gram_container_find(const char *quant_method);

/*
 * A plain tensor as a weight: [rows, cols] exactly, floating; an element type that no kernel reads or a
 * misaligned one is converted or copied into arena.
 */
enum gram_status gram_dense_bind(const struct gram_store *store, const struct gram_tensor *tensor,
                                 int64_t rows, int64_t cols, struct gram_arena *arena,
                                 struct gram_weight *w, struct gram_error *err);

#endif
