/*
 * How far all windows have come in a block: a node, and the values that it and those behind it still read.
 * A block is run from front to front, each node once, however often weights ahead are changed meanwhile.
 */
#ifndef GRAM_CALIB_FRONT_H
#define GRAM_CALIB_FRONT_H

#include "calib/boundary.h"
#include "graph/graph.h"

/* Memory of values that have ended, for those to come: a system takes its time to give so much. Zero bytes
 * are a valid empty one. */
struct gram_spares {
    struct gram_boundary all[8];
    int n;
};

void gram_spares_close(struct gram_spares *spares);

struct gram_kept {
    int value; /* of the graph */
    struct gram_boundary rows;
    bool is_borrowed; /* rows are somebody else's */
};

/* Zero bytes are a valid closed one. */
struct gram_front {
    const struct gram_graph *graph;
    const struct gram_block *block;
    int node; /* those of the block before it have been run; block->end: all */
    struct gram_kept *kept;
    int n;

    int64_t tokens;     /* of all windows */
    bool spills;        /* values go to files in `folder`, which is borrowed */
    const char *folder;
    struct gram_spares *spares; /* borrowed; may be NULL */
};

/* All but node, kept and n is the caller's; the front becomes the beginning of the block,
 * whose input is `entry`, borrowed. GRAM_ENOMEM. */
enum gram_status gram_front_open(struct gram_front *front, const struct gram_boundary *entry,
                                 struct gram_error *err);
void gram_front_close(struct gram_front *front);

/*
 * The front at node `to`, not before front's own. Values that both keep are borrowed from `front`; the
 * others have yet to be filled, and may take the memory of those that end: of the same rows, front's must be
 * read before they are written. GRAM_ENOMEM, GRAM_ENOSPC, GRAM_EIO: `front` can but be closed.
 */
enum gram_status gram_front_ahead(struct gram_front *ahead, struct gram_front *front, int to,
                                  struct gram_error *err);
/* front becomes `ahead`, which was made of it. */
void gram_front_move(struct gram_front *front, struct gram_front *ahead);

/* The rows of a value, NULL if it is not kept. */
const struct gram_boundary *gram_front_find(const struct gram_front *front, int value);

/* The value that nodes from `first` on read from before; GRAM_NONE if there is none. */
int gram_front_entering(const struct gram_graph *graph, int first);

#endif
