#include "calib/corpus.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "calib/record.h"

struct reader {
    struct gram_corpus *corpus;
    const struct gram_tokenizer *tokenizer;
    const struct gram_corpus_options *options;
    struct gram_ids ids;  /* of all texts so far */
    struct gram_buf text; /* of a record */
};

void gram_corpus_reset(struct gram_corpus *corpus)
{
    gram_arena_reset(&corpus->arena);
    *corpus = (struct gram_corpus){0};
}

static enum gram_status add_text(struct reader *r, const char *text, size_t n, const char *where,
                                 struct gram_error *err)
{
    struct gram_error inner = {0};

    if (n == 0)
        return GRAM_OK;
    const enum gram_status status = gram_tokenizer_encode(
        r->tokenizer, text, n, GRAM_ENCODE_SPECIAL, &r->ids, &inner);
    return status == GRAM_OK ? GRAM_OK : gram_fail(err, status, "%s: %s", where, inner.message);
}

static enum gram_status add_record(struct reader *r, const json_t *record, const char *where,
                                   struct gram_error *err)
{
    r->text.len = 0;
    GRAM_TRY(gram_record_text(&r->text, record, where, err));
    if (r->text.failed)
        return gram_fail_memory(err, where);
    r->corpus->records++;
    return r->text.len > 0 ? add_text(r, r->text.at, r->text.len, where, err) : GRAM_OK;
}

static bool is_blank(const char *s, size_t n)
{
    return strspn(s, " \t\r") >= n;
}

static enum gram_status add_line(struct reader *r, const char *line, size_t n, int64_t number,
                                 struct gram_error *err)
{
    char where[600];
    json_t *record;

    snprintf(where, sizeof where, "%s: record in line %" PRId64, r->options->path, number);
    GRAM_TRY(gram_json_parse(&record, line, n, where, err));
    const enum gram_status status = add_record(r, record, where, err);
    json_decref(record);
    return status;
}

static enum gram_status add_lines(struct reader *r, const char *bytes, size_t n,
                                  struct gram_error *err)
{
    struct gram_buf line = {0}; /* terminated, as is_blank() wants it */
    enum gram_status status = GRAM_OK;
    int64_t number = 1;

    for (size_t at = 0; at < n && status == GRAM_OK; number++) {
        const char *newline = memchr(bytes + at, '\n', n - at);
        const size_t len = newline ? (size_t)(newline - bytes) - at : n - at;
        line.len = 0;
        gram_buf_add(&line, bytes + at, len);
        at += len + 1;
        if (line.failed)
            status = gram_fail_memory(err, r->options->path);
        else if (len > 0 && !is_blank(line.at, len))
            status = add_line(r, line.at, len, number, err);
    }
    gram_buf_reset(&line);
    return status;
}

/* A list of records. */
static enum gram_status add_list(struct reader *r, const char *bytes, size_t n,
                                 struct gram_error *err)
{
    const char *path = r->options->path;
    enum gram_status status = GRAM_OK;
    json_t *root;

    GRAM_TRY(gram_json_parse(&root, bytes, n, path, err));
    if (!json_is_array(root))
        status = gram_fail(err, GRAM_EFORMAT, "%s: not a list of records", path);
    for (size_t i = 0; status == GRAM_OK && i < json_array_size(root); i++) {
        char where[600];
        snprintf(where, sizeof where, "%s: record %zu", path, i + 1);
        status = add_record(r, json_array_get(root, i), where, err);
    }
    json_decref(root);
    return status;
}

static enum gram_status add_plain(struct reader *r, const char *bytes, size_t n,
                                  struct gram_error *err)
{
    return add_text(r, bytes, n, r->options->path, err);
}

static bool ends_with(const char *path, const char *ending)
{
    const size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcmp(path + n - m, ending) == 0;
}

/* By the ending of the path; the last one fits all. */
static const struct source {
    const char *ending;
    enum gram_status (*add)(struct reader *, const char *, size_t, struct gram_error *);
} sources[] = {{".jsonl", add_lines}, {".json", add_list}, {"", add_plain}};

static enum gram_status add_file(struct reader *r, const struct gram_file *file,
                                 struct gram_error *err)
{
    static const char mark[] = "\xef\xbb\xbf"; /* a byte order mark is no text */
    size_t n = (size_t)gram_file_size(file);
    const char *bytes = gram_file_view(file, 0, n);
    const struct source *source = sources;

