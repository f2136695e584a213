/*
 * JSON read as it comes, without a tree: for files whose shape is known and whose size is not. As
 * strict as gram_json_parse(), but duplicate keys are the caller's to notice. Memory: none.
 *
 *     GRAM_TRY(gram_cursor_enter(&c, '{'));
 *     for (bool more;;) {
 *         GRAM_TRY(gram_cursor_more(&c, &more));
 *         if (!more)
 *             break;
 *         GRAM_TRY(gram_cursor_key(&c, &pool, &key));
 *         GRAM_TRY(gram_cursor_skip(&c));
 *     }
 *     return gram_cursor_end(&c);
 *
 * All return GRAM_OK or GRAM_EFORMAT, with the byte in the sentence.
 */
#ifndef GRAM_BASE_JSON_CURSOR_H
#define GRAM_BASE_JSON_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"

struct gram_json_cursor {
    const char *begin, *at, *end;
    const char *where; /* names the source in errors */
    const char *item;  /* names what is being read in errors; NULL for none */
    struct gram_error *err;
    int depth;
    bool is_first; /* just inside a bracket: no comma is due */
    char closing[GRAM_JSON_DEPTH];
};

/* A decoded string: UTF-8, NUL-terminated; may hold NUL characters. */
struct gram_json_text {
    const char *at;
    size_t len;
};

bool gram_json_text_is(const struct gram_json_text *text, const char *s);

/* bytes, where and err are borrowed until the cursor is done with. */
void gram_cursor_init(struct gram_json_cursor *c, const void *bytes, size_t len, const char *where,
                      struct gram_error *err);

/* The first character of the next value, '\0' at the end of the text. */
char gram_cursor_peek(struct gram_json_cursor *c);

/* Step into an object '{' or a list '['. */
enum gram_status gram_cursor_enter(struct gram_json_cursor *c, char bracket);
/* Is another member or element there? If not, the closing bracket has been passed. */
enum gram_status gram_cursor_more(struct gram_json_cursor *c, bool *more);

/*
 * Decode a string (a key, with its colon) to *pool and move *pool behind its NUL. A pool of as many
 * bytes as the whole text has holds all its strings.
 */
enum gram_status gram_cursor_string(struct gram_json_cursor *c, char **pool,
                                    struct gram_json_text *text);
enum gram_status gram_cursor_key(struct gram_json_cursor *c, char **pool,
                                 struct gram_json_text *text);

/* An integer of 64 bits, written without fraction and exponent. */
enum gram_status gram_cursor_int(struct gram_json_cursor *c, int64_t *value);

/* Any value, checked and passed over; a key. */
enum gram_status gram_cursor_skip(struct gram_json_cursor *c);
enum gram_status gram_cursor_skip_key(struct gram_json_cursor *c);

/* Nothing but white space is left. */
enum gram_status gram_cursor_end(struct gram_json_cursor *c);

/* "path: item: JSON byte 17: what", for what the caller finds wrong here. */
enum gram_status gram_cursor_fail(const struct gram_json_cursor *c, const char *what);

#endif
