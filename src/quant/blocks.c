/* The walk over the blocks; the idea is in the header. */
#include "quant/blocks.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "quant/kept.h"

/* ---- who is made in memory ---- */

/* Tables of values have no steps that weights could be learned in. */
static bool is_learned(const struct quantize *q, const struct gram_unit *unit)
{
    return q->options->learn_epochs > 0 && unit->slot->layer >= 0 && !unit->how.scheme.codebook;
}

static bool is_in_memory(const struct quantize *q, const struct gram_unit *unit)
{
    if (!unit->slot)
        return false;
    if (unit->how.scheme.kind == GRAM_SCHEME_CODES &&
        (unit->how.scheme.is_static || !gram_method_streams(unit->how.method) ||
         is_learned(q, unit) || (q->options->correct_bias && unit->slot->layer >= 0)))
        return true;
    return q->transform && (unit->slot->layer >= 0 || q->transform->rewrites_outside);
}

bool gram_blocks_plan(struct quantize *q)
{
    bool any = false;

    for (int64_t i = 0; i < q->layout.n_units; i++) {
        struct gram_unit *unit = &q->layout.units[i];
        unit->is_in_memory = is_in_memory(q, unit);
        any |= unit->is_in_memory;
    }
    return any;
}

/* ---- one block ---- */

/* Slots of a layer follow each other; -1 stands for those outside. */
static bool is_of(const struct gram_blocks *b, size_t slot, int layer)
{
    return b->q->ck.desc.slots[slot].layer == layer && b->units[slot];
}

static bool has_codes(const struct gram_unit *unit)
{
    return unit->how.scheme.kind == GRAM_SCHEME_CODES;
}

static bool is_done(const struct gram_blocks *b, int layer)
{
    for (size_t i = 0; i < b->q->ck.desc.n_slots; i++) {
        if (is_of(b, i, layer) && !b->units[i]->result.is_done)
            return false;
    }
    return true;
}

static enum gram_status bind_all_made(struct gram_blocks *b, int layer, struct gram_error *err)
{
    for (size_t i = 0; i < b->q->ck.desc.n_slots; i++) {
        if (is_of(b, i, layer))
            GRAM_TRY(gram_blocks_bind_made(b, i, err));
    }
    return GRAM_OK;
}

/* What is written already is bound as it is, all else as floats. */
static enum gram_status load_all(struct gram_blocks *b, int layer, struct gram_error *err)
{
    for (size_t i = 0; i < b->q->ck.desc.n_slots; i++) {
        if (!is_of(b, i, layer))
            continue;
        GRAM_TRY(gram_stream_poll(&b->q->stream, err));
        if (b->units[i]->is_in_memory)
            GRAM_TRY(gram_blocks_load(b, i, err));
        if (!b->is_calibrated)
            continue;
        GRAM_TRY(b->units[i]->is_in_memory ? gram_blocks_bind_floats(b, i, err)
                                           : gram_blocks_bind_made(b, i, err));
    }
    return GRAM_OK;
}

/* A stage: the linears whose statistics are collected together. */
struct stage {
    const struct gram_blocks *blocks;
    int value; /* that they read; GRAM_NONE: all of the block */
};

static bool takes_part(const struct stage *stage, const struct gram_node *node)
{
    const int slot = node->params[0];
    const struct gram_unit *unit = slot == GRAM_NONE ? NULL : stage->blocks->units[slot];

    return unit && unit->is_in_memory && has_codes(unit) &&
           unit->slot->kind == GRAM_KIND_LINEAR &&
           (stage->value == GRAM_NONE || stage->value == node->inputs[0]);
}

/* X'X of every linear, also where the method does without: it is what the output error is measured with. */
static unsigned stage_needs(void *context, const struct gram_node *node)
{
    const struct stage *stage = context;

    if (!takes_part(stage, node))
        return 0;
    return gram_blocks_needs(stage->blocks, stage->blocks->units[node->params[0]]) | GRAM_NEED_GRAM |
           (stage->blocks->floats ? GRAM_NEED_DRIFT : 0u) |
           (stage->blocks->is_bias ? GRAM_NEED_MEAN : 0u);
}

