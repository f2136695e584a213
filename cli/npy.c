/*
 * .npy as numpy.lib.format describes it: magic, version, header length, then a Python dictionary
 * with exactly 'descr', 'fortran_order' and 'shape', then the elements. Only what ids and
 * activations need.
 */
#include "npy.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "load.h"
#include "output.h"

enum { MAX_HEADER = 1 << 16, MAX_IDS = 1 << 28 };

/* Position in the header's text; `is_bad` once something was not as expected. */
struct scanner {
    const char *at, *end;
    bool is_bad;
};

struct header {
    char type[8];
    bool is_fortran, has[3];
    int rank;
    int64_t shape[2];
};

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t'))
        s->at++;
}

/* Take `token` if it comes next. */
static bool take(struct scanner *s, const char *token)
{
    const size_t len = strlen(token);

    skip_space(s);
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, token, len) != 0)
        return false;
    s->at += len;
    return true;
}

static void expect(struct scanner *s, const char *token)
{
    s->is_bad |= !take(s, token);
}

static void scan_string(struct scanner *s, char *out, size_t cap)
{
    const char quote = take(s, "'") ? '\'' : '"';
    size_t n = 0;

    if (quote == '"')
        expect(s, "\"");
    while (!s->is_bad && s->at < s->end && *s->at != quote && n + 1 < cap)
        out[n++] = *s->at++;
    out[n] = '\0';
    s->is_bad |= s->at >= s->end || *s->at++ != quote;
}

static int64_t scan_number(struct scanner *s)
{
    int64_t value = 0;
    const char *from;

    skip_space(s);
    from = s->at;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
        if (value <= MAX_IDS)
            value = 10 * value + (*s->at - '0');
    s->is_bad |= s->at == from;
    return value;
}

/* "(3,)", "(2, 3)", "()"; rank 3 stands for more. */
static void scan_shape(struct scanner *s, struct header *h)
{
    expect(s, "(");
    while (!s->is_bad && !take(s, ")")) {
        const int64_t dim = scan_number(s);
        if (h->rank < 2)
            h->shape[h->rank] = dim;
        h->rank += h->rank < 3;
        if (!take(s, ",")) {
            expect(s, ")");
            s->is_bad |= h->rank == 1; /* (3) is a number, not a shape */
            break;
        }
    }
}

static void scan_entry(struct scanner *s, struct header *h)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    char key[16];
    int which = 0;

    scan_string(s, key, sizeof key);
    expect(s, ":");
    while (which < 3 && strcmp(key, keys[which]) != 0)
        which++;
    if (s->is_bad || which == 3 || h->has[which]) {
        s->is_bad = true;
        return;
    }
    h->has[which] = true;
    if (which == 0) {
        scan_string(s, h->type, sizeof h->type);
    } else if (which == 1) {
        h->is_fortran = take(s, "True");
        if (!h->is_fortran)
            expect(s, "False");
    } else {
        scan_shape(s, h);
    }
}

static bool scan_header(struct header *h, const char *text, size_t len)
{
    struct scanner s = {text, text + len, false};

    expect(&s, "{");
    while (!s.is_bad && !take(&s, "}")) {
        scan_entry(&s, h);
        if (!take(&s, ",")) {
            expect(&s, "}");
            break;
        }
    }
    skip_space(&s);
    return !s.is_bad && s.at == s.end && h->has[0] && h->has[1] && h->has[2];
}

