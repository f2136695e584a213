/* Strict JSON on top of Jansson: limits before parsing, typed getters after. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"

/* Nesting is measured before the parser recurses. Returns the offset where it gets too deep, or
 * len. */
static size_t too_deep_at(const char *s, size_t len)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        const char c = s[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > GRAM_JSON_DEPTH)
                return i;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return len;
}

enum gram_status gram_json_parse(json_t **out, const void *bytes, size_t len, const char *where,
                                 struct gram_error *err)
{
    json_error_t problem;

    *out = NULL;
    const size_t deep = too_deep_at(bytes, len);
    if (deep < len)
        return gram_fail(err, GRAM_EFORMAT, "%s: byte %zu: JSON nested deeper than %d", where, deep,
                         GRAM_JSON_DEPTH);
    /* Jansson loses a NUL that stands behind a number. */
    const char *nul = len > 0 ? memchr(bytes, '\0', len) : NULL;
    if (nul)
        return gram_fail(err, GRAM_EFORMAT, "%s: byte %zu: a NUL in JSON text", where,
                         (size_t)(nul - (const char *)bytes));
    *out =
        json_loadb(bytes, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
    if (*out)
        return GRAM_OK;
    if (json_error_code(&problem) == json_error_out_of_memory)
        return gram_fail_memory(err, where);
    return gram_fail(err, GRAM_EFORMAT, "%s: line %d column %d: %s", where, problem.line,
                     problem.column, problem.text);
}

enum gram_status gram_json_load(json_t **out, const char *path, struct gram_error *err)
{
    struct gram_file *file;

    *out = NULL;
    GRAM_TRY(gram_file_open(&file, path, err));
    const uint64_t size = gram_file_size(file);
    enum gram_status status =
        size == 0 ? gram_fail(err, GRAM_EFORMAT, "%s: the file is empty", path)
                  : gram_json_parse(out, gram_file_view(file, 0, size), (size_t)size, path, err);
    gram_file_close(&file);
    return status;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    return names[json_typeof(value)];
}

static enum gram_status wrong_type(const json_t *value, const char *key, const char *wanted,
                                   const char *where, struct gram_error *err)
{
    return gram_fail(err, GRAM_EFORMAT, "%s: %s: expected %s, found %s", where, key, wanted,
                     type_name(value));
}

static const json_t *lookup(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

bool gram_json_has(const json_t *object, const char *key)
{
    return lookup(object, key) != NULL;
}

enum gram_status gram_json_int(const json_t *object, const char *key, int64_t low, int64_t high,
                               int64_t fallback, int64_t *out, const char *where,
                               struct gram_error *err)
{
    const json_t *value = lookup(object, key);

    *out = fallback;
    if (!value)
        return GRAM_OK;
    if (!json_is_integer(value))
        return wrong_type(value, key, "an integer", where, err);
    *out = json_integer_value(value);
    if (*out < low || *out > high)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: %s is %" PRId64 ", must be from %" PRId64 " to %" PRId64, where, key,
                         *out, low, high);
    return GRAM_OK;
}

enum gram_status gram_json_real(const json_t *object, const char *key, double low, double high,
                                double fallback, double *out, const char *where,
                                struct gram_error *err)
{
    const json_t *value = lookup(object, key);

    *out = fallback;
    if (!value)
        return GRAM_OK;
    if (!json_is_number(value))
        return wrong_type(value, key, "a number", where, err);
    *out = json_number_value(value);
    if (!isfinite(*out) || *out < low || *out > high)
        return gram_fail(err, GRAM_EFORMAT, "%s: %s is %g, must be from %g to %g", where, key, *out,
                         low, high);
    return GRAM_OK;
}

enum gram_status gram_json_bool(const json_t *object, const char *key, bool fallback, bool *out,
                                const char *where, struct gram_error *err)
{
    const json_t *value = lookup(object, key);

    *out = fallback;
    if (!value)
        return GRAM_OK;
    if (!json_is_boolean(value))
        return wrong_type(value, key, "true or false", where, err);
    *out = json_is_true(value);
    return GRAM_OK;
}

enum gram_status gram_json_str(const json_t *object, const char *key, const char *fallback,
                               const char **out, const char *where, struct gram_error *err)
{
    const json_t *value = lookup(object, key);

    *out = fallback;
    if (!value)
        return GRAM_OK;
    if (!json_is_string(value))
        return wrong_type(value, key, "a string", where, err);
    *out = json_string_value(value);
    if (strlen(*out) != json_string_length(value))
        return gram_fail(err, GRAM_EFORMAT, "%s: %s holds a NUL character", where, key);
    return GRAM_OK;
}
