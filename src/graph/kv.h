/*
 * The keys and values of one timeline: per layer and key-value head, in the layout of kernels/attend.h.
 * Memory is reserved for the whole context and taken from the system as positions are filled.
 */
#ifndef GRAM_GRAPH_KV_H
#define GRAM_GRAPH_KV_H

#include "base/arena.h"
#include "base/error.h"
#include "graph/graph.h"
#include "kernels/attend.h"

struct gram_kv_layer {
    int64_t n_heads, dim;
    struct gram_kv_head *heads; /* [n_heads] */
};

/* One thread at a time. */
struct gram_kv {
    enum gram_kv_kind kind;
    int64_t capacity; /* positions */
    int n_layers;
    struct gram_kv_layer *layers;
    struct gram_arena arena; /* owns all of the above */
};

/* A cache for the attentions of a graph. Returns GRAM_OK or GRAM_ENOMEM. */
enum gram_status gram_kv_open(struct gram_kv *kv, const struct gram_graph *graph,
                              enum gram_kv_kind kind, int64_t capacity, struct gram_error *err);
/* The same for those among nodes [first, end) alone. */
enum gram_status gram_kv_open_nodes(struct gram_kv *kv, const struct gram_graph *graph, int first, int end,
                                    enum gram_kv_kind kind, int64_t capacity, struct gram_error *err);
/*
 * For passes that begin at position 0 and go through one layer after the other, as in training: the memory
 * of one layer for all, and views that share it out among the sequences of a call.
 */
enum gram_status gram_kv_open_shared(struct gram_kv *kv, const struct gram_graph *graph,
                                     enum gram_kv_kind kind, int64_t capacity,
                                     struct gram_error *err);
enum gram_status gram_kv_view_open(struct gram_kv *view, const struct gram_kv *shared,
                                   struct gram_error *err);
/* Positions [first, first + capacity) of it; first is a multiple of GRAM_PANEL. */
void gram_kv_view_move(struct gram_kv *view, const struct gram_kv *shared, int64_t first,
                       int64_t capacity);

/* Views too. */
void gram_kv_close(struct gram_kv *kv);

/* What a head holds of positions [0, n), as floats: k[n][dim] and v[n][dim]. */
void gram_kv_read(const struct gram_kv_head *head, enum gram_kv_kind kind, int64_t dim, int64_t n,
                  float *k, float *v);

/* Positions [0, length) of `from`, of the same graph and kind; both can hold so many. */
void gram_kv_copy(struct gram_kv *to, const struct gram_kv *from, int64_t length);

#endif
