#include "calib/front.h"

#include <stdlib.h>

int gram_front_entering(const struct gram_graph *graph, int first)
{
    for (int i = first; i < graph->n_nodes; i++) {
        for (int k = 0; k < GRAM_MAX_INPUTS && graph->nodes[i].inputs[k] != GRAM_NONE; k++) {
            const int value = graph->nodes[i].inputs[k];
            if (graph->values[value].producer < first)
                return value;
        }
    }
    return GRAM_NONE;
}

const struct gram_boundary *gram_front_find(const struct gram_front *front, int value)
{
    for (int i = 0; i < front->n; i++) {
        if (front->kept[i].value == value)
            return &front->kept[i].rows;
    }
    return NULL;
}

void gram_spares_close(struct gram_spares *spares)
{
    while (spares->n > 0)
        gram_boundary_close(&spares->all[--spares->n]);
}

static bool give_back(struct gram_spares *spares, const struct gram_boundary *rows)
{
    const bool has_room = spares && spares->n < (int)(sizeof spares->all / sizeof *spares->all);

    if (has_room)
        spares->all[spares->n++] = *rows;
    return has_room;
}

/* The smallest that is large enough. */
static bool take_spare(struct gram_spares *spares, int64_t rows, int64_t cols, struct gram_boundary *out)
{
    struct gram_boundary *best = NULL;

    for (int i = 0; spares && i < spares->n; i++) {
        struct gram_boundary *at = &spares->all[i];
        if (at->room >= rows * cols && (!best || at->room < best->room))
            best = at;
    }
    if (!best)
        return false;
    *out = *best;
    out->rows = rows;
    out->cols = cols;
    *best = spares->all[--spares->n];
    return true;
}

/* Room for all that a front of the block may keep: what its nodes make, and the value that enters. */
static bool take(struct gram_front *front)
{
    const size_t most = (size_t)(front->block->end - front->block->first + 1);

    front->n = 0;
    front->kept = calloc(most, sizeof *front->kept);
    return front->kept != NULL;
}

enum gram_status gram_front_open(struct gram_front *front, const struct gram_boundary *entry,
                                 struct gram_error *err)
{
    front->node = front->block->first;
    if (!take(front))
        return gram_fail_memory(err, "activations inside a block");
    front->kept[front->n++] =
        (struct gram_kept){gram_front_entering(front->graph, front->node), *entry, true};
    return GRAM_OK;
}

void gram_front_close(struct gram_front *front)
{
    for (int i = 0; i < front->n; i++) {
        struct gram_kept *kept = &front->kept[i];
        if (!kept->is_borrowed && !give_back(front->spares, &kept->rows))
            gram_boundary_close(&kept->rows);
    }
    free(front->kept);
    *front = (struct gram_front){0};
}

/* Does a node from `from` on, or who takes the block's output, read it? */
static bool is_read_from(const struct gram_front *front, int value, int from)
{
    const struct gram_graph *graph = front->graph;

    for (int i = from; i < front->block->end; i++) {
        for (int k = 0; k < GRAM_MAX_INPUTS && graph->nodes[i].inputs[k] != GRAM_NONE; k++) {
            if (graph->nodes[i].inputs[k] == value)
                return true;
        }
    }
    return value == front->block->output;
}

/* What both keep; memory of the rest may be written over as soon as it has been read. */
static void keep_old(struct gram_front *ahead, const struct gram_front *front)
{
    for (int i = 0; i < front->n; i++) {
        struct gram_kept *kept = &front->kept[i];
        if (is_read_from(front, kept->value, ahead->node))
            ahead->kept[ahead->n++] = (struct gram_kept){kept->value, kept->rows, true};
        else if (!kept->is_borrowed)
            kept->is_borrowed = give_back(front->spares, &kept->rows);
    }
}

static enum gram_status keep_new(struct gram_front *ahead, const struct gram_front *front,
                                 struct gram_error *err)
{
    const struct gram_graph *graph = front->graph;

    for (int i = front->node; i < ahead->node; i++) {
        struct gram_kept *kept = &ahead->kept[ahead->n];
        const int value = graph->nodes[i].output;
        const int64_t cols = graph->values[value].cols;

        if (!is_read_from(front, value, ahead->node))
            continue;
        *kept = (struct gram_kept){.value = value};
        if (!take_spare(front->spares, front->tokens, cols, &kept->rows))
            GRAM_TRY(gram_boundary_open(&kept->rows, front->tokens, cols, front->spills, front->folder, err));
        ahead->n++;
    }
    return GRAM_OK;
}

enum gram_status gram_front_ahead(struct gram_front *ahead, struct gram_front *front, int to,
                                  struct gram_error *err)
{
    *ahead = *front;
    ahead->node = to;
    if (!take(ahead)) {
        *ahead = (struct gram_front){0};
        return gram_fail_memory(err, "activations inside a block");
    }
    keep_old(ahead, front);
    const enum gram_status status = keep_new(ahead, front, err);
    if (status != GRAM_OK)
        gram_front_close(ahead);
    return status;
}

/* What was borrowed is as it was before. */
void gram_front_move(struct gram_front *front, struct gram_front *ahead)
{
    for (int i = 0; i < front->n; i++) {
        for (int k = 0; k < ahead->n && !front->kept[i].is_borrowed; k++) {
            if (ahead->kept[k].value != front->kept[i].value)
                continue;
            ahead->kept[k].is_borrowed = false;
            front->kept[i].is_borrowed = true;
        }
    }
    gram_front_close(front);
    *front = *ahead;
    *ahead = (struct gram_front){0};
}
