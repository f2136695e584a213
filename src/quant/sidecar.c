/* Writing and copying small files. */
#include "quant/sidecar.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "formats/bitsandbytes.h"
#include "formats/compressed_tensors.h"
#include "tensor/dtype.h"

/* What is copied, as shell patterns. */
static const char *const copied[] = {
    "tokenizer*.json",
    "tokenizer*.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.tiktoken",
    "spiece.model",
    "generation_config.json",
    "chat_template*",
    "preprocessor_config.json",
    "processor_config.json",
    "LICENSE*",
    "LICENCE*",
    "NOTICE*",
    "USE_POLICY*",
};
enum { MAX_FILES = 256 };

void gram_written_reset(struct gram_written *written)
{
    gram_arena_reset(&written->arena);
    free(written->at);
    *written = (struct gram_written){0};
}

bool gram_written_add(struct gram_written *written, const char *name, uint64_t bytes,
                      const char *hash)
{
    void *at = written->at;
    if (!gram_grow(&at, &written->cap, written->n + 1, sizeof *written->at))
        return false;
    written->at = at;
    struct gram_written_file *file = &written->at[written->n];
    file->name = gram_arena_str(&written->arena, name);
    file->bytes = bytes;
    memcpy(file->hash, hash, GRAM_SHA256_HEX);
    written->n += file->name != NULL;
    return file->name != NULL;
}

enum gram_status gram_sidecar_put(struct gram_written *written, const struct gram_output *output,
                                  const char *name, const char *bytes, size_t n,
                                  struct gram_error *err)
{
    struct gram_sha256 hash;
    char hex[GRAM_SHA256_HEX];

    gram_sha256_init(&hash);
    gram_sha256_add(&hash, bytes, n);
    gram_sha256_hex(&hash, hex);
    GRAM_TRY(gram_output_put(output, name, bytes, n, err));
    return gram_written_add(written, name, n, hex) ? GRAM_OK : gram_fail_memory(err, name);
}

/* Reals with 15 digits where that gives the same numbers (1e-05), else with 17. */
static char *print_json(const json_t *value)
{
    const size_t flags = JSON_INDENT(2) | JSON_ENSURE_ASCII;
    char *text = json_dumps(value, flags | JSON_REAL_PRECISION(15));
    json_t *back = text ? json_loads(text, 0, NULL) : NULL;
    const bool is_same = back && json_equal(back, value);

    json_decref(back);
    if (is_same || !text)
        return text;
    free(text);
    return json_dumps(value, flags | JSON_REAL_PRECISION(17));
}

static enum gram_status put_json(struct gram_written *written, const struct gram_output *output,
                                 const char *name, const json_t *value, struct gram_error *err)
{
    char *printed = value ? print_json(value) : NULL;
    struct gram_buf text = {0};

    if (printed)
        gram_buf_printf(&text, "%s\n", printed);
    free(printed);
    const enum gram_status status =
        text.len > 0 && !text.failed
            ? gram_sidecar_put(written, output, name, text.at, text.len, err)
            : gram_fail_memory(err, name);
    gram_buf_reset(&text);
    return status;
}

/* ---- config.json ---- */

/* The name that transformers has for a dtype, under the key that this config uses. */
static int set_dtype(json_t *config, enum gram_dtype dtype)
{
    const char *key = json_object_get(config, "dtype") ? "dtype" : "torch_dtype";
    const char *name = dtype == GRAM_F32 ? "float32" : dtype == GRAM_F16 ? "float16" : "bfloat16";
    return json_object_set_new(config, key, json_string(name));
}

/* Of a cast of the whole model: the dtype that its embedding gets; GRAM_N_DTYPE if it is kept. */
static enum gram_dtype whole_cast(const struct gram_checkpoint *ck,
                                  const struct gram_assignment *assigned)
{
    for (size_t i = 0; i < ck->desc.n_slots; i++) {
        if (ck->desc.slots[i].kind == GRAM_KIND_EMBEDDING &&
            assigned[i].scheme.kind == GRAM_SCHEME_CAST)
            return assigned[i].scheme.dtype;
    }
    return GRAM_N_DTYPE;
}

