/* Finding matches in text: compiled patterns, literal strings, character classes. */
#ifndef GRAM_TOKENIZER_REGEX_H
#define GRAM_TOKENIZER_REGEX_H

#include <stdbool.h>
#include "tokenizer/source.h"

struct gram_buf;

/* A compiled pattern; a list of them hangs on the tokenizer. Immutable. */
struct gram_regex;

/* Compile `pattern` (UTF-8) after gram_regex_translate(), and add it to source->regexes.
 * Returns GRAM_OK, GRAM_EFORMAT, GRAM_EUNSUPPORTED, GRAM_ENOMEM. */
enum gram_status gram_regex_open(const struct gram_regex **out, const struct gram_source *source,
                                 const char *pattern, size_t len);
void gram_regex_close_all(struct gram_regex **list);

/* What to look for: one of the three. Borrowed members live in the tokenizer's arena. */
struct gram_pattern {
    const struct gram_regex *regex;
    const char *literal; /* not empty */
    size_t literal_len;
    bool (*is)(uint32_t c); /* every such character is one match */
};

/* Read {"Regex": "..."} or {"String": "..."}. */
enum gram_status gram_pattern_load(struct gram_pattern *out, const struct gram_source *source,
                                   const json_t *node);

/* A search through one text, from front to back; matches do not overlap. */
struct gram_search {
    const struct gram_pattern *pattern;
    const char *text;
    size_t len;
    size_t begin, end;     /* the match */
    size_t from, last_end; /* where to look next; where the last match ended */
    struct gram_matcher *matcher;
    bool any;
};

/* What one thread needs to match; zero bytes are a valid one, reset it when done. */
struct gram_matcher {
    void *data, *context;
    struct gram_error *err;
    enum gram_status status; /* of a search that went wrong; GRAM_OK until then */
};
void gram_matcher_reset(struct gram_matcher *matcher);

void gram_search_start(struct gram_search *search, const struct gram_pattern *pattern,
                       struct gram_matcher *matcher, const char *text, size_t len);
/* The next match; false at the end of the text or when matcher->status is no longer GRAM_OK. An
 * empty match is never reported right behind the match before it. */
bool gram_search_next(struct gram_search *search);

/* Append `text` with every match replaced by with[with_len]. */
enum gram_status gram_pattern_replace(const struct gram_pattern *pattern,
                                      struct gram_matcher *matcher, const char *text, size_t len,
                                      const char *with, size_t with_len, struct gram_buf *out);

#endif
