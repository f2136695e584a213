#include "train/export.h"

#include <string.h>

#include "quant/verify.h"
#include "quant/write.h"
#include "tensor/dtype.h"

/* ---- a quantized source ---- */

static enum gram_status bind_all(struct gram_export *e, const struct gram_checkpoint *from,
                                 struct gram_error *err)
{
    e->weights = gram_arena_take(&e->arena, e->ck.desc.n_slots, sizeof *e->weights);
    if (!e->weights)
        return gram_fail_memory(err, "the layout of the output");
    for (size_t i = 0; from->container && i < e->ck.desc.n_slots; i++)
        GRAM_TRY(gram_checkpoint_bind(from, &from->desc.slots[i], &e->arena, &e->weights[i], err));
    return GRAM_OK;
}

/* Without a scheme, linears keep the one that they have. */
static enum gram_status assign_own(struct gram_export *e, struct gram_error *err)
{
    for (size_t i = 0; i < e->ck.desc.n_slots; i++) {
        const struct gram_weight *w = &e->weights[i];
        if (w->bits == 0)
            continue;
        e->assigned[i].scheme = gram_weight_scheme_of(w);
        e->assigned[i].scheme.act_outlier = w->act_outlier;
        GRAM_TRY(gram_method_find(&e->assigned[i].method, "mse", err));
    }
    return GRAM_OK;
}

/* Where the config says of what type the model was before. */
static enum gram_dtype float_dtype(const struct gram_export *e, const struct gram_weight *w)
{
    const json_t *config = e->ck.config;
    const char *name = json_string_value(json_object_get(config, "torch_dtype"));

    if (!w->table)
        return w->scale_dtype;
    if (!name)
        name = json_string_value(json_object_get(config, "dtype"));
    return !name || strcmp(name, "bfloat16") == 0 ? GRAM_BF16
           : strcmp(name, "float16") == 0         ? GRAM_F16
                                                  : GRAM_F32;
}

static struct gram_tensor plain_tensor(const struct gram_export *e, size_t slot, int file)
{
    const struct gram_weight_slot *at = &e->ck.desc.slots[slot];
    struct gram_tensor t = {.name = at->tensor,
                            .dtype = float_dtype(e, &e->weights[slot]),
                            .rank = 2,
                            .shape = {at->rows, at->cols},
                            .file = file};

    t.count = at->rows * at->cols;
    t.bytes = (uint64_t)t.count * (uint64_t)gram_dtype_bits(t.dtype) / 8;
    return t;
}

/* Is the tensor a part of the module's weight: "<module>.weight_packed", but not "<module>.bias"?
 */
static bool is_part(const char *tensor, const char *module)
{
    const size_t n = strlen(module);
    return strncmp(tensor, module, n) == 0 && tensor[n] == '.' && strcmp(tensor + n, ".bias") != 0;
}

/* The slot among those that move which the tensor is a part of; n_slots: none. */
static size_t owner_of(const struct gram_export *e, const bool *moves, const char *tensor)
{
    size_t i = 0;

    while (i < e->ck.desc.n_slots && !(e->weights[i].bits > 0 && (!moves || moves[i]) &&
                                       is_part(tensor, e->ck.desc.slots[i].module)))
        i++;
    return i;
}

/* In the place of the first part of a linear that moves stands its plain tensor; its other parts
 * go. */
static enum gram_status select_tensors(struct gram_export *e, const bool *moves,
                                       struct gram_error *err)
{
    const struct gram_store *from = e->ck.store;
    struct gram_tensor *at = gram_arena_take(&e->arena, gram_store_count(from), sizeof *at);
    bool *is_placed = gram_arena_take(&e->arena, e->ck.desc.n_slots + 1, sizeof *is_placed);
    size_t n = 0;

    if (!at || !is_placed)
        return gram_fail_memory(err, "the layout of the output");
    for (size_t i = 0; i < gram_store_count(from); i++) {
        const struct gram_tensor *t = gram_store_at(from, i);
        const size_t owner = owner_of(e, moves, t->name);
        if (owner == e->ck.desc.n_slots)
            at[n++] = *t;
        else if (!is_placed[owner])
            at[n++] = plain_tensor(e, owner, t->file);
        is_placed[owner] = true;
    }
    return gram_store_select(&e->store, from, at, n, err);
}