/* The scheme of linears that bitsandbytes is to hold; NULL if there are none. Recipes do not mix them. */
static const struct gram_scheme *bitsandbytes_scheme(const struct gram_checkpoint *ck,
                                                     const struct gram_assignment *assigned)
{
    for (size_t i = 0; i < ck->desc.n_slots; i++) {
        const char *container = gram_scheme_container(&assigned[i].scheme);
        if (container && strcmp(container, "bitsandbytes") == 0)
            return &assigned[i].scheme;
    }
    return NULL;
}

static enum gram_dtype model_dtype(const struct gram_checkpoint *ck)
{
    for (size_t i = 0; i < ck->desc.n_slots; i++) {
        const struct gram_tensor *t = gram_checkpoint_tensor(ck, &ck->desc.slots[i]);
        if (t && ck->desc.slots[i].kind == GRAM_KIND_LINEAR)
            return t->dtype;
    }
    return GRAM_F32;
}

static json_t *bitsandbytes_config(const struct gram_scheme *scheme,
                                   const struct gram_compressed_linear *linears, size_t n,
                                   enum gram_dtype dtype)
{
    const char **skipped = calloc(n + 1, sizeof *skipped);
    size_t n_skipped = 0;

    for (size_t i = 0; skipped && i < n; i++) {
        if (linears[i].scheme->kind != GRAM_SCHEME_CODES)
            skipped[n_skipped++] = linears[i].module;
    }
    json_t *config = skipped ? gram_bnb_config(scheme, skipped, n_skipped, dtype) : NULL;
    free(skipped);
    return config;
}

/* All linears of the model. A tied head is one too, to the tools that read the config. */
static json_t *quantization_config(const struct gram_checkpoint *ck,
                                   const struct gram_assignment *assigned, bool *is_quantized)
{
    static const struct gram_scheme kept = {.kind = GRAM_SCHEME_KEEP};
    struct gram_compressed_linear *linears = calloc(ck->desc.n_slots + 1, sizeof *linears);
    bool has_head = false;
    size_t n = 0;

    *is_quantized = false;
    for (size_t i = 0; linears && i < ck->desc.n_slots; i++) {
        const struct gram_weight_slot *slot = &ck->desc.slots[i];
        if (slot->kind != GRAM_KIND_LINEAR && slot->kind != GRAM_KIND_LM_HEAD)
            continue;
        has_head |= slot->kind == GRAM_KIND_LM_HEAD;
        *is_quantized |= assigned[i].scheme.kind == GRAM_SCHEME_CODES;
        linears[n++] =
            (struct gram_compressed_linear){slot->module, &assigned[i].scheme,
                                            assigned[i].method ? assigned[i].method->observer : ""};
    }
    if (linears && !has_head)
        linears[n++] = (struct gram_compressed_linear){"lm_head", &kept, ""};
    const struct gram_scheme *bnb = bitsandbytes_scheme(ck, assigned);
    json_t *config = NULL;
    if (linears && *is_quantized)
        config = bnb ? bitsandbytes_config(bnb, linears, n, model_dtype(ck))
                     : gram_compressed_config(linears, n);
    *is_quantized |= !linears; /* so that NULL is taken for what it is */
    free(linears);
    return config;
}

enum gram_status gram_sidecar_config(struct gram_written *written, const struct gram_output *output,
                                     const struct gram_checkpoint *ck,
                                     const struct gram_assignment *assigned, struct gram_error *err)
{
    const enum gram_dtype cast = whole_cast(ck, assigned);
    bool is_quantized, ok = true;
    json_t *config = json_deep_copy(ck->config);
    json_t *quantization = quantization_config(ck, assigned, &is_quantized);

    if (!ck->desc.hp.tied && json_is_true(json_object_get(config, "tie_word_embeddings")))
        ok &= json_object_set_new(config, "tie_word_embeddings", json_false()) == 0;
    if (cast != GRAM_N_DTYPE)
        ok &= config && set_dtype(config, cast) == 0;
    if (is_quantized)
        ok &= config && json_object_set_new(config, "quantization_config", quantization) == 0;
    const enum gram_status status = ok ? put_json(written, output, "config.json", config, err)
                                       : gram_fail_memory(err, "config.json");
    json_decref(config);
    return status;
}

