/* Cutting normalized text into the pieces that BPE works on. */
#ifndef GRAM_TOKENIZER_PRETOKENIZER_H
#define GRAM_TOKENIZER_PRETOKENIZER_H

#include "base/buf.h"
#include "tokenizer/regex.h"
#include "tokenizer/source.h"

/* Pieces of a text, in order, not empty. Zero bytes are a valid empty one. */
struct gram_pieces {
    struct gram_buf text;
    struct gram_piece {
        size_t begin, end; /* bytes of text */
    } * at;
    size_t n, cap;
    bool is_first; /* the first piece begins where the user's text begins */
};
void gram_pieces_reset(struct gram_pieces *pieces);
/* One piece that holds all of the text (none if it is empty). False when memory ran out. */
bool gram_pieces_start(struct gram_pieces *pieces, const char *text, size_t len, bool is_first);

/* What becomes of a delimiter: the behaviors of the `tokenizers` library. */
enum gram_split {
    GRAM_SPLIT_REMOVED,
    GRAM_SPLIT_ISOLATED,
    GRAM_SPLIT_WITH_PREVIOUS,
    GRAM_SPLIT_WITH_NEXT,
    GRAM_SPLIT_CONTIGUOUS,
};

/* Append the pieces of bytes begin..end-1 of `from`'s text, cut at the pattern, to `to`. */
enum gram_status gram_split_piece(struct gram_pieces *to, const struct gram_pieces *from,
                                  struct gram_piece piece, const struct gram_pattern *pattern,
                                  enum gram_split behavior, bool invert,
                                  struct gram_matcher *matcher);

struct gram_pretokenizer;
typedef void gram_rewrite_fn(const struct gram_pretokenizer *p, const char *text, size_t len,
                             bool is_first, struct gram_buf *out);

/* Every kind is up to three steps: rewrite each piece, split each piece, rewrite each piece. */
struct gram_pretokenizer {
    gram_rewrite_fn *before; /* NULL: nothing to do */
    struct gram_pattern pattern;
    bool splits;
    enum gram_split behavior;
    bool invert;
    gram_rewrite_fn *after;
    char mark[4]; /* Metaspace: what stands for a space */
    size_t mark_len;
    enum { GRAM_PREFIX_NEVER, GRAM_PREFIX_FIRST, GRAM_PREFIX_ALWAYS } prefix;
};

struct gram_pretokenizers {
    struct gram_pretokenizer *at;
    size_t n;
};

enum gram_status gram_pretokenizers_load(struct gram_pretokenizers *list,
                                         const struct gram_source *source, const json_t *node);

/* Run all of them over `pieces`; `spare` is scratch. */
enum gram_status gram_pretokenizers_apply(const struct gram_pretokenizers *list,
                                          struct gram_matcher *matcher, struct gram_pieces *pieces,
                                          struct gram_pieces *spare);

#endif
