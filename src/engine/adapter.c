/* Reading PEFT's LoRA. */
#include "engine/adapter.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/adapter_config.h"
#include "formats/store.h"
#include "tensor/dtype.h"
#include "tensor/finite.h"

double gram_lora_scale(const struct gram_lora *lora, const struct gram_lora_pair *pair)
{
    const double rank = (double)pair->rank;
    const double s = pair->alpha / (lora->is_rslora ? sqrt(rank) : rank);
    return lora->group ? s * (double)gram_lora_inputs(lora, pair) / (double)lora->group : s;
}

void gram_lora_add_row(const struct gram_lora *lora, const struct gram_lora_pair *pair,
                       double share, int64_t r, float *row)
{
    const int64_t n = gram_lora_inputs(lora, pair);
    const double scale = share * gram_lora_scale(lora, pair);

    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < pair->rank; k++)
            sum += (double)pair->b[r * pair->rank + k] * (double)pair->a[k * n + i];
        row[i] = (float)((double)row[i] + scale * sum);
    }
}

void gram_lora_reset(struct gram_lora *lora)
{
    gram_arena_reset(&lora->arena);
    *lora = (struct gram_lora){0};
}

void gram_lora_low_ranks(const struct gram_lora *lora, const struct gram_model_desc *desc,
                         int first_param, double share, struct gram_low_rank *out)
{
    for (size_t i = 0; i < lora->n_pairs; i++) {
        const struct gram_lora_pair *pair = &lora->pairs[i];
        out[i] = (struct gram_low_rank){.weight = (int)(pair->slot - desc->slots),
                                        .a = first_param + 2 * (int)i,
                                        .b = first_param + 2 * (int)i + 1,
                                        .rank = pair->rank,
                                        .scale = (float)(share * gram_lora_scale(lora, pair)),
                                        .group = lora->group,
                                        .dropout = (float)lora->dropout};
    }
}

/* ---- adapter_model.safetensors ---- */

/* "base_model.model.<module>.lora_A.weight"; NULL if it is not there. */
static const struct gram_tensor *find_half(const struct gram_store *store, const char *module,
                                           const char *half)
{
    char name[512];
    snprintf(name, sizeof name, "base_model.model.%s.%s.weight", module, half);
    return gram_store_find(store, name);
}

static enum gram_status check_half(const struct gram_tensor *t, int64_t rows, int64_t cols,
                                   const char *path, struct gram_error *err)
{
    if (t->rank != 2 || t->shape[0] != rows || t->shape[1] != cols ||
        !gram_dtype_info(t->dtype)->is_float)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: '%s' must be a floating matrix of shape [%" PRId64 ", %" PRId64 "]",
                         path, t->name, rows, cols);
    const int64_t bad = gram_find_nonfinite(t->data, t->dtype, t->count);
    if (bad < t->count)
        return gram_fail(err, GRAM_ENONFINITE,
                         "%s: '%s' holds a value that is not a number at element %" PRId64, path,
                         t->name, bad);
    return GRAM_OK;
}

static float *copy_half(struct gram_lora *lora, const struct gram_tensor *t)
{
    float *to = gram_arena_take(&lora->arena, (size_t)t->count, sizeof *to);
    if (to)
        gram_read_f32(to, t->data, t->dtype, 0, t->count);
    return to;
}

/* An adapter at work. */
struct reading {
    struct gram_lora *lora;
    struct gram_adapter_config config;
    const struct gram_model_desc *desc;
    const struct gram_store *store;
    const char *path; /* of the tensors */
};

/* What the config says of the linear must be what the tensors are. */
static enum gram_status place_pair(const struct reading *r, struct gram_lora_pair *pair,
                                   struct gram_error *err)
{
    const struct gram_weight_slot *slot = pair->slot;
    int64_t rank;
    bool is_target;

