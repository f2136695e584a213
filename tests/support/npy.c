/* Reading NumPy's .npy format, versions 1 and 2, for reference outputs. */
#include "support.h"

static int64_t parse_shape(struct npy *npy, const char *header)
{
    const char *at = strstr(header, "'shape':");
    assert_non_null(at);
    at = strchr(at, '(');
    assert_non_null(at);
    npy->count = 1;
    for (at++; *at && *at != ')';) {
        char *end;
        const long long dim = strtoll(at, &end, 10);
        if (end == at) {
            at++;
            continue;
        }
        assert_true(npy->rank < 8);
        npy->shape[npy->rank++] = dim;
        npy->count *= dim;
        at = end;
    }
    return npy->count;
}

struct npy npy_load(const char *path)
{
    struct npy npy = {0};
    size_t size;
    char *bytes = read_file(path, &size);

    assert_true(size > 12 && memcmp(bytes, "\x93NUMPY", 6) == 0);
    const bool wide = bytes[6] >= 2;
    const size_t len = (uint8_t)bytes[8] | (size_t)(uint8_t)bytes[9] << 8 |
                       (wide ? (size_t)(uint8_t)bytes[10] << 16 : 0);
    const size_t start = (wide ? 12 : 10) + len;
    assert_true(start <= size);
    bytes[start - 1] = '\0';
    const char *header = bytes + (wide ? 12 : 10);
    const char *descr = strstr(header, "'descr': '");
    assert_non_null(descr);
    memcpy(npy.type, descr + 10, 3);
    const size_t item = (size_t)(npy.type[2] - '0');
    const size_t n = (size_t)parse_shape(&npy, header) * item;
    assert_true(start + n <= size);
    npy.data = malloc(n + 1);
    assert_non_null(npy.data);
    memcpy(npy.data, bytes + start, n);
    free(bytes);
    return npy;
}

double *npy_doubles(const struct npy *npy)
{
    double *out = calloc((size_t)npy->count + 1, sizeof *out);
    assert_non_null(out);
    for (int64_t i = 0; i < npy->count; i++) {
        if (strcmp(npy->type, "<f4") == 0)
            out[i] = (double)((const float *)npy->data)[i];
        else if (strcmp(npy->type, "<f8") == 0)
            out[i] = ((const double *)npy->data)[i];
        else if (strcmp(npy->type, "<i8") == 0)
            out[i] = (double)((const int64_t *)npy->data)[i];
        else if (strcmp(npy->type, "<i4") == 0)
            out[i] = ((const int32_t *)npy->data)[i];
        else if (strcmp(npy->type, "|u1") == 0)
            out[i] = ((const uint8_t *)npy->data)[i];
        else if (strcmp(npy->type, "|i1") == 0)
            out[i] = ((const int8_t *)npy->data)[i];
        else
            fail_msg("npy type %s", npy->type);
    }
    return out;
}
