/* What every reader of a tokenizer part is given. */
#ifndef GRAM_TOKENIZER_SOURCE_H
#define GRAM_TOKENIZER_SOURCE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

struct gram_regex;

/*
 * Where a part is read from and what it may allocate. Everything taken from the arena and every
 * regex put in the list lives as long as the tokenizer.
 */
struct gram_source {
    struct gram_arena *arena;
    struct gram_regex **regexes;
    const char *where; /* the file, for errors */
    struct gram_error *err;
};

enum { GRAM_STAGE_DEPTH = 64, GRAM_STAGES = 128 };

/*
 * Normalizers, pre-tokenizers, post-processors and decoders share one shape in tokenizer.json: an
 * object with a "type", where type Sequence holds a list of such objects under `list_key`. Calls
 * add(context, type, object) for every one that is not a Sequence, in order; a null node calls
 * nothing. part  what the node is, for errors: "normalizer"
 */
typedef enum gram_status gram_stage_fn(void *context, const char *type, const json_t *object);
enum gram_status gram_stage_walk(const struct gram_source *source, const char *part,
                                 const char *list_key, const json_t *node, gram_stage_fn *add,
                                 void *context);

/* The sentence for a type that no row of a table has. `known` is the first row's name pointer,
 * `stride` the size of a row, a NULL name ends the table. */
enum gram_status gram_stage_unknown(const struct gram_source *source, const char *part,
                                    const char *type, const void *rows, size_t stride);

#endif
