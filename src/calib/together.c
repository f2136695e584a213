#include "calib/together.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

bool gram_together_open(struct gram_together *t, int64_t max_rows)
{
    *t = (struct gram_together){.max_rows = max_rows};
    t->tokens = calloc((size_t)max_rows, sizeof *t->tokens);
    return t->tokens != NULL;
}

void gram_together_close(struct gram_together *t)
{
    gram_together_end(t);
    free(t->tokens);
    t->tokens = NULL;
}

void gram_together_end(struct gram_together *t)
{
    while (t->n_kv > 0)
        gram_kv_close(&t->kv[--t->n_kv]);
}

/* Windows from the first that has not been taken, as many as fit a call. */
static size_t count_next(const struct gram_together *t, const struct gram_corpus *corpus, size_t next)
{
    int64_t rows = 0;
    size_t n = 0;

    while (next + n < corpus->n_windows && n < GRAM_MOST_TOGETHER &&
           corpus->windows[next + n].n <= t->max_rows - rows)
        rows += corpus->windows[next + n++].n;
    return n;
}

enum gram_status gram_together_begin(struct gram_together *t, const struct gram_corpus *corpus,
                                     const struct gram_graph *graph, int first, int end,
                                     struct gram_error *err)
{
    const int64_t capacity = gram_corpus_longest(corpus);
    size_t most = 0;

    t->next = 0;
    for (size_t at = 0, n; (n = count_next(t, corpus, at)) > 0; at += n)
        most = n > most ? n : most;
    while ((size_t)t->n_kv < most) {
        GRAM_TRY(gram_kv_open_nodes(&t->kv[t->n_kv], graph, first, end, GRAM_KV_F32, capacity, err));
        t->n_kv++;
    }
    return GRAM_OK;
}

bool gram_together_fill(struct gram_together *t, const struct gram_corpus *corpus)
{
    const size_t n = count_next(t, corpus, t->next);

    t->rows = 0;
    for (t->n = 0; t->n < (int)n; t->n++) {
        const struct gram_window *w = &corpus->windows[t->next++];
        memcpy(t->tokens + t->rows, w->tokens, (size_t)w->n * sizeof *w->tokens);
        t->segments[t->n] = (struct gram_exec_segment){
            .kv = &t->kv[t->n],
            .rows = w->n,
            .length = w->n,
            .n_last = w->n,
        };
        t->rows += w->n;
    }
    return n > 0;
}
