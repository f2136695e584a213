/* Cutting a piece at the matches of a pattern, in the five ways of the `tokenizers` library. */
#include "tokenizer/pretokenizer.h"

#include <stdlib.h>

#include "base/checked.h"

void gram_pieces_reset(struct gram_pieces *pieces)
{
    gram_buf_reset(&pieces->text);
    free(pieces->at);
    *pieces = (struct gram_pieces){0};
}

static bool add_piece(struct gram_pieces *pieces, size_t begin, size_t end)
{
    void *at = pieces->at;

    if (begin == end)
        return true;
    if (!gram_grow(&at, &pieces->cap, pieces->n + 1, sizeof *pieces->at))
        return false;
    pieces->at = at;
    pieces->at[pieces->n++] = (struct gram_piece){begin, end};
    return true;
}

bool gram_pieces_start(struct gram_pieces *pieces, const char *text, size_t len, bool is_first)
{
    pieces->n = 0;
    pieces->text.len = 0;
    pieces->is_first = is_first;
    gram_buf_add(&pieces->text, text, len);
    return !pieces->text.failed && add_piece(pieces, 0, len);
}

/* A run of text on its way to become a piece. A part is what a search yields: a match, or the text
 * between two matches. */
struct splitter {
    struct gram_pieces *to;
    enum gram_split behavior;
    size_t begin, end; /* the run not yet added */
    bool any, was_match;
    bool failed;
};

static void flush(struct splitter *s)
{
    if (s->any && !add_piece(s->to, s->begin, s->end))
        s->failed = true;
    s->any = false;
}

/* Does a part extend the run before it? [behavior][was the last part a match][is this one]. */
static const bool joins[][2][2] = {
    [GRAM_SPLIT_REMOVED] = {{false, false}, {false, false}},
    [GRAM_SPLIT_ISOLATED] = {{false, false}, {false, false}},
    [GRAM_SPLIT_WITH_PREVIOUS] = {{false, true}, {false, false}},
    [GRAM_SPLIT_WITH_NEXT] = {{false, false}, {true, false}},
    [GRAM_SPLIT_CONTIGUOUS] = {{true, false}, {false, true}},
};

static void add_part(struct splitter *s, size_t begin, size_t end, bool is_match)
{
    if (s->any && joins[s->behavior][s->was_match][is_match]) {
        s->end = end;
    } else {
        flush(s);
        s->begin = begin;
        s->end = end;
        s->any = !(s->behavior == GRAM_SPLIT_REMOVED && is_match);
    }
    s->was_match = is_match;
}

enum gram_status gram_split_piece(struct gram_pieces *to, const struct gram_pieces *from,
                                  struct gram_piece piece, const struct gram_pattern *pattern,
                                  enum gram_split behavior, bool invert,
                                  struct gram_matcher *matcher)
{
    const size_t len = piece.end - piece.begin;
    struct splitter splitter = {.to = to, .behavior = behavior};
    struct gram_search search;
    size_t done = 0;

    gram_search_start(&search, pattern, matcher, from->text.at + piece.begin, len);
    while (!splitter.failed && gram_search_next(&search)) {
        if (search.begin > done)
            add_part(&splitter, piece.begin + done, piece.begin + search.begin, invert);
        add_part(&splitter, piece.begin + search.begin, piece.begin + search.end, !invert);
        done = search.end;
    }
    if (matcher->status != GRAM_OK)
        return matcher->status;
    if (done < len)
        add_part(&splitter, piece.begin + done, piece.end, invert);
    flush(&splitter);
    return splitter.failed ? gram_fail_memory(matcher->err, "a text") : GRAM_OK;
}
