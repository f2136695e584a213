/*
 * Is everything in order? Opens what run would open, and then looks at every byte: finite weights, ids inside
 * the embedding, hashes as the certificate states them.
 */
#include <gram/check.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <gram/tokenizer.h>
#include "base/checked.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/runtime.h"
#include "engine/checkpoint.h"
#include "tensor/dtype.h"
#include "tensor/finite.h"

struct check {
    struct gram_check_report *report;
    struct gram_pool *pool;
    const struct gram_job *job;
    uint64_t total; /* bytes to be read */
};

static enum gram_status tell(struct check *c, const char *item, struct gram_error *err)
{
    const struct gram_progress progress = {"check", item, c->report->bytes, c->total, "B"};
    if (c->job && c->job->progress)
        c->job->progress(c->job->user, &progress);
    if (c->job && c->job->cancelled && c->job->cancelled(c->job->user))
        return gram_fail(err, GRAM_ECANCELED, "interrupted at '%s'", item);
    return GRAM_OK;
}

/* The first element of each chunk that is not finite, or -1. */
enum { CHUNK = 1 << 20 };
struct scan {
    const struct gram_tensor *tensor;
    int64_t *found;
};

static void scan_chunks(void *context, int64_t begin, int64_t end, int worker)
{
    const struct scan *scan = context;
    const struct gram_tensor *t = scan->tensor;
    (void)worker;
    for (int64_t c = begin; c < end; c++) {
        const char *data = (const char *)t->data + c * CHUNK * (gram_dtype_bits(t->dtype) / 8);
        const int64_t n = gram_min_i64(CHUNK, t->count - c * CHUNK);
        const int64_t at = gram_find_nonfinite(data, t->dtype, n);
        scan->found[c] = at < n ? c * CHUNK + at : -1;
    }
}

static enum gram_status check_finite(struct check *c, const struct gram_store *store,
                                     const struct gram_tensor *t, struct gram_error *err)
{
    const int64_t n = gram_ceil_div(t->count, CHUNK);
    struct scan scan = {t, calloc((size_t)n + 1, sizeof *scan.found)};
    int64_t at = -1;

    if (!scan.found)
        return gram_fail_memory(err, t->name);
    gram_pool_for(c->pool, n, 1, scan_chunks, &scan);
    for (int64_t i = 0; i < n && at < 0; i++)
        at = scan.found[i];
    free(scan.found);
    if (at >= 0) {
        float value;
        gram_read_f32(&value, t->data, t->dtype, at, 1);
        return gram_fail(err, GRAM_ENONFINITE, "%s: tensor '%s' element %" PRId64 " is %f",
                         gram_store_file_path(store, t->file), t->name, at, (double)value);
    }
    if (t->rank > 0)
        gram_store_release(store, t, 0, t->shape[0]);
    return GRAM_OK;
}

static enum gram_status check_tensors(struct check *c, const struct gram_store *store,
                                      struct gram_error *err)
{
    for (size_t i = 0; i < gram_store_count(store); i++) {
        const struct gram_tensor *t = gram_store_at(store, i);
        GRAM_TRY(tell(c, t->name, err));
        if (gram_dtype_info(t->dtype)->is_float)
            GRAM_TRY(check_finite(c, store, t, err));
        c->report->tensors++;
        c->report->bytes += t->bytes;
    }
    return GRAM_OK;
}

static enum gram_status hash_file(struct check *c, const char *path, char hex[GRAM_SHA256_HEX],
                                  struct gram_error *err)
{
    enum { STEP = 8 << 20 };
    struct gram_sha256 hash;
    struct gram_file *file;
    enum gram_status status = GRAM_OK;

    GRAM_TRY(gram_file_open(&file, path, err));
    gram_sha256_init(&hash);
    for (uint64_t at = 0; at < gram_file_size(file) && status == GRAM_OK; at += STEP) {
        const uint64_t left = gram_file_size(file) - at, n = left < STEP ? left : STEP;
        gram_sha256_add(&hash, gram_file_view(file, at, n), (size_t)n);
        gram_file_release(file, at, n);
        c->report->bytes += n;
        status = tell(c, path, err);
    }
    gram_file_close(&file);
    gram_sha256_hex(&hash, hex);
    return status;
}

static enum gram_status check_hash(struct check *c, const char *dir, const char *name,
                                   const char *expected, struct gram_error *err)
{
    char hex[GRAM_SHA256_HEX];
    char *path = gram_path_join(dir, name);

    if (!path)
        return gram_fail_memory(err, name);
    enum gram_status status = strchr(name, '/')
                                  ? gram_fail(err, GRAM_EFORMAT,
                                              "%s/gram.json: '%s' is not a file name", dir, name)
                                  : hash_file(c, path, hex, err);
    if (status == GRAM_OK && strcmp(hex, expected) != 0)
        status = gram_fail(err, GRAM_EFORMAT,
                           "%s: its SHA-256 is %.16s..., gram.json says %.16s...: the file was changed",
                           path, hex, expected);
    c->report->hashes += status == GRAM_OK;
    free(path);
    return status;
}

/* A count in the certificate's totals against what is there. */
static enum gram_status check_total(const json_t *totals, const char *key, uint64_t found, const char *path,
                                    struct gram_error *err)
{
    int64_t stated;

