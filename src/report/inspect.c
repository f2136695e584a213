/* What is inside: a model's numbers, each tensor, and the size under each preset scheme. */
#include <gram/inspect.h>

#include <stdlib.h>
#include <string.h>

#include <gram/quantize.h>
#include "base/file.h"
#include "base/runtime.h"
#include "engine/model.h"
#include "formats/stored_parts.h"
#include "report/statistics.h"
#include "tensor/dtype.h"
#include "tensor/scheme.h"

/* What the report borrows from. */
struct owner {
    struct gram_model *model; /* NULL for a lone file */
    struct gram_store *file;  /* NULL for a model */
    char *path;
    struct gram_tensor_report *tensors;
    struct gram_scheme_cost *costs;
};

void gram_inspect_reset(struct gram_inspect_report *report)
{
    struct owner *owner = report->owner;
    if (owner) {
        gram_model_close(&owner->model);
        gram_store_close(&owner->file);
        free(owner->path);
        free(owner->tensors);
        free(owner->costs);
        free(owner);
    }
    *report = (struct gram_inspect_report){0};
}

static enum gram_status tell(const struct gram_job *job, const char *name, uint64_t done,
                             uint64_t total, struct gram_error *err)
{
    const struct gram_progress progress = {"inspect", name, done, total, "B"};
    if (job && job->progress)
        job->progress(job->user, &progress);
    if (job && job->cancelled && job->cancelled(job->user))
        return gram_fail(err, GRAM_ECANCELED, "interrupted at tensor '%s'", name);
    return GRAM_OK;
}

static enum gram_status list_tensors(struct gram_inspect_report *report, struct owner *owner,
                                     const struct gram_store *store, struct gram_pool *pool,
                                     bool with_statistics, const struct gram_job *job,
                                     struct gram_error *err)
{
    const size_t n = gram_store_count(store);
    uint64_t done = 0;

    owner->tensors = calloc(n + 1, sizeof *owner->tensors);
    if (!owner->tensors)
        return gram_fail_memory(err, "the list of tensors");
    report->tensors = owner->tensors;
    report->n_tensors = n;
    for (size_t i = 0; i < n; i++) {
        struct gram_tensor_report *one = &owner->tensors[i];
        one->tensor = *gram_store_at(store, i);
        GRAM_TRY(tell(job, one->tensor.name, done, gram_store_bytes(store), err));
        if (with_statistics && gram_dtype_info(one->tensor.dtype)->is_float)
            GRAM_TRY(gram_tensor_statistics(one, store, pool, err));
        done += one->tensor.bytes;
    }
    return tell(job, "", done, done, err);
}

/* Does every linear divide into the scheme's groups? */
static bool scheme_fits(const struct gram_model_desc *desc, const struct gram_scheme *scheme)
{
    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->kind == GRAM_KIND_LINEAR && scheme->granularity == GRAM_PER_GROUP &&
            scheme->kind == GRAM_SCHEME_CODES && slot->cols % scheme->group != 0)
            return false;
    }
    return true;
}

/* All tensors' bytes with the linears under `scheme`; a cast takes everything. */
static bool cost_of(uint64_t *cost, const struct gram_model *model, const struct gram_scheme *scheme)
{
    const struct gram_model_desc *desc = &model->ck.desc;
    uint64_t bytes = gram_store_bytes(model->ck.store), there;

    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        const struct gram_tensor *tensor = gram_checkpoint_tensor(&model->ck, slot);
        if (!tensor || (scheme->kind == GRAM_SCHEME_CODES && slot->kind != GRAM_KIND_LINEAR))
            continue;
        const enum gram_dtype scales = tensor->dtype == GRAM_F64 ? GRAM_F32 : tensor->dtype;
        if (!gram_scheme_bytes(&there, scheme, slot->rows, slot->cols, tensor->dtype, scales))
            return false;
        bytes += there - tensor->bytes;
    }
    *cost = bytes;
    return true;
}

static enum gram_status list_costs(struct gram_inspect_report *report, struct owner *owner,
                                   struct gram_error *err)
{
    const struct gram_choice *schemes = gram_schemes();
    size_t n = 0;

    while (schemes[n].name)
        n++;
    owner->costs = calloc(n + 1, sizeof *owner->costs);
    if (!owner->costs)
        return gram_fail_memory(err, "the list of schemes");
    report->costs = owner->costs;
    for (size_t i = 0; i < n; i++) {
        struct gram_scheme scheme;
        GRAM_TRY(gram_scheme_parse(&scheme, schemes[i].name, err));
        if (!scheme_fits(&owner->model->ck.desc, &scheme))
            continue;
        uint64_t bytes;
        if (!cost_of(&bytes, owner->model, &scheme))
            return gram_fail_memory(err, "the list of schemes");
        owner->costs[report->n_costs++] = (struct gram_scheme_cost){
            schemes[i].name, bytes, 8.0 * (double)bytes / (double)report->info.parameters};
    }
    return GRAM_OK;
}

static bool is_lone_file(const char *path)
{
    static const char suffix[] = ".safetensors";
    const size_t len = strlen(path), n = sizeof suffix - 1;
    return len > n && strcmp(path + len - n, suffix) == 0 && !gram_path_is_dir(path);
}

static enum gram_status inspect(struct gram_inspect_report *report, struct owner *owner,
                                struct gram_runtime *rt, const char *path, bool with_statistics,
                                const struct gram_job *job, struct gram_error *err)
{
    report->is_model = !is_lone_file(path);
    if (!report->is_model) {
        report->info.path = owner->path;
        GRAM_TRY(gram_store_open(&owner->file, path, err));
        return list_tensors(report, owner, owner->file, rt->pool, with_statistics, job, err);
    }
    GRAM_TRY(gram_model_open(&owner->model, rt, path, err));
    gram_model_info(owner->model, &report->info);
    if (!owner->model->ck.container)
        GRAM_TRY(list_costs(report, owner, err));
    return list_tensors(report, owner, owner->model->ck.store, rt->pool, with_statistics, job, err);
}

enum gram_status gram_inspect(struct gram_inspect_report *report, struct gram_runtime *rt,
                              const char *path, bool with_statistics, const struct gram_job *job,
                              struct gram_error *err)
{
    *report = (struct gram_inspect_report){0};
    struct owner *owner = calloc(1, sizeof *owner);
    if (!owner || !(owner->path = strdup(path))) {
        free(owner);
        return gram_fail_memory(err, path);
    }
    report->owner = owner;
    const enum gram_status status =
        inspect(report, owner, rt, path, with_statistics, job, err);
    if (status != GRAM_OK)
        gram_inspect_reset(report);
    return status;
}
