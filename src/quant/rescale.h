/*
 * Channels whose magnitude can move between the weight that makes them and the linears that read them:
 * the maker's channel j is divided by s_j, column j of every reader is multiplied by it, and the model
 * computes what it did. SmoothQuant (Xiao et al. 2023) and AWQ (Lin et al. 2023) differ in how they
 * choose s.
 */
#ifndef GRAM_QUANT_RESCALE_H
#define GRAM_QUANT_RESCALE_H

#include "quant/transform.h"

enum { GRAM_RESCALES = 4, GRAM_MOST_READERS = 3 };

/* One place of a block where that can be done. */
struct gram_rescale {
    const char *name;              /* for notes: "attn" */
    bool is_norm;                  /* the maker is the gain of a norm, not a linear */
    int maker, maker_bias;         /* slots; GRAM_NONE: no bias */
    int readers[GRAM_MOST_READERS];
    int n_readers;
    int64_t cols;                  /* of the readers */
    int64_t channels;              /* of the maker: cols, or fewer where heads share keys and values */
    int64_t head_dim, share;       /* column c reads channel gram_rescale_channel(); share heads have one */
    const struct gram_input_stats *stats; /* of what the readers read; NULL: there are none */
};

static inline int64_t gram_rescale_channel(const struct gram_rescale *at, int64_t col)
{
    return col / at->head_dim / at->share * at->head_dim + col % at->head_dim;
}

/* The places of the call's block whose weights are at hand, out[GRAM_RESCALES], in the order of the
 * graph. How many. */
int gram_rescale_list(struct gram_rescale *out, const struct gram_transform_call *call);

/* Refuse a model that has none of these, or whose linears have something else beside them. */
enum gram_status gram_rescale_check(const struct gram_model_desc *desc, const char *who,
                                    struct gram_error *err);

/* Gather x[cols] by the greatest of the columns that share a channel, or by their mean, out[channels]. */
void gram_rescale_gather(float *out, const struct gram_rescale *at, const float *x, bool mean);
/* The greatest |w| of each column among the readers, out[cols]. */
void gram_rescale_absmax(float *out, const struct gram_rescale *at, const struct gram_weights *weights);

/* Divide the maker by s[channels], all positive, and multiply the readers by it. */
void gram_rescale_apply(const struct gram_rescale *at, const struct gram_weights *weights, const float *s);

/* Add "attn 0.50" to the call's note, behind "<what> " or ", "; a value below 0 is said as "attn -". */
void gram_rescale_note(struct gram_transform_call *call, const char *what, const struct gram_rescale *at,
                       double value);

#endif
