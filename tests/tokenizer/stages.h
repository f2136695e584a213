/* A loading context for tests of single stages. */
#ifndef TESTS_TOKENIZER_STAGES_H
#define TESTS_TOKENIZER_STAGES_H

#include "support.h"

#include "tokenizer/regex.h"
#include "tokenizer/source.h"

struct bench {
    struct gram_arena arena;
    struct gram_regex *regexes;
    struct gram_error err;
    struct gram_source source;
    json_t *json;
};

/* `text` is JSON; single quotes stand for double ones, to be readable in C. */
static inline void bench_start(struct bench *b, const char *text)
{
    char *copy = strdup(text);

    *b = (struct bench){0};
    b->source = (struct gram_source){&b->arena, &b->regexes, "test", &b->err};
    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    assert_int_equal(gram_json_parse(&b->json, copy, strlen(copy), "test", &b->err), GRAM_OK);
    free(copy);
}

static inline void bench_end(struct bench *b)
{
    json_decref(b->json);
    gram_regex_close_all(&b->regexes);
    gram_arena_reset(&b->arena);
}

#endif
