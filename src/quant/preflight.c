/*
 * The estimates add up. Memory: what there is already, and what is there at once in the largest block, or of
 * the largest tensor that streams. Disk: the shards, what goes beside them, activations that spill.
 */
#include "quant/preflight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/checked.h"
#include "quant/forecast.h"

enum {
    CALL_ROWS = 512,        /* of the runner */
    CROSS_ROWS = 528,       /* tokens that wait to be added to X'X */
    PIECE = 8 << 20,        /* of a tensor that streams; of an output that is read back */
    AROUND = 64 << 10,      /* bytes that one look into a mapped file may bring in */
};

/* ---- memory ---- */

/* The second number of /proc/self/statm, in pages; 0 where there is none. */
static int64_t resident_now(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    const char *at = file && fgets(line, sizeof line, file) ? strchr(line, ' ') : NULL;
    int64_t pages = 0;

    if (file)
        fclose(file);
    for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        pages = 10 * pages + (*at - '0');
    return pages * (int64_t)sysconf(_SC_PAGESIZE);
}

int64_t gram_memory_peak(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

/* A piece of the source with what becomes of it; or a piece of the output, when it is read back. */
static int64_t stream_bytes(const struct quantize *q)
{
    int64_t most = 0;

    for (int64_t i = 0; i < q->layout.n_units; i++) {
        const struct gram_unit *unit = &q->layout.units[i];
        int64_t parts = 0;
        for (int p = 0; p < GRAM_MAX_PARTS; p++)
            parts += gram_unit_has(unit, p) ? (int64_t)unit->parts[p].bytes : 0;
        most = gram_max_i64(most, gram_min_i64(PIECE, (int64_t)unit->source->bytes) +
                                      gram_min_i64(PIECE, parts));
    }
    return gram_max_i64(most, gram_min_i64(PIECE, (int64_t)q->layout.bytes_after));
}

/* X'X of what the linears of a block read: of one input after the other, or of all together. */
static int64_t statistics_bytes(const struct gram_blocks *b)
{
    const struct gram_block *block = &b->graph.blocks[0];
    const bool together =
        b->collects || !b->q->options->sequential || (b->q->transform && b->q->transform->needs);
    int64_t sum = 0, most = 0;
    int last = GRAM_NONE;

    for (int n = block->first; n < block->end; n++) {
        const struct gram_node *node = &b->graph.nodes[n];
        const int slot = node->params[0];
        if (slot == GRAM_NONE || b->q->ck.desc.slots[slot].kind != GRAM_KIND_LINEAR ||
            node->inputs[0] == last)
            continue;
        last = node->inputs[0];
        const int64_t cols = b->graph.values[last].cols;
        const int64_t bytes = 4 * cols * cols + 8 * CROSS_ROWS * cols;
        sum += bytes;
        most = gram_max_i64(most, bytes);
    }
    return together ? sum : most;
}

/* Of a linear being solved: the original, codes; X'X factored, with the copy in double or its inverse; its
 * panels. */
static int64_t work_bytes(const struct gram_weight_slot *slot, bool has_gram)
{
    const int64_t weights = slot->rows * slot->cols;
    return 5 * weights + (has_gram ? 12 * slot->cols * slot->cols : 0);
}

/* Floats; if text is run through them their panels and the codes that replace them; one linear at work. */
static int64_t largest_block(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    const bool has_gram = gram_blocks_runs(b) || b->kept.store;
    int64_t floats = 0, work = 0;

    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind != GRAM_KIND_LINEAR || slot->layer != 0)
            continue; /* blocks are alike */
        floats += 4 * slot->rows * slot->cols;
        work = gram_max_i64(work, work_bytes(slot, has_gram));
    }
    return (gram_blocks_runs(b) ? 2 * floats + floats / 4 : floats) +
           (has_gram ? statistics_bytes(b) : 0) + work;
}

/* Activations of a model, if they do not spill: the boundary; the residual and what linears read. */
static int64_t boundary_bytes(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    int64_t most = 0;

    for (size_t i = 0; i < desc->n_slots; i++) {
        if (desc->slots[i].kind == GRAM_KIND_LINEAR && desc->slots[i].layer == 0)
            most = gram_max_i64(most, desc->slots[i].cols);
    }
    return 4 * b->share.tokens * (3 * desc->hp.hidden + most);
}