static unsigned transform_needs(void *context, const struct gram_node *node)
{
    const struct gram_blocks *b = context;
    const int slot = node->params[0];
    const bool is_linear =
        slot != GRAM_NONE && b->q->ck.desc.slots[slot].kind == GRAM_KIND_LINEAR;
    return is_linear ? b->q->transform->needs : 0;
}

static void report(struct gram_blocks *b, const char *item)
{
    const struct gram_job *job = b->q->job;
    const struct gram_progress progress = {
        .stage = "quantize", .item = item, .done = b->done, .total = b->linears, .unit = "linears"};
    if (job && job->progress)
        job->progress(job->user, &progress);
}

static enum gram_status code_slot(struct gram_blocks *b, size_t slot,
                                  const struct gram_input_stats *stats, struct gram_error *err)
{
    GRAM_TRY(gram_stream_poll(&b->q->stream, err));
    report(b, b->units[slot]->slot->op);
    b->done++;
    if (b->held && is_learned(b->q, b->units[slot])) {
        GRAM_TRY(gram_blocks_hold(b, slot, stats, err));
        return gram_blocks_bind_held(b, slot, err);
    }
    GRAM_TRY(gram_blocks_code(b, slot, stats, err));
    const int bias = gram_blocks_bias_of(b, slot);
    if (bias != GRAM_NONE) {
        GRAM_TRY(gram_blocks_put_floats(b, (size_t)bias, err));
        GRAM_TRY(gram_blocks_bind_made(b, (size_t)bias, err));
    }
    return b->is_calibrated ? gram_blocks_bind_made(b, slot, err) : GRAM_OK;
}

static enum gram_status code_stage(struct gram_blocks *b, const struct gram_block *block,
                                   const struct stage *stage, const struct gram_block_stats *stats,
                                   struct gram_error *err)
{
    for (int n = block->first; n < block->end; n++) {
        const struct gram_node *node = &b->graph.nodes[n];
        if (!takes_part(stage, node))
            continue;
        struct gram_input_stats kept;
        const bool is_kept = b->kept.store && !b->q->transform;
        if (is_kept)
            GRAM_TRY(gram_kept_find(b, block, node, stage_needs((void *)(uintptr_t)stage, node), &kept, err));
        GRAM_TRY(code_slot(b, (size_t)node->params[0],
                           is_kept ? &kept
                           : stats ? gram_block_stats_of(stats, node)
                                   : NULL,
                           err));
    }
    return GRAM_OK;
}

/* ---- the float model beside it ---- */

static void swap_bindings(struct gram_blocks *b)
{
    for (size_t i = 0; i < b->q->ck.desc.n_slots; i++) {
        const struct gram_binding made = b->bindings[i];
        b->bindings[i] = b->floats[i];
        b->floats[i] = made;
    }
}

/* The front stands at the beginning of the block. */
static enum gram_status enter(struct gram_blocks *b, struct gram_front *front, const struct gram_block *block,
                              const struct gram_boundary *entry, struct gram_error *err)
{
    gram_front_close(front);
    *front = (struct gram_front){
        .graph = &b->graph,
        .block = block,
        .tokens = b->share.tokens,
        .spills = b->spills,
        .folder = b->folder,
        .spares = &b->spares,
    };
    return gram_front_open(front, entry, err);
}

/* Both go on to node `to`. */
static enum gram_status advance(struct gram_blocks *b, int to, struct gram_block_stats *stats,
                                struct gram_error *err)
{
    if (b->floats) {
        swap_bindings(b);
        const enum gram_status status = gram_runner_advance(&b->runner, &b->wanted_front, to, NULL, err);
        swap_bindings(b);
        GRAM_TRY(status);
    }
    return gram_runner_advance(&b->runner, &b->front, to, stats, err);
}

