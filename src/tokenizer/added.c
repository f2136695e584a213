/*
 * Leftmost-longest search for added tokens, as the Rust library `tokenizers` does it: white space
 * is taken from both sides where the token says so, and a token inside a word can be refused.
 */
#include "tokenizer/added.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/unicode.h"

static int by_text(const void *left, const void *right)
{
    const struct gram_added_token *a = left, *b = right;
    const int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

    if (order != 0)
        return order;
    return a->len != b->len ? (a->len > b->len) - (a->len < b->len)
                            : (a->id > b->id) - (a->id < b->id);
}

static bool same_text(const struct gram_added_token *a, const struct gram_added_token *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

void gram_added_build(struct gram_added *added, struct gram_added_token *tokens, size_t n)
{
    size_t kept = 0;

    if (n > 0)
        qsort(tokens, n, sizeof *tokens, by_text);
    for (size_t i = 0; i < n; i++)
        if (tokens[i].len > 0 && (kept == 0 || !same_text(&tokens[i], &tokens[kept - 1])))
            tokens[kept++] = tokens[i];
    *added = (struct gram_added){.at = tokens, .n = kept};
    for (size_t i = 0; i < kept; i++)
        added->first[(unsigned char)tokens[i].text[0] + 1]++;
    for (size_t byte = 0; byte < 256; byte++)
        added->first[byte + 1] += added->first[byte];
}

/* Narrow the range low..high-1 of tokens that agree up to `depth` to those with `byte` there. The
 * token that ends at `depth`, if there is one, sorts first and has been dropped by the caller. */
static void narrow(const struct gram_added *added, size_t *low, size_t *high, size_t depth,
                   unsigned char byte)
{
    size_t edge[2];

    for (int side = 0; side < 2; side++) { /* the first token with a byte >= byte, > byte */
        size_t a = *low, b = *high;
        while (a < b) {
            const size_t middle = a + (b - a) / 2;
            if ((unsigned char)added->at[middle].text[depth] < byte + side)
                a = middle + 1;
            else
                b = middle;
        }
        edge[side] = a;
    }
    *low = edge[0];
    *high = edge[1];
}

/* The longest token that stands at the beginning of the text. */
static const struct gram_added_token *longest_at(const struct gram_added *added, const char *text,
                                                 size_t len)
{
    const struct gram_added_token *best = NULL;
    size_t low = added->first[(unsigned char)text[0]],
           high = added->first[(unsigned char)text[0] + 1];

    for (size_t depth = 1; low < high; depth++) {
        if (added->at[low].len == depth)
            best = &added->at[low++];
        if (depth == len)
            break;
        narrow(added, &low, &high, depth, (unsigned char)text[depth]);
    }
    return best;
}

/* The character that ends at `end`, with its first byte at *begin; 0 if there is none. */
static uint32_t char_before(const char *text, size_t end, size_t *begin)
{
    uint32_t c = 0;

    *begin = end;
    if (end == 0)
        return 0;
    do
        (*begin)--;
    while (*begin > 0 && ((unsigned char)text[*begin] & 0xc0) == 0x80);
    gram_utf8_next(text + *begin, end - *begin, &c);
    return c;
}

static bool touches_word(const char *text, size_t len, size_t begin, size_t end)
{
    size_t at;
    uint32_t after = 0;

    gram_utf8_next(text + end, len - end, &after);
    return (begin > 0 && gram_is_word(char_before(text, begin, &at))) ||
           (end < len && gram_is_word(after));
}

static size_t space_before(const char *text, size_t end, size_t limit)
{
    size_t begin;

    while (end > limit && gram_is_space(char_before(text, end, &begin)))
        end = begin;
    return end;
}

static size_t space_after(const char *text, size_t len, size_t begin)
{
    uint32_t c;

    for (size_t n; begin < len; begin += n) {
        n = gram_utf8_next(text + begin, len - begin, &c);
        if (!gram_is_space(c))
            break;
    }
    return begin;
}

void gram_cutter_start(struct gram_cutter *cutter, const struct gram_added *added, const char *text,
                       size_t len, bool plain)
{
    *cutter = (struct gram_cutter){.added = added, .text = text, .len = len, .plain = plain};
}

/* The next token to cut out, with its white space, into ahead. */
static bool find_token(struct gram_cutter *c)
{
    for (size_t i = c->from; i < c->len && c->added->n > 0; i++) {
        const struct gram_added_token *token = longest_at(c->added, c->text + i, c->len - i);
        if (!token)
            continue;
        size_t begin = i, end = i + token->len;
        i = end - 1; /* matches do not overlap, not even with one that is turned down here */
        if ((c->plain && token->is_special) ||
            (token->single_word && touches_word(c->text, c->len, begin, end)))
            continue;
        if (begin < c->done) /* in white space that the token before it took */
            continue;
        if (token->takes_left)
            begin = space_before(c->text, begin, c->done);
        c->from = end;
        if (token->takes_right)
            end = space_after(c->text, c->len, end);
        c->ahead = (struct gram_cut){begin, end, token};
        return true;
    }
    c->from = c->len;
    return false;
}

bool gram_cutter_next(struct gram_cutter *c, struct gram_cut *cut)
{
    if (c->done == c->len)
        return false;
    if (!c->ahead.token && !find_token(c))
        c->ahead = (struct gram_cut){c->len, c->len, NULL};
    if (c->ahead.begin > c->done) {
        *cut = (struct gram_cut){c->done, c->ahead.begin, NULL};
    } else {
        *cut = c->ahead;
        c->ahead = (struct gram_cut){0};
    }
    c->done = cut->end;
    return true;
}
