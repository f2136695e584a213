/*
 * What a merge says of itself: gram.json and the caller's report.
 *
 * {
 *   "gram": version, "kind": "merge", "architecture",
 *   "source": {"files": [{"name", "bytes", "sha256"}]},
 *   "adapters": [{"weight", "files": [...]}],
 *   "totals": {"linears", "exact", "change", "relative_error", "bytes"},
 *   "measured": {"tokens", "ppl_unmerged", "ppl", "kl_mean", "top1_agreement"},   if there was a
 * text "tensors": [{"op", "scheme", "change", "relative_error"}],   of linears that were merged
 *   "files": [...]
 * }
 * change and relative_error are lengths of s B A and of what storing W + s B A lost, over that of
 * the sum.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "train/merging.h"

double gram_merging_share(double part, double squares)
{
    return squares > 0.0 ? sqrt(part / squares) : 0.0;
}

void gram_merging_sum_up(struct gram_merging *m)
{
    double squares = 0.0, change = 0.0, error = 0.0;

    for (size_t i = 0; i < m->ck.desc.n_slots; i++) {
        const struct gram_merging_result *r = &m->results[i];
        if (!r->is_merged)
            continue;
        m->report.linears++;
        m->report.exact += gram_merging_share(r->error, r->squares) <= GRAM_MERGE_EXACT;
        squares += r->squares;
        change += r->change;
        error += r->error;
    }
    m->report.change = gram_merging_share(change, squares);
    m->report.error = gram_merging_share(error, squares);
    m->report.bytes = m->export.layout.bytes_after;
}

/* ---- files ---- */

static enum gram_status add_file(json_t *list, const char *path, struct gram_error *err)
{
    const char *slash = strrchr(path, '/');
    char hex[GRAM_SHA256_HEX];
    struct gram_sha256 hash;
    struct gram_file *file;

    GRAM_TRY(gram_file_open(&file, path, err));
    const size_t n = (size_t)gram_file_size(file);
    gram_sha256_init(&hash);
    gram_sha256_add(&hash, gram_file_view(file, 0, n), n);
    gram_sha256_hex(&hash, hex);
    gram_file_close(&file);
    json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "name", slash ? slash + 1 : path,
                                          "bytes", (json_int_t)n, "sha256", hex));
    return GRAM_OK;
}

static enum gram_status add_source(json_t *root, const struct gram_merging *m,
                                   struct gram_error *err)
{
    json_t *files = json_array();

    json_object_set_new(root, "source", json_pack("{s:o}", "files", files));
    for (int i = 0; i < gram_store_files(m->ck.store); i++)
        GRAM_TRY(add_file(files, gram_store_file_path(m->ck.store, i), err));
    return GRAM_OK;
}

static enum gram_status add_adapter(json_t *list, const struct gram_adapter *adapter,
                                    struct gram_error *err)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors"};
    json_t *files = json_array();

    json_array_append_new(list, json_pack("{s:f, s:o}", "weight", adapter->weight, "files", files));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = gram_path_join(adapter->path, names[i]);
        const enum gram_status status =
            path ? add_file(files, path, err) : gram_fail_memory(err, adapter->path);
        free(path);
        GRAM_TRY(status);
    }
    return GRAM_OK;
}

static enum gram_status add_adapters(json_t *root, const struct gram_merging *m,
                                     struct gram_error *err)
{
    json_t *list = json_array();

    json_object_set_new(root, "adapters", list);
    for (size_t i = 0; i < m->n; i++)
        GRAM_TRY(add_adapter(list, &m->adapters[i], err));
    return GRAM_OK;
}

/* ---- figures ---- */

static void add_figures(json_t *root, const struct gram_merging *m)
{
    const struct gram_merge_report *r = &m->report;

    json_object_set_new(root, "totals",
                        json_pack("{s:I, s:I, s:f, s:f, s:I}", "linears", (json_int_t)r->linears,
                                  "exact", (json_int_t)r->exact, "change", r->change,
                                  "relative_error", r->error, "bytes", (json_int_t)r->bytes));
    if (r->is_measured)
        json_object_set_new(root, "measured",
                            json_pack("{s:I, s:f, s:f, s:f, s:f}", "tokens", (json_int_t)r->tokens,
                                      "ppl_unmerged", r->ppl_unmerged, "ppl", r->ppl, "kl_mean",
                                      r->kl_mean, "top1_agreement", r->top1_agreement));
}

static void add_tensors(json_t *root, const struct gram_merging *m)
{
    json_t *tensors = json_array(), *files = json_array();

    for (size_t i = 0; i < m->ck.desc.n_slots; i++) {
        const struct gram_merging_result *r = &m->results[i];
        if (r->is_merged)
            json_array_append_new(
                tensors, json_pack("{s:s, s:s, s:f, s:f}", "op", m->ck.desc.slots[i].op, "scheme",
                                   r->scheme, "change", gram_merging_share(r->change, r->squares),
                                   "relative_error", gram_merging_share(r->error, r->squares)));
    }
    for (size_t i = 0; i < m->export.written.n; i++) {
        const struct gram_written_file *file = &m->export.written.at[i];
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", file->name, "bytes",
                                               (json_int_t)file->bytes, "sha256", file->hash));
    }
    json_object_set_new(root, "tensors", tensors);
    json_object_set_new(root, "files", files);
}

enum gram_status gram_merging_certify(const struct gram_merging *m, struct gram_error *err)
{
    json_t *root = json_pack("{s:s, s:s, s:s}", "gram", GRAM_VERSION, "kind", "merge",
                             "architecture", gram_arch_name(m->ck.desc.arch));
    enum gram_status status = root ? GRAM_OK : gram_fail_memory(err, "gram.json");

    if (status == GRAM_OK)
        status = add_source(root, m, err);
    if (status == GRAM_OK)
        status = add_adapters(root, m, err);
    if (status == GRAM_OK) {
        add_figures(root, m);
        add_tensors(root, m);
        char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
        status = text ? gram_output_put(m->output, "gram.json", text, strlen(text), err)
                      : gram_fail_memory(err, "gram.json");
        free(text);
    }
    json_decref(root);
    return status;
}