/* Both go on to the next block. */
static enum gram_status leave(struct gram_blocks *b, struct gram_error *err)
{
    if (b->floats) {
        swap_bindings(b);
        const enum gram_status status = gram_runner_leave(&b->runner, &b->wanted_front, &b->wanted, err);
        swap_bindings(b);
        GRAM_TRY(status);
    }
    return gram_runner_leave(&b->runner, &b->front, &b->boundary, err);
}

/* ---- stages ---- */

static enum gram_status open_stats(struct gram_blocks *b, const struct gram_block *block,
                                   struct stage *stage, struct gram_block_stats *stats,
                                   struct gram_error *err)
{
    GRAM_TRY(gram_block_stats_open(stats, &b->graph, block->first, block->end, stage_needs, stage, err));
    return b->floats ? gram_block_stats_want(stats, &b->wanted_front, gram_corpus_longest(&b->share), err)
                     : GRAM_OK;
}

static enum gram_status close_stats(const struct gram_blocks *b, struct gram_block_stats *stats,
                                    struct gram_error *err)
{
    return gram_block_stats_close(stats, b->runner.comm, b->q->job, err);
}

/* The next node from n on that reads what no linear before it has read, and is to be coded. */
static int next_stage(struct stage *stage, const struct gram_block *block, int n)
{
    const struct gram_node *nodes = stage->blocks->graph.nodes;
    const struct stage all = {stage->blocks, GRAM_NONE};

    while (n < block->end && (nodes[n].inputs[0] == stage->value || !takes_part(&all, &nodes[n])))
        n++;
    stage->value = n < block->end ? nodes[n].inputs[0] : GRAM_NONE;
    return n;
}

/* Linears that are computed together are not parted. */
static int cut_before(const struct gram_blocks *b, int n)
{
    while (b->graph.nodes[n].run == 0)
        n--;
    return n;
}

/* Sequential: value by value, in the order of the graph, so that what a linear reads has gone through those
 * before it as they will be. */
static enum gram_status make_in_turn(struct gram_blocks *b, const struct gram_block *block,
                                     struct gram_error *err)
{
    struct stage stage = {b, GRAM_NONE};

    for (int n = next_stage(&stage, block, block->first); n < block->end; n = next_stage(&stage, block, n)) {
        struct gram_block_stats stats = {0};
        enum gram_status status = open_stats(b, block, &stage, &stats, err);
        if (status == GRAM_OK)
            status = advance(b, cut_before(b, n), &stats, err);
        if (status == GRAM_OK)
            status = close_stats(b, &stats, err);
        if (status == GRAM_OK)
            status = code_stage(b, block, &stage, &stats, err);
        gram_block_stats_reset(&stats);
        GRAM_TRY(status);
    }
    return GRAM_OK;
}

/* All linears see the block as it was. */
static enum gram_status make_at_once(struct gram_blocks *b, const struct gram_block *block,
                                     struct gram_error *err)
{
    struct stage all = {b, GRAM_NONE}, stage = all;
    struct gram_block_stats stats = {0};
    enum gram_status status = open_stats(b, block, &all, &stats, err);

    for (int n = next_stage(&stage, block, block->first); status == GRAM_OK && n < block->end;
         n = next_stage(&stage, block, n))
        status = advance(b, cut_before(b, n), &stats, err);
    if (status == GRAM_OK)
        status = close_stats(b, &stats, err);
    if (status == GRAM_OK)
        status = code_stage(b, block, &all, &stats, err);
    gram_block_stats_reset(&stats);
    return status == GRAM_OK ? enter(b, &b->front, block, &b->boundary, err) : status;
}

static enum gram_status make_stages(struct gram_blocks *b, const struct gram_block *block,
                                    struct gram_error *err)
{
    const struct stage all = {b, GRAM_NONE};

