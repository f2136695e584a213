/*
 * How long it will take: how often every weight is multiplied, and what its method does, at the pace of this
 * machine.
 */
#include "quant/forecast.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "quant/pace.h"

enum {
    TRIAL_ROWS = 512,  /* of the samples that transforms try scales on */
    WRITTEN = 2 << 20, /* to see how fast the disk is */
};

/* How often the text is run through a block, and what is summed on the way. */
struct walk {
    double passes;  /* of the block */
    double squares; /* sum of cols^2 over the inputs that statistics are taken of, a token */
};

static bool has_codes(const struct gram_blocks *b, const struct gram_node *node)
{
    const int slot = node->params[0];
    return slot != GRAM_NONE && b->units[slot] && b->units[slot]->is_in_memory &&
           b->units[slot]->how.scheme.kind == GRAM_SCHEME_CODES;
}

static struct walk walk_of(const struct gram_blocks *b, const struct gram_block *block)
{
    struct walk walk = {0};
    int last = GRAM_NONE;

    for (int n = block->first; n < block->end; n++) {
        const struct gram_node *node = &b->graph.nodes[n];
        if (!has_codes(b, node) || node->inputs[0] == last)
            continue;
        const double cols = (double)b->graph.values[node->inputs[0]].cols;
        last = node->inputs[0];
        walk.squares += cols * cols;
    }
    walk.passes = b->q->options->sequential ? 1 : 2;
    if (b->collects)
        return (struct walk){1, walk.squares};
    if (b->q->transform && b->q->transform->needs) {
        walk.passes++;
        walk.squares *= 2;
    }
    if (b->floats) {
        walk.passes *= 2;
        walk.squares *= 3; /* half of X'X is the other half */
    }
    if (b->held) { /* what should leave the block; an epoch forwards and backwards; X'X in the end */
        walk.passes += 2 + 3 * (double)b->q->options->learn_epochs;
        walk.squares *= 2;
    }
    return walk;
}

/* Multiplications of a block's linears and of its attention, a token. */
static double products_of(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    double products = (double)(gram_corpus_longest(&b->share) * desc->hp.heads * desc->hp.head_dim);

    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind == GRAM_KIND_LINEAR && slot->layer == 0)
            products += (double)slot->rows * (double)slot->cols;
    }
    return products;
}

/* Behind the last block with work none is run. */
static double time_of_runs(const struct gram_blocks *b, const struct gram_pace *pace)
{
    const double tokens = (double)b->share.tokens, products = products_of(b);
    double seconds = 0, since = 0;

    for (int i = 0; i < b->graph.n_blocks; i++) {
        const struct walk walk = walk_of(b, &b->graph.blocks[i]);
        since += tokens * (pace->product * products * walk.passes + pace->square * walk.squares);
        if (walk.squares > 0)
            seconds = since;
    }
    return seconds;
}

/* Of one linear: its codes, what a transform tries on it, what is known of its output afterwards. */
static double time_of_linear(const struct quantize *q, const struct gram_unit *unit,
                             const struct gram_pace_solver *solver, const struct gram_pace *pace)
{
    const struct gram_transform *t = q->transform;
    const double rows = (double)unit->slot->rows, cols = (double)unit->slot->cols;
    double seconds = gram_pace_solve(solver, unit->slot->rows, unit->slot->cols);

    if (!unit->is_in_memory)
        return seconds;
    if (t && t->tries) {
        const double sample = fmin(rows, TRIAL_ROWS) * cols, tries = (double)t->tries(&q->transform_options);
        seconds += tries * sample * (solver->plane + pace->product * cols);
        seconds += tries / 2 * rows * cols * solver->plane; /* clipping */
    }
    if (q->blocks->floats)
        seconds += pace->product * (5 * rows * cols * cols + cols * cols * cols);
    return seconds + pace->product * rows * cols * cols;
}

static int64_t most_columns(const struct quantize *q)
{
    int64_t most = 0;

    for (size_t i = 0; i < q->ck.desc.n_slots; i++)
        most = gram_max_i64(most, q->ck.desc.slots[i].cols);
    return most;
}

/* Of all linears; the pace of a method is measured when it is met first. */
static double time_of_solvers(const struct quantize *q, const struct gram_pace *pace)
{
    const struct gram_assignment *measured = NULL;
    struct gram_pace_solver solver = {0};
    double seconds = 0;

    for (int64_t i = 0; i < q->layout.n_units; i++) {
        const struct gram_unit *unit = &q->layout.units[i];
        if (unit->how.scheme.kind != GRAM_SCHEME_CODES)
            continue;
        if (!measured || measured->method != unit->how.method ||
            measured->scheme.bits != unit->how.scheme.bits) {
            measured = &unit->how;
            gram_pace_measure_solver(&solver, measured, most_columns(q), q->rt);
        }
        seconds += time_of_linear(q, unit, &solver, pace);
    }
    return seconds;
}

/* Seconds per byte that reaches the disk of the output: a file without a name is written and forgotten. */
static double pace_of_disk(const struct quantize *q)
{
    const char *slash = strrchr(q->out, '/');
    char folder[4096], *bytes = calloc(1, WRITTEN);
    double seconds = 0;

    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - q->out) + 1 : 1, slash ? q->out : ".");
    const int fd = bytes ? open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        const double begin = gram_pace_now();
        const bool ok = write(fd, bytes, WRITTEN) == WRITTEN && fdatasync(fd) == 0;
        seconds = ok ? (gram_pace_now() - begin) / WRITTEN : 0;
        close(fd);
    }
    free(bytes);
    return seconds;
}

double gram_forecast_seconds(const struct quantize *q)
{
    const double bytes = (double)q->layout.bytes_before + 2 * (double)q->layout.bytes_after;
    const bool is_calibrated = q->blocks && gram_blocks_runs(q->blocks);
    struct gram_pace pace;

    gram_pace_measure(&pace, is_calibrated, q->rt);
    double seconds = pace.byte * bytes + time_of_solvers(q, &pace);
    if (q->layout.bytes_after >= WRITTEN)
        seconds += pace_of_disk(q) * (double)q->layout.bytes_after;
    return seconds + (is_calibrated ? time_of_runs(q->blocks, &pace) : 0);
}
