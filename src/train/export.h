/*
 * What a training or a merge leaves: a model directory like any other, with the weights that moved.
 * Of a source that is quantized, the linears that move are laid out anew, and the others stay as
 * they are stored.
 */
#ifndef GRAM_TRAIN_EXPORT_H
#define GRAM_TRAIN_EXPORT_H

#include "base/runtime.h"
#include "quant/coded.h"
#include "quant/recipe.h"
#include "quant/sidecar.h"

struct gram_export {
    /* The source, borrowed, with a plain tensor for each linear that moves; its slots are copies where some
     * linears with codes stay. */
    struct gram_checkpoint ck;
    struct gram_store *store; /* of ck, if that is another than the source's */
    json_t *config;           /* the same */
    struct gram_output *output;
    struct gram_assignment *assigned; /* [slots] */
    struct gram_weight *weights; /* [slots]: of a quantized source, as they are; bits is 0: float */
    struct gram_layout layout;
    struct gram_written written;
    struct gram_arena arena;
};

/*
 * What becomes of every tensor: linears on the scheme's grid, or (NULL) all as they are stored. Of a
 * quantized source, moves[slots] says which linears get other values on their own grid; NULL: none, or with a
 * scheme all that have codes. like (NULL: none): a quantized model of the same shape, whose grids the linears
 * of a float source get, instead of a scheme's. Close it with gram_export_close(), also after a failure; `ck`
 * must outlive it. GRAM_EINVAL, GRAM_ENOMEM.
 */
enum gram_status gram_export_open(struct gram_export *export, const struct gram_checkpoint *ck,
                                  const char *scheme, const bool *moves,
                                  const struct gram_checkpoint *like, struct gram_error *err);
void gram_export_close(struct gram_export *export);

/* What a tensor becomes: codes on its grid, or floats; neither: it stays as it is. */
struct gram_export_values {
    const struct gram_coded *coded;
    const float *floats;
    float act_scale; /* of static activations; 0: as it was */
};
enum { GRAM_EXPORT_NO_SLOT = -1 }; /* a tensor that is no weight of the model, or a part of one */

/* The values of a unit, which must stay until the next call. slot: its number, or GRAM_EXPORT_NO_SLOT. */
typedef enum gram_status gram_export_fn(void *context, const struct gram_unit *unit, int64_t slot,
                                        struct gram_export_values *values, struct gram_error *err);

/* Weights, config.json, the tokenizer's files; all are listed in export->written. */
enum gram_status gram_export_model(struct gram_export *export, struct gram_output *output,
                                   struct gram_pool *pool, const struct gram_job *job,
                                   gram_export_fn *values, void *context, struct gram_error *err);

#endif