/* Elements start at *start. */
static enum gram_status read_header(struct header *h, const uint8_t *bytes, size_t n, size_t *start,
                                    const char *where, struct gram_error *err)
{
    if (n < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return refuse(err, GRAM_EFORMAT, "%s: this is no .npy file", where);
    if ((bytes[6] != 1 && bytes[6] != 2) || bytes[7] != 0)
        return refuse(err, GRAM_EUNSUPPORTED, "%s: .npy version %d.%d; 1.0 and 2.0 are read", where,
                      bytes[6], bytes[7]);
    const size_t before = bytes[6] == 1 ? 10 : 12;
    const size_t len = (size_t)bytes[8] | (size_t)bytes[9] << 8 |
                       (bytes[6] == 1 ? 0 : (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24);
    if (len > MAX_HEADER || len > n - before)
        return refuse(err, GRAM_EFORMAT, "%s: a header of %zu bytes runs past the end or the limit",
                      where, len);
    if (!scan_header(h, (const char *)bytes + before, len))
        return refuse(err, GRAM_EFORMAT,
                      "%s: the .npy header is not a dictionary of descr, fortran_order and shape",
                      where);
    *start = before + len;
    return GRAM_OK;
}

static enum gram_status check_header(const struct header *h, const char *where,
                                     struct gram_error *err)
{
    if (strcmp(h->type, "<i4") != 0 && strcmp(h->type, "<i8") != 0)
        return refuse(err, GRAM_EUNSUPPORTED, "%s: elements of type '%s'; ids are int32 or int64",
                      where, h->type);
    if (h->rank != 1 && h->rank != 2)
        return refuse(err, GRAM_EFORMAT, "%s: rank %s; ids have shape [T] or [B, T]", where,
                      h->rank ? "3 or more" : "0");
    if (h->is_fortran && h->rank == 2 && h->shape[0] != 1 && h->shape[1] != 1)
        return refuse(err, GRAM_EUNSUPPORTED, "%s: Fortran order; save it in C order", where);
    for (int i = 0; i < h->rank; i++)
        if (h->shape[i] < 1 || h->shape[i] > MAX_IDS)
            return refuse(err, GRAM_EFORMAT, "%s: axis %d is empty or longer than %d", where, i,
                          (int)MAX_IDS);
    return GRAM_OK;
}

/* Little-endian, at any address. */
static int64_t load_id(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return width == 4 ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value;
}

static enum gram_status copy_ids(struct npy_ids *ids, const uint8_t *from, size_t width,
                                 const char *where, struct gram_error *err)
{
    const size_t n = (size_t)(ids->batch * ids->length);

    ids->at = malloc(n * sizeof ids->at[0]);
    if (!ids->at)
        return refuse(err, GRAM_ENOMEM, "%s: memory ran out for %zu ids", where, n);
    for (size_t i = 0; i < n; i++) {
        const int64_t id = load_id(from + i * width, width);
        if (id < 0 || id > INT32_MAX) {
            npy_ids_reset(ids);
            return refuse(err, GRAM_EFORMAT, "%s: element %zu is %lld, not a token id", where, i,
                          (long long)id);
        }
        ids->at[i] = (int32_t)id;
    }
    return GRAM_OK;
}

enum gram_status npy_parse(struct npy_ids *ids, const void *bytes, size_t n, const char *where,
                           struct gram_error *err)
{
    struct header h = {.type = ""};
    size_t start = 0;

    *ids = (struct npy_ids){0};
    enum gram_status st = read_header(&h, bytes, n, &start, where, err);
    if (st == GRAM_OK)
        st = check_header(&h, where, err);
    if (st != GRAM_OK)
        return st;
    const size_t width = h.type[2] == '4' ? 4 : 8;
    const int64_t batch = h.rank == 2 ? h.shape[0] : 1, length = h.shape[h.rank - 1];
    if (batch > MAX_IDS / length)
        return refuse(err, GRAM_EFORMAT, "%s: more than %d ids", where, (int)MAX_IDS);
    const size_t need = (size_t)(batch * length) * width;
    if (n - start != need)
        return refuse(err, GRAM_EFORMAT, "%s: %zu bytes of elements; the shape needs %zu", where,
                      n - start, need);
    ids->batch = batch;
    ids->length = length;
    return copy_ids(ids, (const uint8_t *)bytes + start, width, where, err);
}

enum gram_status npy_read(struct npy_ids *ids, const char *path, struct gram_error *err)
{
    struct stat status;
    char *bytes;
    size_t n;

    *ids = (struct npy_ids){0};
    if (stat(path, &status) != 0)
        return refuse_errno(err, path);
    if (!S_ISREG(status.st_mode))
        return refuse(err, GRAM_EFORMAT, "%s: not a regular file", path);
    enum gram_status st = read_text(path, &bytes, &n, err);
    if (st == GRAM_OK)
        st = npy_parse(ids, bytes, n, path, err);
    free(bytes);
    return st;
}

void npy_ids_reset(struct npy_ids *ids)
{
    free(ids->at);
    *ids = (struct npy_ids){0};
}

void npy_header(char out[NPY_HEADER], const int64_t *shape, int rank)
{
    char text[NPY_HEADER];
    size_t n =
        (size_t)snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");

    for (int i = 0; i < rank; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%lld%s", (long long)shape[i],
                              rank == 1      ? ","
                              : i + 1 < rank ? ", "
                                             : "");
    n += (size_t)snprintf(text + n, sizeof text - n, "), }");
    memset(out, ' ', NPY_HEADER);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((NPY_HEADER - 10) & 0xff);
    out[9] = (char)((NPY_HEADER - 10) >> 8);
    memcpy(out + 10, text, n);
    out[NPY_HEADER - 1] = '\n';
}
