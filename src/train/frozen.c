#include "train/frozen.h"

#include "tensor/dtype.h"

enum gram_status gram_bind_frozen(struct gram_binding *binding, const struct gram_checkpoint *ck,
                                  const struct gram_weight_slot *slot, struct gram_arena *arena,
                                  struct gram_error *err)
{
    struct gram_weight *w = &binding->weight;

    GRAM_TRY(gram_checkpoint_bind(ck, slot, arena, w, err));
    if (slot->kind != GRAM_KIND_VECTOR)
        return GRAM_OK;
    float *vector = gram_arena_take(arena, (size_t)w->rows, sizeof *vector);
    if (!vector)
        return gram_fail_memory(err, slot->op);
    gram_read_f32(vector, w->data, w->dtype, 0, w->rows);
    binding->vector = vector;
    return GRAM_OK;
}
