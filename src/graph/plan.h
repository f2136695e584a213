/* Where each value lives: values whose lifetimes do not meet share memory. */
#ifndef GRAM_GRAPH_PLAN_H
#define GRAM_GRAPH_PLAN_H

#include "graph/graph.h"

/*
 * offsets [n_values]: floats per row before each value, for all values but the result (GRAM_NONE there).
 * Returns the floats per row that all of them take, or -1 if memory ran out.
 */
int64_t gram_plan(const struct gram_graph *graph, int64_t *offsets);

/*
 * The same for a pass that goes back: all values of a block have their own memory, shared with those of the
 * other blocks and of what follows the last; what leaves a block lies apart from what entered it.
 */
int64_t gram_plan_kept(const struct gram_graph *graph, int64_t *offsets);
/* The same, with memory of its own for every value. */
int64_t gram_plan_whole(const struct gram_graph *graph, int64_t *offsets);

#endif
