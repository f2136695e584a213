/* Windows that are computed in one call, as segments with a cache each: linears see the rows of all of them,
 * attention sees each alone. */
#ifndef GRAM_CALIB_TOGETHER_H
#define GRAM_CALIB_TOGETHER_H

#include "calib/corpus.h"
#include "graph/exec.h"

enum { GRAM_MOST_TOGETHER = 32 };

/* Zero bytes are a valid closed one. */
struct gram_together {
    struct gram_exec_segment segments[GRAM_MOST_TOGETHER];
    int n;
    int32_t *tokens; /* [max_rows]: of all of them */
    int64_t rows;

    int64_t max_rows;
    size_t next; /* the first window that has not been taken */
    struct gram_kv kv[GRAM_MOST_TOGETHER];
    int n_kv;
};

/* For calls of up to max_rows tokens, none of whose windows may be longer. False if memory ran out. */
bool gram_together_open(struct gram_together *together, int64_t max_rows);
void gram_together_close(struct gram_together *together);

/* Begin a pass over the corpus, through nodes [first, end): caches for their attentions, for as many windows
 * as any call will take. GRAM_ENOMEM. */
enum gram_status gram_together_begin(struct gram_together *together, const struct gram_corpus *corpus,
                                     const struct gram_graph *graph, int first, int end,
                                     struct gram_error *err);
void gram_together_end(struct gram_together *together);
/* Take the next windows that fit a call; false when there are no more. */
bool gram_together_fill(struct gram_together *together, const struct gram_corpus *corpus);

#endif
