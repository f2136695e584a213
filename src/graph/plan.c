/*
 * Memory planning by first fit: walk the nodes in order, give each result the lowest place that is not
 * taken by a value still to be read. Good graphs of transformers need about three activations' worth.
 */
#include "graph/plan.h"

#include <stdlib.h>

enum { ALIGN = 16 }; /* floats: one cache line */

struct span {
    int64_t begin, end;
    int last_use; /* node */
};

static int *last_uses(const struct gram_graph *g)
{
    int *last = malloc((size_t)(g->n_values + 1) * sizeof *last);
    if (!last)
        return NULL;
    for (int v = 0; v < g->n_values; v++)
        last[v] = g->values[v].producer;
    for (int i = 0; i < g->n_nodes; i++) {
        for (int k = 0; k < GRAM_MAX_INPUTS; k++) {
            if (g->nodes[i].inputs[k] != GRAM_NONE)
                last[g->nodes[i].inputs[k]] = i;
        }
    }
    return last;
}

/* The lowest begin where `size` floats meet no live span. live is sorted by begin. */
static int64_t first_fit(const struct span *live, int n, int64_t size, int *at)
{
    int64_t begin = 0;
    int i = 0;
    for (; i < n && live[i].begin - begin < size; i++) {
        if (live[i].end > begin)
            begin = live[i].end;
    }
    *at = i;
    return begin;
}

static int drop_dead(struct span *live, int n, int node)
{
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (live[i].last_use >= node)
            live[kept++] = live[i];
    }
    return kept;
}

int64_t gram_plan(const struct gram_graph *graph, int64_t *offsets)
{
    int *last = last_uses(graph);
    struct span *live = malloc((size_t)(graph->n_values + 1) * sizeof *live);
    int64_t total = 0;
    int n = 0;

    for (int i = 0; last && live && i < graph->n_nodes; i++) {
        const int v = graph->nodes[i].output;
        offsets[v] = GRAM_NONE;
        if (v == graph->result)
            continue;
        if (graph->nodes[i].run > 0) /* results of a run are written together, before any is read */
            n = drop_dead(live, n, i);
        const int64_t size = (graph->values[v].cols + ALIGN - 1) / ALIGN * ALIGN;
        int at;
        const int64_t begin = first_fit(live, n, size, &at);
        for (int k = n; k > at; k--)
            live[k] = live[k - 1];
        live[at] = (struct span){begin, begin + size, last[v]};
        n++;
        offsets[v] = begin;
        total = begin + size > total ? begin + size : total;
    }
    if (!last || !live)
        total = -1;
    free(last);
    free(live);
    return total;
}