/* What correcting drift takes beside: its sums and factors, a linear twice in double. */
static int64_t drift_bytes(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    int64_t work = 0;

    for (size_t i = 0; b->floats && i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind != GRAM_KIND_LINEAR || slot->layer != 0)
            continue;
        work = gram_max_i64(work, 12 * slot->rows * slot->cols + 12 * slot->cols * slot->cols);
    }
    return work;
}

/* Of one call of the runner: values, keys and values of the layer that is run, activations as codes. */
static int64_t activation_bytes(const struct gram_blocks *b)
{
    const struct gram_hparams *hp = &b->q->ck.desc.hp;
    const int64_t rows =
        gram_max_i64(gram_min_i64(CALL_ROWS, b->share.tokens), gram_corpus_longest(&b->share));
    const int64_t floats = 3 * hp->hidden + 4 * hp->ffn + 2 * (hp->heads + 3 * hp->kv_heads) * hp->head_dim;
    return 4 * rows * floats;
}

/* What learning on a block takes beside: linears as held, bound, learned, with gradients and Adam's moments;
 * the values of a batch and their gradients. */
static int64_t learning_bytes(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    int64_t weights = 0;

    for (size_t i = 0; b->held && i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind == GRAM_KIND_LINEAR && slot->layer == 0)
            weights += slot->rows * slot->cols;
    }
    return b->held ? 42 * weights + 4 * activation_bytes(b) : 0;
}

/* What the text looks up of the embedding: the surroundings of every row that it names. */
static int64_t embedding_bytes(const struct gram_blocks *b)
{
    const struct gram_model_desc *desc = &b->q->ck.desc;
    int64_t row_bytes = 4 * desc->hp.hidden, touched = 0;

    for (size_t i = 0; i < desc->n_slots; i++) {
        if (desc->slots[i].kind == GRAM_KIND_EMBEDDING && b->units[i])
            row_bytes = (int64_t)b->units[i]->parts[0].bytes / desc->slots[i].rows;
    }
    bool *seen = calloc((size_t)(desc->hp.vocab * row_bytes / AROUND + 1), sizeof *seen);
    for (size_t w = 0; seen && w < b->share.n_windows; w++) {
        for (int64_t t = 0; t < b->share.windows[w].n; t++) {
            bool *place = &seen[b->share.windows[w].tokens[t] * row_bytes / AROUND];
            touched += !*place;
            *place = true;
        }
    }
    free(seen);
    return touched * AROUND;
}

static void estimate_memory(struct quantize *q)
{
    struct gram_blocks *b = q->blocks;
    const uint64_t limit = q->options->memory;
    const int64_t there = resident_now();
    int64_t work = 0, boundary = 0;

    if (b)
        work = largest_block(b);
    if (b && gram_blocks_runs(b)) {
        work += activation_bytes(b) + drift_bytes(b) + learning_bytes(b) + embedding_bytes(b) +
                12 * b->share.tokens;
        boundary = boundary_bytes(b) * (b->floats ? 2 : 1) +
                   (b->held ? 4 * b->share.tokens * b->q->ck.desc.hp.hidden : 0);
        b->spills = limit && (uint64_t)(there + work + boundary) > limit;
        if (b->spills)
            q->need.disk += (uint64_t)boundary;
        else
            work += boundary;
    }
    work = gram_max_i64(work, stream_bytes(q));
    q->need.memory = (uint64_t)gram_max_i64(gram_memory_peak(), there + work);
}

/* ---- the whole ---- */

static enum gram_status refuse(const struct quantize *q, struct gram_error *err)
{
    const bool is_calibrated = q->blocks && gram_blocks_runs(q->blocks);
    return gram_fail(err, GRAM_EINVAL, "the job needs about %.0f MB of memory, and is allowed %.0f MB%s",
                     (double)q->need.memory / 1e6, (double)q->options->memory / 1e6,
                     is_calibrated ? "; calibrate on fewer tokens or shorter windows" : "");
}

enum gram_status gram_preflight(struct quantize *q, struct gram_error *err)
{
    const struct gram_job *job = q->job;

    q->need = (struct gram_estimate){.disk = gram_sidecar_bytes(q->ck.path)};
    for (int i = 0; i < q->layout.n_shards; i++)
        q->need.disk += q->layout.shards[i].bytes;
    q->need.seconds =
        gram_forecast_seconds(q); /* before memory is looked at: libraries take theirs at first use */
    estimate_memory(q);
    if (q->options->memory && q->need.memory > q->options->memory)
        return refuse(q, err);
    if (job && job->estimate)
        job->estimate(job->user, &q->need);
    return GRAM_OK;
}
