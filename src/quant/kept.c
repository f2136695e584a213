#include "quant/kept.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/xxh64.h"

enum { KEPT = GRAM_NEED_RANGE | GRAM_NEED_MEAN_ABS | GRAM_NEED_GRAM };

/* ---- which model, which file ---- */

/* Names, shapes and bytes of all tensors; for mistakes, not for malice. */
static void digest(char hex[GRAM_SHA256_HEX], const struct gram_store *store)
{
    struct gram_sha256 hash;

    gram_sha256_init(&hash);
    for (size_t i = 0; i < gram_store_count(store); i++) {
        const struct gram_tensor *t = gram_store_at(store, i);
        const uint64_t sum = XXH64(t->data, t->bytes, 0);
        gram_sha256_add(&hash, t->name, strlen(t->name) + 1);
        gram_sha256_add(&hash, &t->dtype, sizeof t->dtype);
        gram_sha256_add(&hash, t->shape, sizeof t->shape);
        gram_sha256_add(&hash, &sum, sizeof sum);
        if (t->rank > 0)
            gram_store_release(store, t, 0, t->shape[0]);
    }
    gram_sha256_hex(&hash, hex);
}

static bool is_linear(const struct gram_blocks *b, const struct gram_node *node)
{
    const int slot = node->params[0];
    return slot != GRAM_NONE && b->q->ck.desc.slots[slot].kind == GRAM_KIND_LINEAR;
}

/* The first linear of the block that reads this value: what they all read is kept under its name. */
static const struct gram_node *first_reader(const struct gram_blocks *b,
                                            const struct gram_block *block, int value)
{
    for (int n = block->first; n < block->end; n++) {
        const struct gram_node *node = &b->graph.nodes[n];
        if (is_linear(b, node) && node->inputs[0] == value)
            return node;
    }
    return NULL;
}

static const char *op_of(const struct gram_blocks *b, const struct gram_node *node)
{
    return b->q->ck.desc.slots[node->params[0]].op;
}

/* ---- opening ---- */

static enum gram_status check_text(struct gram_blocks *b, const char *path, struct gram_error *err)
{
    if (b->corpus.tokens > 0 && strcmp(b->corpus.hash, b->kept.corpus_hash) != 0)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: these are statistics of another text, or of another number or length of its "
                         "windows; collect them again (--save-stats)",
                         path);
    memcpy(b->corpus.hash, b->kept.corpus_hash, sizeof b->corpus.hash);
    return GRAM_OK;
}

/* What the file says of the first block, so that one which cannot serve is refused before any work. */
static enum gram_status look_inside(struct gram_blocks *b, const char *path, struct gram_error *err)
{
    const struct gram_block *block = &b->graph.blocks[0];
    struct gram_input_stats stats;
    struct gram_error inner;

    for (int n = block->first; n < block->end; n++) {
        const struct gram_node *node = &b->graph.nodes[n];
        if (!is_linear(b, node))
            continue;
        if (gram_kept_find(b, block, node, KEPT, &stats, &inner) != GRAM_OK)
            return gram_fail(err, inner.status, "%s: %s", path, inner.message);
        b->corpus.tokens = stats.tokens;
    }
    return GRAM_OK;
}

static enum gram_status open_file(struct gram_blocks *b, const char *path, const char *model,
                                  struct gram_error *err)
{
    GRAM_TRY(gram_stats_file_open(&b->kept, path, model, err));
    GRAM_TRY(check_text(b, path, err));
    digest(b->kept_digest, b->kept.store);
    return look_inside(b, path, err);
}

/* A file keeps ranges and moments: no histograms, no averages over windows, nothing behind a rewrite. */
static enum gram_status check_recipe(const struct gram_blocks *b, struct gram_error *err)
{
    const struct quantize *q = b->q;

    if (q->options->correct_drift)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "drift is measured on the quantized model, of which no statistics are kept; leave "
                         "--correct-drift or --stats and --save-stats");
    if (q->transform && q->transform->rewrites_outside)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s changes what is between blocks, of which no statistics are kept",
                         q->transform->about->name);
    for (int64_t i = 0; i < q->layout.n_units; i++) {
        const struct gram_unit *unit = &q->layout.units[i];
        if (unit->how.scheme.is_static && strcmp(b->observer->about->name, "minmax") != 0)
            return gram_fail(err, GRAM_EUNSUPPORTED,
                             "kept statistics hold ranges and no histograms: static activations "
                             "take the observer "
                             "minmax, not %s",
                             b->observer->about->name);
        if (q->transform && unit->is_in_memory && unit->how.scheme.kind == GRAM_SCHEME_CODES &&
            unit->how.method->needs)
            return gram_fail(err, GRAM_EUNSUPPORTED,
                             "%s would need statistics behind %s, and those that are kept are of "
                             "the model as it "
                             "was; take rtn or mse, or calibrate with --calib alone",
                             unit->how.method->about->name, q->transform->about->name);
    }
    return GRAM_OK;
}

enum gram_status gram_kept_open(struct gram_blocks *b, struct gram_error *err)
{
    const struct gram_quantize_options *o = b->q->options;
    char model[GRAM_SHA256_HEX];
    struct gram_error other;

