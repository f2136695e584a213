#include "calib/record_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"

struct file {
    struct gram_record_reader *reader;
    const char *path;
    struct gram_record record;
};

/* A bad record ends the reading, or is counted. */
static enum gram_status judge(struct file *f, enum gram_status status, const struct gram_error *bad,
                              struct gram_error *err)
{
    struct gram_record_reader *r = f->reader;

    if (status == GRAM_OK)
        return GRAM_OK;
    if (status != GRAM_EFORMAT || !r->skip_bad)
        return gram_fail(err, status, "%s", bad->message);
    if (r->skipped++ == 0)
        r->first = *bad;
    return GRAM_OK;
}

static enum gram_status take_record(struct file *f, const json_t *record, const char *where,
                                    struct gram_error *err)
{
    GRAM_TRY(gram_record_read(&f->record, record, where, err));
    return f->reader->record(f->reader->user, &f->record, where, err);
}

static bool is_blank(const char *s, size_t n)
{
    return strspn(s, " \t\r") >= n;
}

static enum gram_status take_line(struct file *f, const char *line, size_t n, int64_t number,
                                  struct gram_error *err)
{
    struct gram_error bad = {0};
    char where[600];
    json_t *record = NULL;

    snprintf(where, sizeof where, "%s: record in line %" PRId64, f->path, number);
    enum gram_status status = gram_json_parse(&record, line, n, where, &bad);
    if (status == GRAM_OK)
        status = take_record(f, record, where, &bad);
    json_decref(record);
    return judge(f, status, &bad, err);
}

static enum gram_status take_lines(struct file *f, const char *bytes, size_t n,
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
            status = gram_fail_memory(err, f->path);
        else if (len > 0 && !is_blank(line.at, len))
            status = take_line(f, line.at, len, number, err);
    }
    gram_buf_reset(&line);
    return status;
}

/* A list of records. */
static enum gram_status take_list(struct file *f, const char *bytes, size_t n,
                                  struct gram_error *err)
{
    enum gram_status status = GRAM_OK;
    json_t *root;

    GRAM_TRY(gram_json_parse(&root, bytes, n, f->path, err));
    if (!json_is_array(root))
        status = gram_fail(err, GRAM_EFORMAT, "%s: not a list of records", f->path);
    for (size_t i = 0; status == GRAM_OK && i < json_array_size(root); i++) {
        struct gram_error bad = {0};
        char where[600];
        snprintf(where, sizeof where, "%s: record %zu", f->path, i + 1);
        status = judge(f, take_record(f, json_array_get(root, i), where, &bad), &bad, err);
    }
    json_decref(root);
    return status;
}

static enum gram_status take_text(struct file *f, const char *bytes, size_t n,
                                  struct gram_error *err)
{
    return f->reader->text(f->reader->user, bytes, n, f->path, err);
}

static bool ends_with(const char *path, const char *ending)
{
    const size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcmp(path + n - m, ending) == 0;
}

/* By the ending of the path; the last one fits all. */
static const struct source {
    const char *ending;
    enum gram_status (*take)(struct file *, const char *, size_t, struct gram_error *);
} sources[] = {{".jsonl", take_lines}, {".json", take_list}, {"", take_text}};

enum gram_status gram_record_file_read(struct gram_record_reader *reader, const char *path,
                                       struct gram_error *err)
{
    static const char mark[] = "\xef\xbb\xbf"; /* a byte order mark is no text */
    struct file f = {.reader = reader, .path = path};
    const struct source *source = sources;
    struct gram_file *map;

    GRAM_TRY(gram_file_open(&map, path, err));
    size_t n = (size_t)gram_file_size(map);
    const char *bytes = gram_file_view(map, 0, n);
    if (n >= 3 && memcmp(bytes, mark, 3) == 0) {
        bytes += 3;
        n -= 3;
    }
    while (!ends_with(path, source->ending))
        source++;
    const enum gram_status status = n > 0 ? source->take(&f, bytes, n, err) : GRAM_OK;
    gram_record_reset(&f.record);
    gram_file_close(&map);
    return status;
}
