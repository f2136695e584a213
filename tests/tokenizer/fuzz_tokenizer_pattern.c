/* A pattern, a NUL, a text: what is accepted cuts the text into pieces that are the text again. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/pretokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pieces(const struct gram_pieces *pieces, size_t len)
{
    size_t done = 0;

    for (size_t i = 0; i < pieces->n; i++) {
        if (pieces->at[i].begin != done || pieces->at[i].end <= done)
            abort();
        done = pieces->at[i].end;
    }
    if (done != len)
        abort();
}

static void split(const struct gram_pattern *pattern, const char *text, size_t len)
{
    struct gram_pieces from = {0}, to = {0};
    struct gram_matcher matcher = {0};

    for (int behavior = GRAM_SPLIT_ISOLATED; behavior <= GRAM_SPLIT_CONTIGUOUS && len > 0;
         behavior++) {
        to.n = 0;
        if (gram_pieces_start(&from, text, len, true) &&
            gram_split_piece(&to, &from, from.at[0], pattern, (enum gram_split)behavior, false,
                             &matcher) == GRAM_OK)
            check_pieces(&to, len);
    }
    gram_matcher_reset(&matcher);
    gram_pieces_reset(&from);
    gram_pieces_reset(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *nul = memchr(data, 0, size), *pattern = (const char *)data;
    struct gram_arena arena = {0};
    struct gram_regex *regexes = NULL;
    struct gram_error err;
    const struct gram_source source = {&arena, &regexes, "fuzz", &err};
    struct gram_pattern compiled = {0};

    if (!nul || !gram_utf8_valid(pattern, size, NULL))
        return 0;
    const size_t len = (size_t)(nul - pattern);
    if (gram_regex_open(&compiled.regex, &source, pattern, len) == GRAM_OK)
        split(&compiled, nul + 1, size - len - 1);
    gram_regex_close_all(&regexes);
    gram_arena_reset(&arena);
    return 0;
}