    if (o->stats && o->save_stats)
        return gram_fail(err, GRAM_EINVAL,
                         "statistics are either read (--stats) or collected (--save-stats)");
    GRAM_TRY(check_recipe(b, err));
    digest(model, b->q->ck.store);
    if (o->stats)
        return open_file(b, o->stats, model, err);
    b->collects = true;
    memcpy(b->model_digest, model, sizeof model);
    if (!gram_path_exists(o->save_stats))
        return GRAM_OK;
    b->collects = open_file(b, o->save_stats, model, &other) != GRAM_OK;
    if (!b->collects)
        return GRAM_OK;
    gram_stats_file_close(&b->kept);
    return o->force ? GRAM_OK
                    : gram_fail(err, GRAM_EEXIST, "%s; --force replaces it", other.message);
}

/* ---- collecting ---- */

static unsigned all_needs(void *context, const struct gram_node *node)
{
    return is_linear(context, node) ? (unsigned)KEPT : 0;
}

static size_t list_inputs(struct gram_kept_input *inputs, const struct gram_blocks *b)
{
    size_t n = 0;

    for (int i = 0; i < b->graph.n_blocks; i++) {
        const struct gram_block *block = &b->graph.blocks[i];
        for (int at = block->first; at < block->end; at++) {
            const struct gram_node *node = &b->graph.nodes[at];
            if (is_linear(b, node) && first_reader(b, block, node->inputs[0]) == node)
                inputs[n++] = (struct gram_kept_input){op_of(b, node),
                                                       b->graph.values[node->inputs[0]].cols, KEPT};
        }
    }
    return n;
}

static enum gram_status load_floats(struct gram_blocks *b, int layer, struct gram_error *err)
{
    for (size_t i = 0; i < b->q->ck.desc.n_slots; i++) {
        if (b->q->ck.desc.slots[i].layer != layer || !b->units[i])
            continue;
        GRAM_TRY(gram_stream_poll(&b->q->stream, err));
        GRAM_TRY(gram_blocks_load(b, i, err));
        GRAM_TRY(gram_blocks_bind_floats(b, i, err));
    }
    return GRAM_OK;
}

static enum gram_status collect_block(struct gram_blocks *b, const struct gram_block *block,
                                      struct gram_stats_writer *writer, struct gram_error *err)
{
    struct gram_block_stats stats = {0};

    enum gram_status status = load_floats(b, block->layer, err);
    if (status == GRAM_OK)
        status = gram_block_stats_open(&stats, &b->graph, block->first, block->end, all_needs, b, err);
    if (status == GRAM_OK)
        status = gram_runner_block(&b->runner, block, &b->boundary, &b->boundary, &stats, err);
    for (int i = 0; status == GRAM_OK && i < stats.n; i++)
        status = gram_stats_writer_put(writer, &stats.slots[i].stats, err);
    gram_block_stats_reset(&stats);
    gram_blocks_forget(b);
    return status;
}

static enum gram_status collect_blocks(struct gram_blocks *b, struct gram_stats_writer *writer,
                                       struct gram_error *err)
{
    GRAM_TRY(gram_blocks_start(b, err));
    GRAM_TRY(gram_blocks_embed(b, err));
    for (int i = 0; i < b->graph.n_blocks; i++)
        GRAM_TRY(collect_block(b, &b->graph.blocks[i], writer, err));
    return GRAM_OK;
}

enum gram_status gram_kept_collect(struct gram_blocks *b, struct gram_error *err)
{
    const char *path = b->q->options->save_stats;
    struct gram_kept_input *inputs = gram_arena_take(&b->arena, (size_t)b->graph.n_nodes, sizeof *inputs);
    struct gram_stats_writer *writer = NULL;

    if (!inputs)
        return gram_fail_memory(err, "calibration statistics");
    enum gram_status status = gram_stats_writer_open(&writer, path, inputs, list_inputs(inputs, b),
                                                     b->corpus.hash, b->model_digest, err);
    if (status == GRAM_OK)
        status = collect_blocks(b, writer, err);
    if (status == GRAM_OK)
        status = gram_stats_writer_publish(&writer, err);
    gram_stats_writer_discard(&writer);
    gram_blocks_stop(b);
    return status == GRAM_OK ? gram_stats_file_open(&b->kept, path, b->model_digest, err) : status;
}

/* ---- using ---- */

enum gram_status gram_kept_find(const struct gram_blocks *b, const struct gram_block *block,
                                const struct gram_node *node, unsigned needs, struct gram_input_stats *stats,
                                struct gram_error *err)
{
    const struct gram_node *first = first_reader(b, block, node->inputs[0]);
    const int64_t cols = b->graph.values[node->inputs[0]].cols;

    return gram_stats_file_find(&b->kept, op_of(b, first), cols, needs, stats, err);
}

void gram_kept_release(const struct gram_blocks *b, const struct gram_block *block)
{
    for (size_t i = 0; i < gram_store_count(b->kept.store); i++) {
        const struct gram_tensor *t = gram_store_at(b->kept.store, i);
        char lead[32];
        const int n = snprintf(lead, sizeof lead, "layers.%d.", block->layer);
        if (strncmp(t->name, lead, (size_t)n) == 0)
            gram_store_release(b->kept.store, t, 0, t->shape[0]);
    }
}
