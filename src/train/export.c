#include "train/export.h"

#include <string.h>

#include "quant/verify.h"
#include "quant/write.h"

enum gram_status gram_export_open(struct gram_export *e, const struct gram_checkpoint *ck,
                                  const char *scheme, struct gram_error *err)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_recipe recipe;

    *e = (struct gram_export){.ck = ck};
    options.scheme = scheme;
    GRAM_TRY(gram_recipe_read(&recipe, &options, &e->arena, err));
    e->assigned = gram_arena_take(&e->arena, ck->desc.n_slots, sizeof *e->assigned);
    if (!e->assigned)
        return gram_fail_memory(err, "the layout of the output");
    if (scheme)
        GRAM_TRY(gram_recipe_assign(&recipe, &ck->desc, e->assigned, err));
    return gram_layout_make(&e->layout, ck, &recipe, e->assigned, options.max_shard_bytes, err);
}

void gram_export_close(struct gram_export *e)
{
    gram_layout_reset(&e->layout);
    gram_written_reset(&e->written);
    gram_arena_reset(&e->arena);
    *e = (struct gram_export){0};
}

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

/* The steps that are stored as this tensor, if they were trained. */
static const struct gram_held *find_held(const struct gram_learner *learner,
                                         const struct gram_tensor *source)
{
    for (size_t i = 0; i < learner->ck->desc.n_slots; i++)
        if (learner->held[i] && learner->held[i]->stored == source)
            return learner->held[i];
    return NULL;
}

/* What moved comes from the learner, the rest from the source. */
static enum gram_status write_unit(const struct gram_writer *writer, struct gram_unit *unit,
                                   const struct gram_learner *learner, struct gram_error *err)
{
    const size_t i = unit->slot ? (size_t)(unit->slot - learner->ck->desc.slots) : 0;
    const struct gram_held *held = find_held(learner, unit->source);

    unit->result.is_done = true;
    if (held)
        return gram_write_floats(writer, unit, held->scales, err);
    if (unit->slot && learner->bindings[i].acts)
        unit->act_scale = learner->bindings[i].acts->scale;
    if (unit->slot && learner->fakes[i])
        return gram_write_coded(writer, unit, &learner->fakes[i]->coded, err);
    if (unit->slot && learner->weights[i] && unit->slot->is_transposed)
        return write_turned(writer, unit, learner->weights[i], err);
    if (unit->slot && learner->weights[i])
        return gram_write_floats(writer, unit, learner->weights[i], err);
    return gram_write_plain(writer, unit, err);
}

static enum gram_status close_shard(struct gram_export *e, struct gram_shard *shard,
                                    const struct gram_stream *stream, struct gram_error *err)
{
    int64_t n_bad = 0;

    GRAM_TRY(gram_verify_shard(&e->layout, shard, stream, &n_bad, err));
    if (n_bad > 0)
        return gram_fail(err, GRAM_EIO,
                         "%s reads back different from what was written; the disk cannot be trusted",
                         shard->name);
    GRAM_TRY(gram_output_sync(&shard->file, err));
    GRAM_TRY(gram_output_file_close(&shard->file, err));
    return gram_written_add(&e->written, shard->name, shard->bytes, shard->hash)
               ? GRAM_OK
               : gram_fail_memory(err, shard->name);
}

static enum gram_status write_weights(struct gram_export *e, const struct gram_learner *learner,
                                      const struct gram_job *job, struct gram_error *err)
{
    struct gram_stream stream;
    const struct gram_writer writer = {&stream, &e->layout, e->ck->store, false};

    gram_stream_init(&stream, e->ck->store, learner->rt->pool, job, NULL, e->layout.bytes_before);
    stream.is_hashing = false;
    for (int i = 0; i < e->layout.n_shards; i++)
        GRAM_TRY(open_shard(e, &e->layout.shards[i], err));
    for (int64_t i = 0; i < e->layout.n_units; i++)
        GRAM_TRY(write_unit(&writer, &e->layout.units[i], learner, err));
    for (int i = 0; i < e->layout.n_shards; i++)
        GRAM_TRY(close_shard(e, &e->layout.shards[i], &stream, err));
    return GRAM_OK;
}

enum gram_status gram_export_model(struct gram_export *e, struct gram_output *output,
                                   const struct gram_learner *learner, const struct gram_job *job,
                                   struct gram_error *err)
{
    e->output = output;
    GRAM_TRY(write_weights(e, learner, job, err));
    GRAM_TRY(gram_sidecar_config(&e->written, output, e->ck, e->assigned, err));
    GRAM_TRY(gram_sidecar_index(&e->written, output, &e->layout, err));
    return gram_sidecar_copy(&e->written, output, e->ck->path, err);
}
