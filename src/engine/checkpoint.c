/* Opening a model directory: config, architecture, tensors, container; every weight is looked for. */
#include "engine/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "formats/hub.h"
#include "tensor/dtype.h"

static enum gram_status open_config(struct gram_checkpoint *ck, struct gram_error *err)
{
    if (!gram_path_is_dir(ck->path))
        return gram_fail(err, GRAM_EFORMAT, "%s: not a model directory", ck->path);
    ck->config_path = gram_path_join(ck->path, "config.json");
    if (!ck->config_path)
        return gram_fail_memory(err, ck->path);
    GRAM_TRY(gram_json_load(&ck->config, ck->config_path, err));
    return gram_arch_describe(&ck->desc, ck->config, ck->config_path, &ck->arena, err);
}

static enum gram_status open_container(struct gram_checkpoint *ck, struct gram_error *err)
{
    const json_t *config = json_object_get(ck->config, "quantization_config");
    const char *method;

    if (!config || json_is_null(config))
        return GRAM_OK;
    if (!json_is_object(config))
        return gram_fail(err, GRAM_EFORMAT, "%s: quantization_config is not an object",
                         ck->config_path);
    GRAM_TRY(gram_json_str(config, "quant_method", "", &method, ck->config_path, err));
    ck->container = gram_container_find(method);
    if (!ck->container)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: quantization_config.quant_method '%s' is not one that gram reads",
                         ck->config_path, method);
    return ck->container->open(config, ck->config_path, &ck->arena, &ck->container_state, err);
}

const struct gram_tensor *gram_checkpoint_tensor(const struct gram_checkpoint *ck,
                                                 const struct gram_weight_slot *slot)
{
    const struct gram_tensor *tensor = gram_store_find(ck->store, slot->tensor);
    return tensor || !slot->alias ? tensor : gram_store_find(ck->store, slot->alias);
}

/* What the file has as [cols, rows], turned over in the arena. */
static enum gram_status bind_transposed(const struct gram_checkpoint *ck,
                                        const struct gram_weight_slot *slot,
                                        const struct gram_tensor *tensor, struct gram_arena *arena,
                                        struct gram_weight *w, struct gram_error *err)
{
    struct gram_weight stored;

    GRAM_TRY(gram_dense_bind(ck->store, tensor, slot->cols, slot->rows, arena, &stored, err));
    const size_t size = (size_t)(stored.row_bytes / stored.cols);
    char *turned = gram_arena_take(arena, (size_t)(slot->rows * slot->cols), size);
    if (!turned)
        return gram_fail_memory(err, slot->tensor);
    for (int64_t r = 0; r < slot->rows; r++)
        for (int64_t c = 0; c < slot->cols; c++)
            memcpy(turned + (size_t)(r * slot->cols + c) * size,
                   (const char *)stored.data + (size_t)(c * slot->rows + r) * size, size);
    *w = stored;
    w->rows = slot->rows;
    w->cols = slot->cols;
    w->data = turned;
    w->row_bytes = slot->cols * (int64_t)size;
    return GRAM_OK;
}

enum gram_status gram_checkpoint_read(const struct gram_checkpoint *ck,
                                      const struct gram_weight_slot *slot, float *to,
                                      struct gram_error *err)
{
    const struct gram_tensor *tensor = gram_checkpoint_tensor(ck, slot);
    struct gram_arena scratch = {0};
    struct gram_weight w;

    GRAM_ASSERT(tensor);
    const enum gram_status status =
        slot->is_transposed ? bind_transposed(ck, slot, tensor, &scratch, &w, err)
                            : gram_dense_bind(ck->store, tensor, slot->rows, slot->cols, &scratch, &w, err);
    if (status == GRAM_OK)
        gram_read_f32(to, w.data, w.dtype, 0, slot->rows * slot->cols);
    gram_arena_reset(&scratch);
    return status;
}

enum gram_status gram_checkpoint_bind(const struct gram_checkpoint *ck,
                                      const struct gram_weight_slot *slot, struct gram_arena *arena,
                                      struct gram_weight *w, struct gram_error *err)
{
    bool found = false;

    if (ck->container && slot->kind != GRAM_KIND_VECTOR)
        GRAM_TRY(ck->container->bind(ck->container_state, ck->store, slot->module, slot->rows,
                                     slot->cols, arena, w, &found, err));
    if (found)
        return GRAM_OK;
    const struct gram_tensor *tensor = gram_checkpoint_tensor(ck, slot);
    if (!tensor)
        return gram_fail(err, GRAM_ENOENT, "%s: tensor '%s' is missing", ck->path, slot->tensor);
    return slot->is_transposed
               ? bind_transposed(ck, slot, tensor, arena, w, err)
               : gram_dense_bind(ck->store, tensor, slot->rows, slot->cols, arena, w, err);
}

/* Is every weight there, in the shape that config.json predicts? What binding copies is thrown away. */
static enum gram_status check_weights(const struct gram_checkpoint *ck, struct gram_error *err)
{
    struct gram_arena scratch = {0};
    enum gram_status status = GRAM_OK;

    for (size_t i = 0; i < ck->desc.n_slots && status == GRAM_OK; i++) {
        struct gram_weight w;
        status = gram_checkpoint_bind(ck, &ck->desc.slots[i], &scratch, &w, err);
        gram_arena_reset(&scratch);
    }
    return status;
}

enum gram_status gram_checkpoint_open_unfinished(struct gram_checkpoint *ck, const char *path,
                                                 struct gram_error *err)
{
    *ck = (struct gram_checkpoint){0};
    GRAM_TRY(gram_hub_resolve(&ck->path, path, err));
    GRAM_TRY(open_config(ck, err));
    GRAM_TRY(gram_store_open(&ck->store, ck->path, err));
    return open_container(ck, err);
}

enum gram_status gram_checkpoint_open(struct gram_checkpoint *ck, const char *path,
                                      struct gram_error *err)
{
    GRAM_TRY(gram_checkpoint_open_unfinished(ck, path, err));
    return check_weights(ck, err);
}

void gram_checkpoint_reset(struct gram_checkpoint *ck)
{
    json_decref(ck->config);
    gram_store_close(&ck->store);
    gram_arena_reset(&ck->arena);
    free(ck->config_path);
    free(ck->path);
    *ck = (struct gram_checkpoint){0};
}