    if (n >= 3 && memcmp(bytes, mark, 3) == 0) {
        bytes += 3;
        n -= 3;
    }
    while (!ends_with(r->options->path, source->ending))
        source++;
    return n > 0 ? source->add(r, bytes, n, err) : GRAM_OK;
}

/* Fisher and Yates, from the end. */
static void shuffle(int64_t *order, int64_t n, uint64_t seed)
{
    struct gram_rng rng = {seed};

    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t k = (int64_t)(gram_rng_unit(&rng) * (double)(i + 1));
        const int64_t other = order[k];
        order[k] = order[i];
        order[i] = other;
    }
}

static enum gram_status take_window(struct gram_corpus *corpus, const int32_t *ids, int64_t n,
                                    struct gram_error *err)
{
    int32_t *tokens = gram_arena_take(&corpus->arena, (size_t)n, sizeof *tokens);
    if (!tokens)
        return gram_fail_memory(err, "calibration windows");
    memcpy(tokens, ids, (size_t)n * sizeof *tokens);
    corpus->windows[corpus->n_windows++] = (struct gram_window){tokens, n};
    corpus->tokens += n;
    return GRAM_OK;
}

/* Cut what was read every `context` tokens, and take pieces in the order of the seed. */
static enum gram_status take_windows(struct reader *r, struct gram_error *err)
{
    struct gram_corpus *corpus = r->corpus;
    const int64_t total = (int64_t)r->ids.len, context = r->options->context;
    const int64_t most = r->options->max_tokens > 0 ? r->options->max_tokens : total;
    const int64_t pieces = gram_ceil_div(total, context);

    if (total < 2)
        return gram_fail(err, GRAM_EINVAL, "%s: %" PRId64 " tokens are too few to calibrate on",
                         r->options->path, total);
    int64_t *order = gram_arena_take(&corpus->arena, (size_t)pieces, sizeof *order);
    corpus->windows = gram_arena_take(&corpus->arena, (size_t)pieces, sizeof *corpus->windows);
    if (!order || !corpus->windows)
        return gram_fail_memory(err, "calibration windows");
    for (int64_t i = 0; i < pieces; i++)
        order[i] = i;
    shuffle(order, pieces, r->options->seed);
    for (int64_t i = 0; i < pieces && corpus->tokens < most; i++) {
        const int64_t at = order[i] * context;
        const int64_t n = gram_min_i64(gram_min_i64(context, total - at), most - corpus->tokens);
        if (n >= 2) /* one token predicts nothing */
            GRAM_TRY(take_window(corpus, r->ids.at + at, n, err));
    }
    return GRAM_OK;
}

static void hash_number(struct gram_sha256 *hash, uint64_t value, int bytes)
{
    uint8_t le[8];
    for (int i = 0; i < bytes; i++)
        le[i] = (uint8_t)(value >> 8 * i);
    gram_sha256_add(hash, le, (size_t)bytes);
}

void gram_corpus_hash(struct gram_corpus *corpus)
{
    struct gram_sha256 hash;

    gram_sha256_init(&hash);
    for (size_t i = 0; i < corpus->n_windows; i++) {
        hash_number(&hash, (uint64_t)corpus->windows[i].n, 8);
        for (int64_t t = 0; t < corpus->windows[i].n; t++)
            hash_number(&hash, (uint32_t)corpus->windows[i].tokens[t], 4);
    }
    gram_sha256_hex(&hash, corpus->hash);
}

enum gram_status gram_corpus_read(struct gram_corpus *corpus, const struct gram_tokenizer *tokenizer,
                                  const struct gram_corpus_options *options, struct gram_error *err)
{
    struct reader r = {.corpus = corpus, .tokenizer = tokenizer, .options = options};
    struct gram_file *file;

    *corpus = (struct gram_corpus){0};
    GRAM_ASSERT(options->context >= 2);
    GRAM_TRY(gram_file_open(&file, options->path, err));
    enum gram_status status = add_file(&r, file, err);
    gram_file_close(&file);
    if (status == GRAM_OK)
        status = take_windows(&r, err);
    if (status == GRAM_OK)
        gram_corpus_hash(corpus);
    gram_ids_reset(&r.ids);
    gram_buf_reset(&r.text);
    return status;
}
