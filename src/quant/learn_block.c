/*
 * Learning in the walk over blocks: the float block's outputs are kept before its linears are coded, codes
 * are held instead of written, learned together (reconstruct.h), and written with statistics of what
 * they read in the end.
 */
#include "quant/blocks.h"
#include "quant/reconstruct.h"

/* On the float model's inputs if they are at hand: then drift is made up for as well. */
enum gram_status gram_blocks_aim(struct gram_blocks *b, const struct gram_block *block,
                                 struct gram_error *err)
{
    return gram_runner_block(&b->runner, block, b->floats ? &b->wanted : &b->boundary, &b->aims, NULL, err);
}

static enum gram_status learn(struct gram_blocks *b, const struct gram_block *block,
                              struct gram_reconstructed *linears, int n, struct gram_error *err)
{
    struct gram_reconstruction_result result;
    const struct gram_reconstruction call = {
        .graph = &b->graph,
        .block = block,
        .bindings = b->bindings,
        .n_slots = b->q->ck.desc.n_slots,
        .kernels = &b->kernels,
        .pool = b->q->rt->pool,
        .corpus = &b->share,
        .inputs = &b->boundary,
        .targets = &b->aims,
        .linears = linears,
        .n = n,
        .epochs = b->q->options->learn_epochs,
        .seed = b->q->options->seed,
        .job = b->q->job,
    };
    return gram_reconstruct(&call, &result, err);
}

static enum gram_status learn_held(struct gram_blocks *b, const struct gram_block *block,
                                   struct gram_error *err)
{
    const size_t n_slots = b->q->ck.desc.n_slots;
    struct gram_reconstructed *linears = gram_arena_take(&b->block_arena, n_slots, sizeof *linears);
    int n = 0;

    if (!linears)
        return gram_fail_memory(err, "block reconstruction");
    for (size_t i = 0; i < n_slots; i++) {
        if (b->held[i])
            linears[n++] = (struct gram_reconstructed){(int)i, b->held[i]->original, &b->held[i]->coded};
    }
    if (n > 0)
        GRAM_TRY(learn(b, block, linears, n, err));
    for (size_t i = 0; i < n_slots; i++) {
        if (b->held[i])
            GRAM_TRY(gram_blocks_bind_held(b, i, err));
    }
    return GRAM_OK;
}

static unsigned held_needs(void *context, const struct gram_node *node)
{
    const struct gram_blocks *b = context;
    const int slot = node->params[0];

    if (slot == GRAM_NONE || !b->held[slot])
        return 0;
    return gram_blocks_needs(b, b->units[slot]) | GRAM_NEED_GRAM;
}

static enum gram_status store_held(struct gram_blocks *b, const struct gram_block *block,
                                   const struct gram_block_stats *stats, struct gram_error *err)
{
    for (int i = block->first; i < block->end; i++) {
        const struct gram_node *node = &b->graph.nodes[i];
        if (!held_needs(b, node))
            continue;
        GRAM_TRY(gram_blocks_store(b, (size_t)node->params[0], gram_block_stats_of(stats, node), err));
        GRAM_TRY(gram_blocks_bind_made(b, (size_t)node->params[0], err));
    }
    return GRAM_OK;
}

enum gram_status gram_blocks_learn(struct gram_blocks *b, const struct gram_block *block,
                                   struct gram_error *err)
{
    struct gram_block_stats stats = {0};

    GRAM_TRY(learn_held(b, block, err));
    enum gram_status status =
        gram_block_stats_open(&stats, &b->graph, block->first, block->end, held_needs, b, err);
    if (status == GRAM_OK)
        status = gram_runner_block(&b->runner, block, &b->boundary, NULL, &stats, err);
    if (status == GRAM_OK)
        status = store_held(b, block, &stats, err);
    gram_block_stats_reset(&stats);
    return status;
}