enum gram_status gram_sidecar_index(struct gram_written *written, const struct gram_output *output,
                                    const struct gram_layout *layout, struct gram_error *err)
{
    json_t *map = json_object();

    if (layout->n_shards == 1) {
        json_decref(map);
        return GRAM_OK;
    }
    for (int64_t i = 0; i < layout->n_units; i++) {
        for (int p = 0; p < GRAM_MAX_PARTS; p++) {
            if (gram_unit_has(&layout->units[i], p))
                json_object_set_new(map, layout->units[i].parts[p].name,
                                    json_string(layout->shards[layout->units[i].shard].name));
        }
    }
    json_t *index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size",
                              (json_int_t)layout->bytes_after, "weight_map", map);
    const enum gram_status status =
        put_json(written, output, "model.safetensors.index.json", index, err);
    json_decref(index);
    return status;
}

/* ---- copies ---- */

static int is_copied(const struct dirent *entry)
{
    for (size_t i = 0; i < sizeof copied / sizeof copied[0] && entry->d_type != DT_DIR; i++) {
        if (fnmatch(copied[i], entry->d_name, FNM_PERIOD) == 0)
            return 1;
    }
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum gram_status copy_file(struct gram_written *written, const struct gram_output *output,
                                  const char *folder, const char *name, struct gram_error *err)
{
    char *path = gram_path_join(folder, name);
    struct gram_file *file;

    if (!path)
        return gram_fail_memory(err, name);
    enum gram_status status = gram_file_open(&file, path, err);
    if (status == GRAM_OK) {
        const size_t size = (size_t)gram_file_size(file);
        status = gram_sidecar_put(written, output, name, gram_file_view(file, 0, size), size, err);
        gram_file_close(&file);
    }
    free(path);
    return status;
}

/* Call fn for every file that is copied, in alphabetical order. */
static enum gram_status each_copied(const char *folder,
                                    enum gram_status (*fn)(void *context, const char *name,
                                                           struct gram_error *err),
                                    void *context, struct gram_error *err)
{
    struct dirent **entries;
    enum gram_status status = GRAM_OK;
    const int n = scandir(folder, &entries, is_copied, by_name);

    if (n < 0)
        return gram_fail(err, gram_status_of_errno(errno), "%s: cannot be listed: %s", folder,
                         strerror(errno));
    if (n > MAX_FILES)
        status =
            gram_fail(err, GRAM_EFORMAT, "%s: more than %d tokenizer files", folder, MAX_FILES);
    for (int i = 0; i < n; i++) {
        if (status == GRAM_OK)
            status = fn(context, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

struct copy_context {
    struct gram_written *written;
    const struct gram_output *output;
    const char *folder;
    uint64_t bytes;
};

static enum gram_status copy_one(void *context, const char *name, struct gram_error *err)
{
    struct copy_context *c = context;
    return copy_file(c->written, c->output, c->folder, name, err);
}

static enum gram_status measure_one(void *context, const char *name, struct gram_error *err)
{
    struct copy_context *c = context;
    char *path = gram_path_join(c->folder, name);
    struct stat st;

    (void)err;
    if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode))
        c->bytes += (uint64_t)st.st_size;
    free(path);
    return GRAM_OK;
}

enum gram_status gram_sidecar_copy(struct gram_written *written, const struct gram_output *output,
                                   const char *folder, struct gram_error *err)
{
    struct copy_context c = {.written = written, .output = output, .folder = folder};
    return each_copied(folder, copy_one, &c, err);
}

uint64_t gram_sidecar_bytes(const char *folder)
{
    struct copy_context c = {.folder = folder};
    struct gram_error ignored;

    each_copied(folder, measure_one, &c, &ignored);
    return c.bytes;
}
