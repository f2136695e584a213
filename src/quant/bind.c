/*
 * What stands behind the parameters of a block at work: floats in memory, or what was written, read back
 * through the container and packed as the engine packs it, so that calibration runs what users run.
 */
#include "engine/pack.h"
#include "quant/blocks.h"
#include "tensor/dtype.h"
#include "tensor/finite.h"

static enum gram_status bind_vector(struct gram_blocks *b, size_t slot, struct gram_error *err)
{
    struct gram_binding *binding = &b->bindings[slot];
    const struct gram_weight *w = &binding->weight;
    float *vector = gram_arena_take(&b->block_arena, (size_t)w->rows, sizeof *vector);

    if (!vector)
        return gram_fail_memory(err, b->q->ck.desc.slots[slot].op);
    gram_read_f32(vector, w->data, w->dtype, 0, w->rows);
    binding->vector = vector;
    return GRAM_OK;
}

static enum gram_status bind(struct gram_blocks *b, size_t slot, struct gram_error *err)
{
    const struct gram_weight_slot *at = &b->q->ck.desc.slots[slot];

    if (at->kind == GRAM_KIND_VECTOR)
        return bind_vector(b, slot, err);
    if (at->kind == GRAM_KIND_EMBEDDING)
        return GRAM_OK; /* its rows are looked up */
    return gram_binding_pack(&b->bindings[slot], b->q->rt, &b->block_arena, b->q->out, at->op, err);
}

/* The panels hold all that is multiplied. */
static void release_parts(const struct gram_blocks *b, const struct gram_unit *unit)
{
    for (int p = 0; p < GRAM_MAX_PARTS; p++) {
        const struct gram_tensor *t =
            gram_unit_has(unit, p) ? gram_store_find(b->made.store, unit->parts[p].name) : NULL;
        if (t && t->rank > 0)
            gram_store_release(b->made.store, t, 0, t->shape[0]);
    }
}

enum gram_status gram_blocks_bind_made(struct gram_blocks *b, size_t slot, struct gram_error *err)
{
    b->bindings[slot] = (struct gram_binding){0};
    GRAM_TRY(gram_checkpoint_bind(&b->made, &b->q->ck.desc.slots[slot], &b->block_arena,
                                  &b->bindings[slot].weight, err));
    GRAM_TRY(bind(b, slot, err));
    if (b->bindings[slot].int_panels.codes || b->bindings[slot].float_panels.data)
        release_parts(b, b->units[slot]);
    return GRAM_OK;
}

static enum gram_status bind_matrix(struct gram_blocks *b, size_t slot, const float *x,
                                    struct gram_error *err)
{
    const struct gram_weight_slot *at = &b->q->ck.desc.slots[slot];

    b->bindings[slot] = (struct gram_binding){
        .weight = {.rows = at->rows,
                   .cols = at->cols,
                   .data = x,
                   .row_bytes = at->cols * (int64_t)sizeof(float),
                   .dtype = GRAM_F32},
    };
    return bind(b, slot, err);
}

enum gram_status gram_blocks_bind_floats(struct gram_blocks *b, size_t slot, struct gram_error *err)
{
    return bind_matrix(b, slot, b->values[slot], err);
}

enum gram_status gram_blocks_bind_held(struct gram_blocks *b, size_t slot, struct gram_error *err)
{
    const struct gram_coded *c = &b->held[slot]->coded;
    float *x = gram_arena_take(&b->block_arena, (size_t)(c->rows * c->cols), sizeof *x);

    if (!x)
        return gram_fail_memory(err, b->units[slot]->slot->op);
    for (int64_t r = 0; r < c->rows; r++)
        gram_coded_row(c, r, x + r * c->cols);
    return bind_matrix(b, slot, x, err);
}

enum gram_status gram_blocks_load(struct gram_blocks *b, size_t slot, struct gram_error *err)
{
    const struct gram_tensor *source = b->units[slot]->source;
    const struct gram_piece whole = {.tensor = source, .data = source->data};
    const struct gram_writer writer = {.store = b->q->ck.store};
    float *x = gram_arena_take(&b->block_arena, (size_t)source->count, sizeof *x);

    if (!x)
        return gram_fail_memory(err, source->name);
    const int64_t bad = gram_find_nonfinite(source->data, source->dtype, source->count);
    if (bad < source->count)
        return gram_fail_nonfinite(&writer, &whole, bad,
                                   "; calibration needs numbers, so it cannot be allowed here", err);
    gram_read_f32(x, source->data, source->dtype, 0, source->count);
    if (source->rank > 0)
        gram_store_release(b->q->ck.store, source, 0, source->shape[0]);
    b->values[slot] = x;
    return GRAM_OK;
}
