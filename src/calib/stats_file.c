#include "calib/stats_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/checked.h"
#include "formats/safetensors.h"
#include "tensor/finite.h"

enum { HASH = 64 };

enum { FORMAT = 1 }; /* of the tensors and of what they mean; statistics of another are refused */

static const char corpus_name[] = "calibration.corpus", model_name[] = "calibration.model";
static const char format_name[] = "calibration.format";

/* What is kept of an input, apart from the number of its tokens. */
static const struct field {
    const char *name;
    size_t at; /* of a float * in struct gram_input_stats */
    unsigned need;
    int rank;
} fields[] = {
    {"low", offsetof(struct gram_input_stats, low), GRAM_NEED_RANGE, 1},
    {"high", offsetof(struct gram_input_stats, high), GRAM_NEED_RANGE, 1},
    {"absmax", offsetof(struct gram_input_stats, absmax), GRAM_NEED_RANGE, 1},
    {"mean_abs", offsetof(struct gram_input_stats, mean_abs), GRAM_NEED_MEAN_ABS, 1},
    {"gram", offsetof(struct gram_input_stats, gram), GRAM_NEED_GRAM, 2},
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static float **field_of(struct gram_input_stats *stats, const struct field *field)
{
    return (float **)(void *)((char *)stats + field->at);
}

/* ---- writing ---- */

struct gram_stats_writer {
    const struct gram_kept_input *inputs;
    size_t n, next; /* inputs; the one that is written next */
    FILE *file;
    char *path, *partial;
};

/* The tensors of a file, in the order in which they are written. */
struct listing {
    struct gram_arena arena;
    struct gram_tensor *at;
    size_t n;
};

static bool add(struct listing *l, const char *op, const char *what, enum gram_dtype dtype, int rank,
                int64_t size)
{
    struct gram_buf name = {0};
    struct gram_tensor *t = &l->at[l->n++];
    const int64_t count = rank == 2 ? size * size : size;

    gram_buf_printf(&name, "%s.%s", op, what);
    *t = (struct gram_tensor){
        .name = name.failed ? NULL : gram_arena_str(&l->arena, name.at),
        .dtype = dtype,
        .rank = rank,
        .shape = {size, size},
        .count = count,
        .bytes = (uint64_t)count * (uint64_t)gram_dtype_bits(dtype) / 8,
    };
    gram_buf_reset(&name);
    return t->name != NULL;
}

static bool list_all(struct listing *l, const struct gram_kept_input *inputs, size_t n)
{
    l->at = gram_arena_take(&l->arena, n * (N_FIELDS + 1) + 3, sizeof *l->at);
    bool ok = l->at && add(l, "calibration", "format", GRAM_I64, 1, 1) &&
              add(l, "calibration", "corpus", GRAM_U8, 1, HASH) &&
              add(l, "calibration", "model", GRAM_U8, 1, HASH);
    for (size_t i = 0; ok && i < n; i++) {
        ok = add(l, inputs[i].op, "tokens", GRAM_I64, 1, 1);
        for (int f = 0; ok && f < N_FIELDS; f++) {
            if (inputs[i].needs & fields[f].need)
                ok = add(l, inputs[i].op, fields[f].name, GRAM_F32, fields[f].rank, inputs[i].cols);
        }
    }
    return ok;
}

static bool put(const struct gram_stats_writer *w, const void *bytes, size_t n)
{
    return fwrite(bytes, 1, n, w->file) == n;
}

static enum gram_status fail_write(const char *path, struct gram_error *err)
{
    return gram_fail(err, gram_status_of_errno(errno), "%s: statistics cannot be written: %s", path,
                     strerror(errno));
}

static enum gram_status begin(struct gram_stats_writer *w, const char *corpus_hash, const char *model_hash,
                              struct gram_error *err)
{
    const int64_t format = FORMAT;
    struct gram_buf header = {0};
    struct listing l = {0};
    enum gram_status status = GRAM_OK;

    if (!list_all(&l, w->inputs, w->n) || !gram_safetensors_header(&header, l.at, l.n))
        status = gram_fail_memory(err, "calibration statistics");
    else if (!(w->file = fopen(w->partial, "wbe")) || !put(w, header.at, header.len) ||
             !put(w, &format, sizeof format) || !put(w, corpus_hash, HASH) || !put(w, model_hash, HASH))
        status = fail_write(w->path, err);
    gram_buf_reset(&header);
    gram_arena_reset(&l.arena);
    return status;
}

enum gram_status gram_stats_writer_open(struct gram_stats_writer **out, const char *path,
                                        const struct gram_kept_input *inputs, size_t n,
                                        const char *corpus_hash, const char *model_hash,
                                        struct gram_error *err)
{
    struct gram_stats_writer *w = *out = calloc(1, sizeof *w);
    struct gram_buf partial = {0};

    GRAM_ASSERT(strlen(corpus_hash) == HASH && strlen(model_hash) == HASH);
    if (!w)
        return gram_fail_memory(err, "calibration statistics");
    *w = (struct gram_stats_writer){.inputs = inputs, .n = n, .path = strdup(path)};
    gram_buf_printf(&partial, "%s.partial", path);
    w->partial = partial.failed ? NULL : strdup(partial.at);
    gram_buf_reset(&partial);
    enum gram_status status = w->path && w->partial ? begin(w, corpus_hash, model_hash, err)
                                                    : gram_fail_memory(err, "calibration statistics");
    if (status != GRAM_OK)
        gram_stats_writer_discard(out);
    return status;
}

enum gram_status gram_stats_writer_put(struct gram_stats_writer *w, const struct gram_input_stats *stats,
                                       struct gram_error *err)
{
    const struct gram_kept_input *input = &w->inputs[w->next++];
    bool ok = put(w, &stats->tokens, sizeof stats->tokens);

    GRAM_ASSERT(w->next <= w->n && stats->cols == input->cols);
    for (int f = 0; ok && f < N_FIELDS; f++) {
        struct gram_input_stats copy = *stats;
        const size_t cols = (size_t)stats->cols, count = fields[f].rank == 2 ? cols * cols : cols;
        if (input->needs & fields[f].need)
            ok = put(w, *field_of(&copy, &fields[f]), count * sizeof(float));
    }
    return ok ? GRAM_OK : fail_write(w->path, err);
}

void gram_stats_writer_discard(struct gram_stats_writer **writer)
{
    struct gram_stats_writer *w = *writer;

    if (!w)
        return;
    if (w->file) {
        fclose(w->file);
        remove(w->partial);
    }
    free(w->path);
    free(w->partial);
    free(w);
    *writer = NULL;
}

enum gram_status gram_stats_writer_publish(struct gram_stats_writer **writer, struct gram_error *err)
{
    struct gram_stats_writer *w = *writer;
    enum gram_status status = GRAM_OK;

    GRAM_ASSERT(w->next == w->n);
    bool ok = fflush(w->file) == 0 && fsync(fileno(w->file)) == 0;
    if (!ok || rename(w->partial, w->path) != 0)
        status = fail_write(w->path, err);
    if (status == GRAM_OK && fclose(w->file) == 0)
        w->file = NULL;
    gram_stats_writer_discard(writer);
    return status;
}

/* ---- reading ---- */

static bool copy_hash(char hash[HASH + 1], const struct gram_store *store, const char *name)
{
    const struct gram_tensor *t = gram_store_find(store, name);
    if (!t || t->dtype != GRAM_U8 || t->count != HASH)
        return false;
    memcpy(hash, t->data, HASH);
    hash[HASH] = '\0';
    return true;
}

static int64_t format_of(const struct gram_store *store)
{
    const struct gram_tensor *t = gram_store_find(store, format_name);
    int64_t format = -1;

    if (t && t->dtype == GRAM_I64 && t->count == 1)
        memcpy(&format, t->data, sizeof format);
    return format;
}

static enum gram_status check_file(struct gram_stats_file *file, const char *path,
                                   const char *model_hash, struct gram_error *err)
{
    char hash[HASH + 1];

    if (!copy_hash(hash, file->store, model_name) ||
        !copy_hash(file->corpus_hash, file->store, corpus_name))
        return gram_fail(err, GRAM_EFORMAT, "%s: not a file of calibration statistics", path);
    if (format_of(file->store) != FORMAT)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: these statistics are of another version of gram; collect them again", path);
    if (strcmp(hash, model_hash) != 0)
        return gram_fail(err, GRAM_EINVAL,
                         "%s: these are statistics of another model; calibrate this one", path);
    return GRAM_OK;
}

enum gram_status gram_stats_file_open(struct gram_stats_file *file, const char *path,
                                      const char *model_hash, struct gram_error *err)
{
    *file = (struct gram_stats_file){0};
    GRAM_TRY(gram_store_open(&file->store, path, err));
    const enum gram_status status = check_file(file, path, model_hash, err);
    if (status != GRAM_OK)
        gram_stats_file_close(file);
    return status;
}

void gram_stats_file_close(struct gram_stats_file *file)
{
    gram_store_close(&file->store);
}

static const struct gram_tensor *tensor_of(const struct gram_stats_file *file, const char *op,
                                           const char *what)
{
    struct gram_buf name = {0};
    gram_buf_printf(&name, "%s.%s", op, what);
    const struct gram_tensor *t = name.failed ? NULL : gram_store_find(file->store, name.at);
    gram_buf_reset(&name);
    return t;
}

static enum gram_status take_field(struct gram_input_stats *stats, const struct field *field,
                                   const struct gram_tensor *t, struct gram_error *err)
{
    const bool fits = t->dtype == GRAM_F32 && t->rank == field->rank &&
                      t->shape[0] == stats->cols && t->shape[t->rank - 1] == stats->cols &&
                      (uintptr_t)t->data % sizeof(float) == 0;
    if (!fits)
        return gram_fail(err, GRAM_EFORMAT, "%s: expected f32 for %" PRId64 " inputs", t->name,
                         stats->cols);
    if (gram_find_nonfinite(t->data, GRAM_F32, t->count) < t->count)
        return gram_fail(err, GRAM_EFORMAT, "%s: a value is not finite", t->name);
    *field_of(stats, field) = (float *)(uintptr_t)t->data; /* for reading */
    stats->needs |= field->need;
    return GRAM_OK;
}

enum gram_status gram_stats_file_find(const struct gram_stats_file *file, const char *op,
                                      int64_t cols, unsigned needs, struct gram_input_stats *stats,
                                      struct gram_error *err)
{
    const struct gram_tensor *tokens = tensor_of(file, op, "tokens");

    *stats = (struct gram_input_stats){.cols = cols};
    if (!tokens)
        return gram_fail(err, GRAM_ENOENT, "no statistics of %s are kept", op);
    if (tokens->dtype != GRAM_I64 || tokens->count != 1)
        return gram_fail(err, GRAM_EFORMAT, "%s: expected one i64", tokens->name);
    memcpy(&stats->tokens, tokens->data, sizeof stats->tokens);
    if (stats->tokens < 1)
        return gram_fail(err, GRAM_EFORMAT, "%s is %" PRId64, tokens->name, stats->tokens);
    for (int i = 0; i < N_FIELDS; i++) {
        const struct gram_tensor *t = tensor_of(file, op, fields[i].name);
        if (t)
            GRAM_TRY(take_field(stats, &fields[i], t, err));
        else if (needs & fields[i].need)
            return gram_fail(err, GRAM_ENOENT, "no %s of %s is kept", fields[i].name, op);
    }
    if (needs & ~stats->needs)
        return gram_fail(err, GRAM_ENOENT, "no histogram of %s is kept", op);
    return GRAM_OK;
}
