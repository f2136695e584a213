/* Statistics of a block: one entry for each value that linears read. */
#include "calib/runner.h"
#include "base/checked.h"
#include "graph/op.h"

static struct gram_stats_slot *slot_of(const struct gram_block_stats *stats, int value)
{
    for (int i = 0; i < stats->n; i++) {
        if (stats->slots[i].value == value)
            return &stats->slots[i];
    }
    return NULL;
}

/* One slot per value, with the needs of all linears that read it. */
static void list_slots(struct gram_block_stats *stats, int first, int end,
                       unsigned (*needs)(void *context, const struct gram_node *node),
                       void *context)
{
    for (int i = first; i < end; i++) {
        const struct gram_node *node = &stats->graph->nodes[i];
        const unsigned wanted =
            node->op->forward == gram_linear_forward ? needs(context, node) : 0;
        if (!wanted)
            continue;
        struct gram_stats_slot *slot = slot_of(stats, node->inputs[0]);
        if (!slot) {
            slot = &stats->slots[stats->n++];
            *slot = (struct gram_stats_slot){.value = node->inputs[0], .node = i};
        }
        slot->stats.needs |= wanted;
    }
}

enum gram_status gram_block_stats_open(struct gram_block_stats *stats, const struct gram_graph *graph,
                                       int first, int end,
                                       unsigned (*needs)(void *context, const struct gram_node *node),
                                       void *context, struct gram_error *err)
{
    *stats = (struct gram_block_stats){.graph = graph};
    stats->slots = gram_arena_take(&stats->arena, (size_t)(end - first), sizeof *stats->slots);
    if (stats->slots)
        list_slots(stats, first, end, needs, context);
    bool ok = stats->slots != NULL;
    for (int i = 0; ok && i < stats->n; i++) {
        struct gram_stats_slot *slot = &stats->slots[i];
        ok = gram_stats_open(&slot->stats, slot->stats.needs, graph->values[slot->value].cols,
                             &stats->arena);
    }
    if (ok)
        return GRAM_OK;
    gram_block_stats_reset(stats);
    return gram_fail_memory(err, "calibration statistics");
}

const struct gram_input_stats *gram_block_stats_of(const struct gram_block_stats *stats,
                                                   const struct gram_node *node)
{
    const struct gram_stats_slot *slot = slot_of(stats, node->inputs[0]);
    return slot ? &slot->stats : NULL;
}

enum gram_status gram_block_stats_want(struct gram_block_stats *stats, const struct gram_front *floats,
                                       int64_t longest, struct gram_error *err)
{
    int64_t most = 0;

    for (int i = 0; i < stats->n; i++)
        most = gram_max_i64(most, stats->slots[i].stats.cols);
    stats->floats = floats;
    stats->wanted = gram_arena_take(&stats->arena, (size_t)(longest * most), sizeof *stats->wanted);
    return stats->wanted ? GRAM_OK : gram_fail_memory(err, "calibration statistics");
}

enum gram_status gram_block_stats_close(struct gram_block_stats *stats, struct gram_comm *comm,
                                        const struct gram_job *job, struct gram_error *err)
{
    for (int i = 0; stats && i < stats->n; i++) {
        gram_stats_close(&stats->slots[i].stats);
        GRAM_TRY(gram_stats_share(&stats->slots[i].stats, comm, job, err));
    }
    return GRAM_OK;
}

void gram_block_stats_reset(struct gram_block_stats *stats)
{
    gram_arena_reset(&stats->arena);
    *stats = (struct gram_block_stats){0};
}
