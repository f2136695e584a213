/*
 * JSON from strangers: RFC 8259, strictly, with limits, read through Jansson. Getters name the file and
 * the key in their errors.
 */
#ifndef GRAM_BASE_JSON_H
#define GRAM_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

enum { GRAM_JSON_DEPTH = 128 };

/*
 * Parse `len` bytes. where names the source in errors ("model/config.json"). Duplicate keys, nesting
 * beyond GRAM_JSON_DEPTH, broken UTF-8, lone surrogates, NaN and trailing bytes are refused. The root may be
 * any value. *out is yours, json_decref() it.
 */
enum gram_status gram_json_parse(json_t **out, const void *bytes, size_t len, const char *where,
                                 struct gram_error *err);
/* The same from a file. */
enum gram_status gram_json_load(json_t **out, const char *path, struct gram_error *err);

/*
 * Typed reading of a key of `object`. A missing key or a null gives *out = fallback and GRAM_OK; a
 * value of another type or out of [low, high] is GRAM_EFORMAT. Numbers written as 8.0 are not
 * integers. Strings are borrowed from the object.
 */
enum gram_status gram_json_int(const json_t *object, const char *key, int64_t low, int64_t high,
                               int64_t fallback, int64_t *out, const char *where,
                               struct gram_error *err);
enum gram_status gram_json_real(const json_t *object, const char *key, double low, double high,
                                double fallback, double *out, const char *where,
                                struct gram_error *err);
enum gram_status gram_json_bool(const json_t *object, const char *key, bool fallback, bool *out,
                                const char *where, struct gram_error *err);
enum gram_status gram_json_str(const json_t *object, const char *key, const char *fallback,
                               const char **out, const char *where, struct gram_error *err);
/* Is the key there with a value other than null? */
bool gram_json_has(const json_t *object, const char *key);

#endif
