/* Pieces that the builders of several families share. */
#include <stdio.h>

#include "arch/arch_table.h"

const char *gram_block_name(struct gram_block_builder *b, const char *op)
{
    if (b->layer < 0)
        return op;
    snprintf(b->name, sizeof b->name, "layers.%d.%s", b->layer, op);
    return b->name;
}

int gram_block_linear(struct gram_block_builder *b, const char *op, int x, enum gram_role weight,
                      enum gram_role bias)
{
    const int w = gram_slot_find(b->desc, weight, b->layer);
    return gram_build_linear(b->g, gram_block_name(b, op), x, w,
                             gram_slot_find(b->desc, bias, b->layer), b->desc->slots[w].rows);
}

int gram_block_layernorm(struct gram_block_builder *b, const char *op, int x, enum gram_role weight,
                         enum gram_role bias)
{
    return gram_build_layernorm(b->g, gram_block_name(b, op), x,
                                gram_slot_find(b->desc, weight, b->layer),
                                gram_slot_find(b->desc, bias, b->layer), b->desc->hp.norm_eps);
}

int gram_block_mlp(struct gram_block_builder *b, int x)
{
    x = gram_block_linear(b, "mlp.up", x, GRAM_W_UP, GRAM_W_UP_BIAS);
    x = gram_build_activate(b->g, gram_block_name(b, "mlp.act"), x, b->desc->hp.activation);
    return gram_block_linear(b, "mlp.down", x, GRAM_W_DOWN, GRAM_W_DOWN_BIAS);
}
