/* Filling in the certificate; its layout is in the header. */
#include "quant/certificate.h"

#include <math.h>
#include <string.h>

#include <gram/api.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static json_t *file_entry(const char *name, uint64_t bytes, const char *hash)
{
    return json_pack("{s:s, s:I, s:s}", "name", name, "bytes", (json_int_t)bytes, "sha256", hash);
}

static json_t *source_entry(const struct gram_certificate *c)
{
    const struct gram_store *store = c->ck->store;
    json_t *files = json_array();

    for (int i = 0; i < gram_store_files(store); i++)
        json_array_append_new(files, file_entry(base_name(gram_store_file_path(store, i)),
                                                gram_store_file_size(store, i), c->source_hash[i]));
    return json_pack("{s:s, s:s, s:o}", "name", c->source_name, "architecture",
                     gram_arch_name(c->ck->desc.arch), "files", files);
}

static const char *method_name(const struct gram_scheme *scheme, const struct gram_method *method)
{
    return scheme->kind == GRAM_SCHEME_CODES ? method->about->name : NULL;
}

/* The options that the method takes; a scheme without codes has neither. */
static void add_method(json_t *entry, const struct gram_scheme *scheme, const struct gram_choosing *how)
{
    if (scheme->kind != GRAM_SCHEME_CODES)
        return;
    json_object_set_new(entry, "method", json_string(how->method->about->name));
    json_object_set_new(entry, "options",
                        gram_spec_json(&how->options, &gram_method_table, how->method->about->name));
}

static json_t *rule_entry(const struct gram_rule *rule)
{
    char scheme[GRAM_SCHEME_NAME];

    gram_scheme_name(scheme, &rule->scheme);
    json_t *entry = json_pack("{s:s, s:s}", "pattern", rule->pattern, "scheme", scheme);
    add_method(entry, &rule->scheme, &rule->how);
    return entry;
}

static json_t *recipe_entry(const struct gram_recipe *recipe)
{
    char scheme[GRAM_SCHEME_NAME];
    json_t *rules = json_array();

    for (size_t i = 0; i < recipe->n_rules; i++)
        json_array_append_new(rules, rule_entry(&recipe->rules[i]));
    gram_scheme_name(scheme, &recipe->scheme);
    json_t *entry = json_pack("{s:s?, s:o}", "scheme", recipe->has_scheme ? scheme : NULL, "rules", rules);
    if (recipe->has_scheme)
        add_method(entry, &recipe->scheme, &recipe->how);
    return entry;
}

static uint64_t count_fallbacks(const struct gram_layout *layout)
{
    uint64_t n = 0;
    for (int64_t i = 0; i < layout->n_units; i++)
        n += layout->units[i].result.fell_back;
    return n;
}

static json_t *totals_entry(const struct gram_certificate *c)
{
    const struct gram_layout *layout = c->layout;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "linears", (json_int_t)c->linears,
                     "kept", (json_int_t)c->kept, "fallbacks", (json_int_t)count_fallbacks(layout),
                     "parameters", (json_int_t)layout->parameters, "bytes_before",
                     (json_int_t)layout->bytes_before, "bytes_after",
                     (json_int_t)layout->bytes_after, "bits_per_weight",
                     8.0 * (double)layout->bytes_after / (double)layout->parameters);
}

static json_t *shape_entry(const struct gram_tensor *t)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer(t->shape[i]));
    return shape;
}

static void add_measured(json_t *entry, const char *key, double value)
{
    if (isfinite(value))
        json_object_set_new(entry, key, json_real(value));
}

static void add_count(json_t *entry, const char *key, uint64_t count)
{
    if (count > 0)
        json_object_set_new(entry, key, json_integer((json_int_t)count));
}