static bool stays(const struct gram_export *e, const bool *moves, size_t slot)
{
    return e->weights[slot].bits > 0 && moves && !moves[slot];
}

/* Of linears that stay, codes may have the name of the plain tensor: no slot is to own them. */
static enum gram_status disown(struct gram_export *e, const bool *moves, struct gram_error *err)
{
    const size_t n = e->ck.desc.n_slots;
    struct gram_weight_slot *slots;
    size_t first = 0;

    while (first < n && !stays(e, moves, first))
        first++;
    if (first == n)
        return GRAM_OK;
    slots = gram_arena_take(&e->arena, n, sizeof *slots);
    if (!slots)
        return gram_fail_memory(err, "the layout of the output");
    memcpy(slots, e->ck.desc.slots, n * sizeof *slots);
    for (size_t i = first; i < n; i++)
        if (stays(e, moves, i)) {
            slots[i].tensor = "";
            slots[i].alias = NULL;
        }
    e->ck.desc.slots = slots;
    return GRAM_OK;
}

static enum gram_status replace_source(struct gram_export *e, const bool *moves,
                                       struct gram_error *err)
{
    GRAM_TRY(select_tensors(e, moves, err));
    GRAM_TRY(disown(e, moves, err));
    e->config = json_deep_copy(e->ck.config);
    if (!e->config)
        return gram_fail_memory(err, "config.json");
    json_object_del(e->config, "quantization_config");
    e->ck.store = e->store;
    e->ck.config = e->config;
    e->ck.container = NULL;
    return GRAM_OK;
}

/* The one scale of activations that was found in calibration. */
static void keep_activations(struct gram_export *e)
{
    for (int64_t u = 0; u < e->layout.n_units; u++) {
        struct gram_unit *unit = &e->layout.units[u];
        if (unit->slot)
            unit->act_scale = e->weights[unit->slot - e->ck.desc.slots].act_scale;
    }
}

/* ---- the layout ---- */

/* A model has scales of one type; with codebooks it is the grid's. */
static enum gram_dtype scales_of(const struct gram_export *e)
{
    for (size_t i = 0; i < e->ck.desc.n_slots; i++)
        if (e->weights[i].bits > 0 && !e->weights[i].table)
            return e->weights[i].scale_dtype;
    return GRAM_N_DTYPE;
}

enum gram_status gram_export_open(struct gram_export *e, const struct gram_checkpoint *ck,
                                  const char *scheme, const bool *moves,
                                  const struct gram_checkpoint *like, struct gram_error *err)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_recipe recipe;

    *e = (struct gram_export){.ck = *ck};
    e->ck.arena = (struct gram_arena){0}; /* the caller's */
    options.scheme = scheme;
    GRAM_TRY(gram_recipe_read(&recipe, &options, &e->arena, err));
    e->assigned = gram_arena_take(&e->arena, ck->desc.n_slots, sizeof *e->assigned);
    if (!e->assigned)
        return gram_fail_memory(err, "the layout of the output");
    GRAM_TRY(bind_all(e, like ? like : ck, err));
    if (scheme)
        GRAM_TRY(gram_recipe_assign(&recipe, &ck->desc, e->assigned, err));
    else if (moves || like)
        GRAM_TRY(assign_own(e, err));
    if (like)
        recipe.scale_dtype = scales_of(e);
    if (ck->container && (scheme || moves))
        GRAM_TRY(replace_source(e, moves, err));
    GRAM_TRY(
        gram_layout_make(&e->layout, &e->ck, &recipe, e->assigned, options.max_shard_bytes, err));
    keep_activations(e);
    return GRAM_OK;
}

void gram_export_close(struct gram_export *e)
{
    gram_layout_reset(&e->layout);
    gram_written_reset(&e->written);
    gram_store_close(&e->store);
    json_decref(e->config);
    gram_arena_reset(&e->arena);
    *e = (struct gram_export){0};
}

/* ---- writing ---- */

/* Whatever an interrupted run wrote of the file is overwritten. */
static enum gram_status open_shard(struct gram_export *e, struct gram_shard *shard,
                                   struct gram_error *err)
{
    struct gram_error missing;