    if (!b->is_calibrated)
        return code_stage(b, block, &all, NULL, err);
    return b->q->options->sequential ? make_in_turn(b, block, err) : make_at_once(b, block, err);
}

/* ---- transforms ---- */

/* The rewritten floats: what stays float is written, the rest is bound anew. */
static enum gram_status settle_floats(struct gram_blocks *b, int layer, struct gram_error *err)
{
    for (size_t i = 0; i < b->q->ck.desc.n_slots; i++) {
        if (!is_of(b, i, layer) || !b->units[i]->is_in_memory)
            continue;
        if (!has_codes(b->units[i]) && !(b->is_bias && b->is_bias[i])) {
            GRAM_TRY(gram_blocks_put_floats(b, i, err));
            if (b->is_calibrated)
                GRAM_TRY(gram_blocks_bind_made(b, i, err));
        } else if (b->is_calibrated) {
            GRAM_TRY(gram_blocks_bind_floats(b, i, err));
        }
    }
    return GRAM_OK;
}

/* In place of a run over the text. */
static enum gram_status take_kept(const struct gram_blocks *b, const struct gram_block *block,
                                  struct gram_block_stats *stats, struct gram_error *err)
{
    for (int i = 0; i < stats->n; i++) {
        struct gram_input_stats *s = &stats->slots[i].stats;
        GRAM_TRY(gram_kept_find(b, block, &b->graph.nodes[stats->slots[i].node], s->needs, s, err));
    }
    return GRAM_OK;
}

static enum gram_status keep_note(struct gram_blocks *b, int layer, const char *note, struct gram_error *err)
{
    snprintf(b->q->layout.notes[layer], sizeof b->q->layout.notes[layer], "%s", note);
    return gram_journal_add_note(b->q->output, layer, note, err);
}

static enum gram_status transform(struct gram_blocks *b, int layer, const struct gram_block *block,
                                  struct gram_error *err)
{
    const struct gram_transform *t = b->q->transform;
    struct gram_weights weights = {&b->q->ck.desc, b->values};
    struct gram_block_stats stats = {0};
    struct gram_transform_call call = {
        .weights = &weights,
        .layer = layer,
        .graph = &b->graph,
        .block = block,
        .assigned = b->q->assigned,
        .options = &b->q->transform_options,
        .pool = b->q->rt->pool,
    };
    enum gram_status status = GRAM_OK;

    if (block && t->needs) {
        status = gram_block_stats_open(&stats, &b->graph, block->first, block->end,
                                       transform_needs, b, err);
        if (status == GRAM_OK)
            status = b->kept.store ? take_kept(b, block, &stats, err)
                                   : gram_runner_block(&b->runner, block, &b->boundary, NULL, &stats, err);
        call.stats = &stats;
    }
    if (status == GRAM_OK)
        status = t->apply(&call, err);
    gram_block_stats_reset(&stats);
    if (status == GRAM_OK && layer >= 0)
        status = keep_note(b, layer, call.note, err);
    return status == GRAM_OK ? settle_floats(b, layer, err) : status;
}

/* ---- the walk ---- */

static void keep_floats(struct gram_blocks *b)
{
    if (b->floats)
        memcpy(b->floats, b->bindings, b->q->ck.desc.n_slots * sizeof *b->floats);
}

void gram_blocks_forget(struct gram_blocks *b)
{
    memset(b->values, 0, b->q->ck.desc.n_slots * sizeof *b->values);
    if (b->held)
        memset(b->held, 0, b->q->ck.desc.n_slots * sizeof *b->held);
    gram_front_close(&b->front);
    gram_front_close(&b->wanted_front);
    gram_arena_rewind(&b->block_arena);
}

static enum gram_status make_block(struct gram_blocks *b, const struct gram_block *block,
                                   struct gram_error *err)
{
    GRAM_TRY(load_all(b, block->layer, err));
    keep_floats(b);
    if (b->q->transform)
        GRAM_TRY(transform(b, block->layer, block, err));
    if (b->held)
        GRAM_TRY(gram_blocks_aim(b, block, err));
    GRAM_TRY(make_stages(b, block, err));
    if (!b->held)
        return GRAM_OK;
    GRAM_TRY(gram_blocks_learn(b, block, err));
    return enter(b, &b->front, block, &b->boundary, err); /* it had come forward by codes of before */
}

