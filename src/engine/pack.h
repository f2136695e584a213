/* Repacking linears into panels when a model is opened. */
#ifndef GRAM_ENGINE_PACK_H
#define GRAM_ENGINE_PACK_H

#include "engine/model.h"

/*
 * Give every linear of the model its panels, in parallel, and let go of the mapped pages that they were
 * made from. Codes are repacked for integer activations where their scheme has them, or where the runtime
 * gives them to weight-only codes. With cache_packed the block of panels is mapped from a file, or written to
 * one (packed.h). Returns GRAM_OK, GRAM_EUNSUPPORTED (int8 activations with groups that no
 * kernel multiplies), GRAM_ENOMEM.
 */
enum gram_status gram_model_pack(struct gram_model *model, struct gram_error *err);
/* The same for one linear; its panels come from `arena`. `where` and `name` are for sentences. */
enum gram_status gram_binding_pack(struct gram_binding *binding, const struct gram_runtime *rt,
                                   struct gram_arena *arena, const char *where, const char *name,
                                   struct gram_error *err);
/* Let go of the panels. */
void gram_model_unpack(struct gram_model *model);

#endif