    if (gram_output_file_reopen(&shard->file, e->output, shard->name, &missing) != GRAM_OK)
        GRAM_TRY(gram_output_file_create(&shard->file, e->output, shard->name, err));
    GRAM_TRY(gram_output_resize(&shard->file, shard->bytes, err));
    return gram_output_write(&shard->file, 0, shard->header.at, shard->header.len, err);
}

/* As the file has it: [in, out]. */
static enum gram_status write_turned(const struct gram_writer *writer, struct gram_unit *unit,
                                     const float *x, struct gram_error *err)
{
    const int64_t rows = unit->slot->rows, cols = unit->slot->cols;
    float *turned = malloc((size_t)(rows * cols) * sizeof *turned);

    if (!turned)
        return gram_fail_memory(err, unit->slot->op);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            turned[c * rows + r] = x[r * cols + c];
    const enum gram_status status = gram_write_floats(writer, unit, turned, err);
    free(turned);
    return status;
}

static enum gram_status write_unit(const struct gram_export *e, const struct gram_writer *writer,
                                   struct gram_unit *unit, gram_export_fn *fn, void *context,
                                   struct gram_error *err)
{
    const int64_t slot = unit->slot ? unit->slot - e->ck.desc.slots : GRAM_EXPORT_NO_SLOT;
    struct gram_export_values values = {0};

    GRAM_TRY(fn(context, unit, slot, &values, err));
    unit->result.is_done = true;
    if (values.act_scale > 0.0f)
        unit->act_scale = values.act_scale;
    GRAM_TRY(gram_stream_poll(writer->stream, err));
    if (values.coded)
        return gram_write_coded(writer, unit, values.coded, err);
    if (values.floats && unit->slot && unit->slot->is_transposed)
        return write_turned(writer, unit, values.floats, err);
    if (values.floats)
        return gram_write_floats(writer, unit, values.floats, err);
    GRAM_ASSERT(unit->source->data || unit->source->count == 0);
    return gram_write_plain(writer, unit, err);
}

static enum gram_status close_shard(struct gram_export *e, struct gram_shard *shard,
                                    const struct gram_stream *stream, struct gram_error *err)
{
    int64_t n_bad = 0;

    GRAM_TRY(gram_verify_shard(&e->layout, shard, stream, &n_bad, err));
    if (n_bad > 0)
        return gram_fail(
            err, GRAM_EIO,
            "%s reads back different from what was written; the disk cannot be trusted",
            shard->name);
    GRAM_TRY(gram_output_sync(&shard->file, err));
    GRAM_TRY(gram_output_file_close(&shard->file, err));
    return gram_written_add(&e->written, shard->name, shard->bytes, shard->hash)
               ? GRAM_OK
               : gram_fail_memory(err, shard->name);
}

static enum gram_status write_weights(struct gram_export *e, struct gram_pool *pool,
                                      const struct gram_job *job, gram_export_fn *fn, void *context,
                                      struct gram_error *err)
{
    struct gram_stream stream;
    const struct gram_writer writer = {&stream, &e->layout, e->ck.store, false};

    gram_stream_init(&stream, e->ck.store, pool, job, NULL, e->layout.bytes_before);
    stream.is_hashing = false;
    for (int i = 0; i < e->layout.n_shards; i++)
        GRAM_TRY(open_shard(e, &e->layout.shards[i], err));
    for (int64_t i = 0; i < e->layout.n_units; i++)
        GRAM_TRY(write_unit(e, &writer, &e->layout.units[i], fn, context, err));
    for (int i = 0; i < e->layout.n_shards; i++)
        GRAM_TRY(close_shard(e, &e->layout.shards[i], &stream, err));
    return GRAM_OK;
}

enum gram_status gram_export_model(struct gram_export *e, struct gram_output *output,
                                   struct gram_pool *pool, const struct gram_job *job,
                                   gram_export_fn *fn, void *context, struct gram_error *err)
{
    e->output = output;
    GRAM_TRY(write_weights(e, pool, job, fn, context, err));
    GRAM_TRY(gram_sidecar_config(&e->written, output, &e->ck, e->assigned, err));
    GRAM_TRY(gram_sidecar_index(&e->written, output, &e->layout, err));
    return gram_sidecar_copy(&e->written, output, e->ck.path, err);
}
