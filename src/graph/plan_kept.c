/*
 * Two places take turns as a block's input and output; behind them lie the values of the block at
 * work.
 *
 *     | output of blocks 1, 3, .. and of what precedes block 0 | output of blocks 0, 2, .. | inside
 * |
 */
#include "base/checked.h"
#include "graph/plan.h"

enum { ALIGN = 16 }; /* floats: one cache line */

static int64_t padded(int64_t cols)
{
    return gram_ceil_div(cols, ALIGN) * ALIGN;
}

/* Place the values of nodes [first, end) from `begin` on, but `apart`; where they end. */
static int64_t place_inside(const struct gram_graph *g, int first, int end, int apart,
                            int64_t begin, int64_t *offsets)
{
    for (int i = first; i < end; i++) {
        const int v = g->nodes[i].output;
        if (v == apart || v == g->result)
            continue;
        offsets[v] = begin;
        begin += padded(g->values[v].cols);
    }
    return begin;
}

int64_t gram_plan_kept(const struct gram_graph *g, int64_t *offsets)
{
    const int first = g->n_blocks > 0 ? g->blocks[0].first : 0;
    int64_t wide = 0, total = 0;
    int end = first;

    for (int b = 0; b < g->n_blocks; b++)
        wide = gram_max_i64(wide, padded(g->values[g->blocks[b].output].cols));
    offsets[g->result] = GRAM_NONE;
    total = place_inside(g, 0, first, first > 0 ? g->nodes[first - 1].output : GRAM_NONE, 2 * wide,
                         offsets);
    if (first > 0)
        offsets[g->nodes[first - 1].output] = 0;
    for (int b = 0; b < g->n_blocks; b++) {
        const struct gram_block *block = &g->blocks[b];
        offsets[block->output] = b % 2 == 0 ? wide : 0;
        total = gram_max_i64(
            total, place_inside(g, block->first, block->end, block->output, 2 * wide, offsets));
        end = block->end;
    }
    return gram_max_i64(total, place_inside(g, end, g->n_nodes, GRAM_NONE, 2 * wide, offsets));
}

int64_t gram_plan_whole(const struct gram_graph *g, int64_t *offsets)
{
    offsets[g->result] = GRAM_NONE;
    return place_inside(g, 0, g->n_nodes, GRAM_NONE, 0, offsets);
}