static json_t *tensor_entry(const struct gram_unit *unit)
{
    const struct gram_unit_result *r = &unit->result;
    const struct gram_scheme *s = &unit->how.scheme;
    const double relative = r->squares > 0 ? sqrt(r->squared_error / r->squares) : 0.0;
    char scheme[GRAM_SCHEME_NAME];

    gram_scheme_name(scheme, s);
    json_t *entry =
        json_pack("{s:s, s:s?, s:s, s:s*, s:s*, s:o}", "name", unit->source->name, "op",
                  unit->slot ? unit->slot->op : NULL, "scheme", scheme, "method",
                  method_name(s, unit->how.method), "scale_dtype",
                  s->kind == GRAM_SCHEME_CODES ? gram_dtype_name(unit->scale_dtype) : NULL, "shape",
                  shape_entry(unit->source));
    if (!entry)
        return NULL;
    add_measured(entry, "mse", r->squared_error / (double)unit->source->count);
    add_measured(entry, "relative_error", relative);
    add_measured(entry, "snr_db", -20.0 * log10(relative));
    if (r->tokens > 0 && r->output_error >= 0)
        add_measured(entry, "output_mse", r->output_error / (double)unit->slot->rows);
    add_count(entry, "tokens", r->tokens);
    if (r->damping > 0)
        add_measured(entry, "damping", r->damping);
    if (r->fell_back)
        json_object_set_new(entry, "fallback", json_string("mse"));
    add_count(entry, "clipped_scales", r->clipped);
    add_count(entry, "nonfinite", r->nonfinite);
    return entry;
}

static void add_tensors(json_t *root, const struct gram_layout *layout)
{
    json_t *tensors = json_array(), *kept = json_array();

    for (int64_t i = 0; i < layout->n_units; i++) {
        const struct gram_unit *unit = &layout->units[i];
        if (unit->how.scheme.kind == GRAM_SCHEME_KEEP && !unit->is_in_memory)
            json_array_append_new(kept, json_string(unit->source->name));
        else
            json_array_append_new(tensors, tensor_entry(unit));
    }
    json_object_set_new(root, "tensors", tensors);
    json_object_set_new(root, "kept", kept);
}

/* What was chosen in each block; one that was not rewritten has an empty note. */
static json_t *notes_entry(const struct gram_layout *layout)
{
    json_t *notes = json_array();
    for (int i = 0; i < layout->n_notes; i++)
        json_array_append_new(notes, json_string(layout->notes[i]));
    return notes;
}

static void add_transform(json_t *root, const struct gram_certificate *c)
{
    const char *name;

    if (!c->transform)
        return;
    name = c->transform->about->name;
    json_object_set_new(root, "transform",
                        json_pack("{s:s, s:o, s:o}", "name", name, "options",
                                  gram_spec_json(c->transform_options, &gram_transform_table, name), "blocks",
                                  notes_entry(c->layout)));
}

static void add_calibration(json_t *root, const struct gram_certificate *c)
{
    const bool is_kept = c->asked->stats || c->asked->save_stats;
    const struct gram_corpus *corpus = c->corpus;

    if (!corpus)
        return;
    json_t *entry =
        json_pack("{s:I, s:I, s:s, s:b, s:b, s:b, s:s*}", "tokens", (json_int_t)corpus->tokens,
                  "windows", (json_int_t)corpus->n_windows, "sha256", corpus->hash, "sequential",
                  c->asked->sequential && !is_kept, "drift_corrected", c->asked->correct_drift,
                  "biases_corrected", c->asked->correct_bias,
                  "observer", c->observer);
    if (entry)
        add_count(entry, "records", (uint64_t)corpus->records);
    if (entry && is_kept)
        json_object_set_new(entry, "kept", json_true());
    json_object_set_new(root, "calibration", entry);
}

static void add_files(json_t *root, const struct gram_written *written)
{
    json_t *files = json_array();

    for (size_t i = 0; i < written->n; i++)
        json_array_append_new(
            files, file_entry(written->at[i].name, written->at[i].bytes, written->at[i].hash));
    json_object_set_new(root, "files", files);
}

enum gram_status gram_certificate_print(const struct gram_certificate *c, char **out,
                                        struct gram_error *err)
{
    json_t *root =
        json_pack("{s:s, s:s, s:o, s:o, s:o}", "gram", GRAM_VERSION, "kind", "quantize", "source",
                  source_entry(c), "recipe", recipe_entry(c->recipe), "totals", totals_entry(c));
    *out = NULL;
    if (root) {
        add_transform(root, c);
        add_calibration(root, c);
        add_tensors(root, c->layout);
        add_files(root, c->written);
        *out = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
    }
    json_decref(root);
    return *out ? GRAM_OK : gram_fail_memory(err, "gram.json");
}