    GRAM_TRY(gram_json_int(totals, key, 0, INT64_MAX, (int64_t)found, &stated, path, err));
    if ((uint64_t)stated == found)
        return GRAM_OK;
    return gram_fail(err, GRAM_EFORMAT, "%s: totals.%s is %" PRId64 ", and there are %" PRIu64,
                     path, key, stated, found);
}

/* Totals against what is said of the tensors, and against the bytes of those that are stored. */
static enum gram_status check_totals(const json_t *root, const struct gram_store *store, const char *path,
                                     struct gram_error *err)
{
    const json_t *totals = json_object_get(root, "totals");
    uint64_t fallbacks = 0;
    size_t i;
    json_t *tensor;

    if (!totals)
        return GRAM_OK;
    json_array_foreach(json_object_get(root, "tensors"), i, tensor)
        fallbacks += json_object_get(tensor, "fallback") != NULL;
    GRAM_TRY(check_total(totals, "fallbacks", fallbacks, path, err));
    return check_total(totals, "bytes_after", gram_store_bytes(store), path, err);
}

/* Every file of weights has its hash in the certificate. */
static enum gram_status check_files_listed(const json_t *files, const struct gram_store *store,
                                           const char *path, struct gram_error *err)
{
    for (int f = 0; files && f < gram_store_files(store); f++) {
        const char *name = strrchr(gram_store_file_path(store, f), '/');
        bool is_listed = false;
        size_t i;
        json_t *file;
        json_array_foreach(files, i, file)
        {
            const char *listed = json_string_value(json_object_get(file, "name"));
            is_listed |= name && listed && strcmp(listed, name + 1) == 0;
        }
        if (!is_listed)
            return gram_fail(err, GRAM_EFORMAT, "%s: says nothing of %s", path,
                             gram_store_file_path(store, f));
    }
    return GRAM_OK;
}

/* What the certificate says that can be looked at: hashes of files, and what adds up. */
static enum gram_status check_certificate(struct check *c, const struct gram_store *store, const char *dir,
                                          struct gram_error *err)
{
    char *path = gram_path_join(dir, "gram.json");
    json_t *root = NULL;
    enum gram_status status = GRAM_OK;
    size_t i;
    json_t *file;

    if (!path)
        return gram_fail_memory(err, dir);
    if (gram_path_exists(path))
        status = gram_json_load(&root, path, err);
    if (status == GRAM_OK)
        status = check_totals(root, store, path, err);
    if (status == GRAM_OK)
        status = check_files_listed(json_object_get(root, "files"), store, path, err);
    json_array_foreach(json_object_get(root, "files"), i, file)
    {
        const char *name = NULL, *sha256 = NULL;
        if (status == GRAM_OK)
            status = gram_json_str(file, "name", "", &name, path, err);
        if (status == GRAM_OK)
            status = gram_json_str(file, "sha256", "", &sha256, path, err);
        if (status == GRAM_OK)
            status = check_hash(c, dir, name, sha256, err);
    }
    json_decref(root);
    free(path);
    return status;
}

static bool has_tokenizer(const char *dir)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model", "vocab.json"};
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++) {
        char *path = gram_path_join(dir, names[i]);
        found = path && gram_path_exists(path);
        free(path);
    }
    return found;
}

/* vocab is the rows of the embedding; 0 when there is none to compare with. */
static enum gram_status check_tokenizer(const char *path, int64_t vocab, struct gram_error *err)
{
    struct gram_tokenizer *tokenizer;

    GRAM_TRY(gram_tokenizer_open(&tokenizer, path, err));
    const int32_t ids = gram_tokenizer_vocab(tokenizer);
    gram_tokenizer_close(&tokenizer);
    if (vocab > 0 && ids > vocab)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: the tokenizer has ids up to %" PRId32 ", the embedding only %" PRId64
                         " rows",
                         path, ids - 1, vocab);
    return GRAM_OK;
}

static enum gram_status check_checkpoint(struct check *c, struct gram_checkpoint *ck,
                                         const char *path, struct gram_error *err)
{
    GRAM_TRY(gram_checkpoint_open(ck, path, err));
    c->total = gram_store_bytes(ck->store);
    if (has_tokenizer(ck->path))
        GRAM_TRY(check_tokenizer(ck->path, ck->desc.hp.vocab, err));
    GRAM_TRY(check_tensors(c, ck->store, err));
    return check_certificate(c, ck->store, ck->path, err);
}

static enum gram_status check_file(struct check *c, const char *path, struct gram_error *err)
{
    const char *dot = strrchr(path, '.');
    struct gram_store *store;

    if (!dot || strcmp(dot, ".safetensors") != 0)
        return check_tokenizer(path, 0, err);
    GRAM_TRY(gram_store_open(&store, path, err));
    c->total = gram_store_bytes(store);
    const enum gram_status status = check_tensors(c, store, err);
    gram_store_close(&store);
    return status;
}

enum gram_status gram_check(struct gram_check_report *report, struct gram_runtime *rt,
                            const char *path, const struct gram_job *job, struct gram_error *err)
{
    struct gram_check_report ignored;
    struct check c = {.report = report ? report : &ignored, .pool = rt->pool, .job = job};

    *c.report = (struct gram_check_report){0};
    if (gram_path_exists(path) && !gram_path_is_dir(path))
        return check_file(&c, path, err);
    struct gram_checkpoint ck;
    const enum gram_status status = check_checkpoint(&c, &ck, path, err);
    gram_checkpoint_reset(&ck);
    return status;
}