/* Embedding, final norm and head: no block runs them, so there are no statistics. */
static enum gram_status make_outside(struct gram_blocks *b, struct gram_error *err)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;

    if (is_done(b, -1))
        return GRAM_OK;
    for (size_t i = 0; i < desc->n_slots; i++) {
        if (is_of(b, i, -1) && b->units[i]->is_in_memory)
            GRAM_TRY(gram_blocks_load(b, i, err));
    }
    if (b->q->transform && b->q->transform->rewrites_outside)
        GRAM_TRY(transform(b, -1, NULL, err));
    for (size_t i = 0; i < desc->n_slots; i++) {
        if (is_of(b, i, -1) && b->units[i]->is_in_memory && has_codes(b->units[i]))
            GRAM_TRY(code_slot(b, i, NULL, err));
    }
    gram_blocks_forget(b);
    return GRAM_OK;
}

enum gram_status gram_blocks_embed(struct gram_blocks *b, struct gram_error *err)
{
    for (size_t i = 0; i < b->q->ck.desc.n_slots; i++) {
        if (b->q->ck.desc.slots[i].kind == GRAM_KIND_EMBEDDING)
            GRAM_TRY(gram_blocks_bind_made(b, i, err));
    }
    GRAM_TRY(gram_runner_embed(&b->runner, &b->boundary, err));
    if (b->floats)
        GRAM_TRY(gram_runner_embed(&b->runner, &b->wanted, err));
    gram_blocks_forget(b);
    return GRAM_OK;
}

static enum gram_status bind_finished(struct gram_blocks *b, int layer, struct gram_error *err)
{
    if (b->floats)
        GRAM_TRY(load_all(b, layer, err));
    keep_floats(b);
    return bind_all_made(b, layer, err);
}

static enum gram_status pass_block(struct gram_blocks *b, const struct gram_block *block,
                                   bool is_wanted_behind, struct gram_error *err)
{
    enum gram_status status = GRAM_OK;

    if (b->is_calibrated)
        status = enter(b, &b->front, block, &b->boundary, err);
    if (status == GRAM_OK && b->floats)
        status = enter(b, &b->wanted_front, block, &b->wanted, err);
    if (status == GRAM_OK && !is_done(b, block->layer))
        status = make_block(b, block, err);
    else if (status == GRAM_OK && is_wanted_behind)
        status = bind_finished(b, block->layer, err);
    if (status == GRAM_OK && is_wanted_behind)
        status = leave(b, err);
    if (b->kept.store)
        gram_kept_release(b, block);
    gram_blocks_forget(b);
    return status;
}

/* The last block with something to do; what is behind it needs no activations. */
static int last_undone(const struct gram_blocks *b)
{
    int last = -1;
    for (int i = 0; i < b->graph.n_blocks; i++)
        last = is_done(b, b->graph.blocks[i].layer) ? last : i;
    return last;
}

enum gram_status gram_blocks_make(struct gram_blocks *b, struct gram_error *err)
{
    const int last = last_undone(b);

    GRAM_TRY(gram_checkpoint_open_unfinished(&b->made, gram_output_folder(b->q->output), err));
    if (b->collects)
        GRAM_TRY(gram_kept_collect(b, err));
    GRAM_TRY(make_outside(b, err));
    if (b->is_calibrated && last >= 0) {
        GRAM_TRY(gram_blocks_start(b, err));
        GRAM_TRY(gram_blocks_embed(b, err));
    }
    for (int i = 0; i <= last; i++)
        GRAM_TRY(pass_block(b, &b->graph.blocks[i], b->is_calibrated && i < last, err));
    return GRAM_OK;
}