    GRAM_TRY(
        gram_adapter_config_find(&r->config, slot->module, &is_target, &rank, &pair->alpha, err));
    if (!is_target)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: holds a pair for %s, which is not among target_modules", r->path,
                         slot->module);
    if (rank != pair->rank)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: the pair of %s has rank %" PRId64
                         ", but adapter_config.json says %" PRId64,
                         r->path, slot->module, pair->rank, rank);
    if (r->config.group && slot->cols % r->config.group != 0)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: qalora_group_size is %" PRId64 ", which does not divide the %" PRId64
                         " columns of %s",
                         r->config.where, r->config.group, slot->cols, slot->module);
    return GRAM_OK;
}

static enum gram_status read_pair(const struct reading *r, const struct gram_weight_slot *slot,
                                  const struct gram_tensor *a, const struct gram_tensor *b,
                                  struct gram_error *err)
{
    struct gram_lora *lora = r->lora;
    struct gram_lora_pair *pair = &lora->pairs[lora->n_pairs];

    if (!a || !b)
        return gram_fail(err, GRAM_EFORMAT, "%s: %s has only one half of its pair", r->path,
                         slot->module);
    *pair = (struct gram_lora_pair){.slot = slot, .rank = a->rank == 2 ? a->shape[0] : 0};
    if (pair->rank < 1)
        return gram_fail(err, GRAM_EFORMAT, "%s: '%s' must be a matrix with a row per rank",
                         r->path, a->name);
    GRAM_TRY(place_pair(r, pair, err));
    GRAM_TRY(check_half(a, pair->rank, gram_lora_inputs(lora, pair), r->path, err));
    GRAM_TRY(check_half(b, slot->rows, pair->rank, r->path, err));
    pair->a = copy_half(lora, a);
    pair->b = copy_half(lora, b);
    if (!pair->a || !pair->b)
        return gram_fail_memory(err, r->path);
    lora->n_pairs++;
    return GRAM_OK;
}

static enum gram_status read_pairs(const struct reading *r, struct gram_error *err)
{
    struct gram_lora *lora = r->lora;

    lora->pairs = gram_arena_take(&lora->arena, r->desc->n_slots, sizeof *lora->pairs);
    if (!lora->pairs)
        return gram_fail_memory(err, r->path);
    for (size_t i = 0; i < r->desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &r->desc->slots[i];
        if (slot->kind != GRAM_KIND_LINEAR && slot->kind != GRAM_KIND_LM_HEAD)
            continue;
        const struct gram_tensor *a = find_half(r->store, slot->module, "lora_A");
        const struct gram_tensor *b = find_half(r->store, slot->module, "lora_B");
        if (a || b)
            GRAM_TRY(read_pair(r, slot, a, b, err));
    }
    if (2 * lora->n_pairs == gram_store_count(r->store) && lora->n_pairs > 0)
        return GRAM_OK;
    return gram_fail(
        err, GRAM_EUNSUPPORTED,
        "%s: holds %zu tensors, but only %zu are halves of pairs for linears of this model",
        r->path, gram_store_count(r->store), 2 * lora->n_pairs);
}

static enum gram_status read_files(struct reading *r, const char *config, const char *path,
                                   struct gram_error *err)
{
    struct gram_store *store = NULL;

    enum gram_status status = gram_adapter_config_open(&r->config, config, err);
    if (status == GRAM_OK) {
        r->path = path;
        r->lora->rank = r->config.rank;
        r->lora->alpha = r->config.alpha;
        r->lora->is_rslora = r->config.is_rslora;
        r->lora->group = r->config.group;
        status = gram_store_open(&store, path, err);
    }
    r->store = store;
    if (status == GRAM_OK)
        status = read_pairs(r, err);
    gram_store_close(&store);
    gram_adapter_config_close(&r->config);
    return status;
}

enum gram_status gram_lora_read(struct gram_lora *lora, const struct gram_model_desc *desc,
                                const char *path, struct gram_error *err)
{
    struct reading r = {.lora = lora, .desc = desc};
    char *config = gram_path_join(path, "adapter_config.json");
    char *weights = gram_path_join(path, "adapter_model.safetensors");

    *lora = (struct gram_lora){0};
    const enum gram_status status = config && weights
                                        ? read_files(&r, config, weights, err)
                                        : gram_fail_memory(err, "the paths of an adapter");
    free(config);
    free(weights);
    return status;
}
