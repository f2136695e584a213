/*
 * Counts of all values of an input, for clipping. The range grows by doubling, downwards or upwards,
 * and pairs of bins become one, so that every count stays exact whatever the order of windows.
 * torch's HistogramObserver spreads its old counts over new bins instead; its rule is here too, to
 * compare with it.
 */
#ifndef GRAM_CALIB_HISTOGRAM_H
#define GRAM_CALIB_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/pool.h"

enum { GRAM_HISTOGRAM_BINS = 2048, GRAM_HISTOGRAM_PARTS = 16 };

/* Bin b counts the values in low + [b, b + 1) * (high - low) / bins; the last one holds `high` too. */
struct gram_histogram {
    int bins;         /* even, up to GRAM_HISTOGRAM_BINS */
    bool is_begun;
    double low, high; /* low < high once values were added */
    double count[GRAM_HISTOGRAM_BINS];
    uint32_t (*parts)[GRAM_HISTOGRAM_BINS]; /* [GRAM_HISTOGRAM_PARTS]: counted by several threads */
};

/* Empty, with memory from arena; NULL if it ran out. */
struct gram_histogram *gram_histogram_open(int bins, struct gram_arena *arena);
/* Add x[n], finite, whose least and greatest values are low and high. */
void gram_histogram_add(struct gram_histogram *h, struct gram_pool *pool, const float *x, int64_t n,
                        float low, float high);

/* Become the counts of another over [low, high); add them, the range doubled until it holds that one: those
 * of bins that do not lie in one of ours go where their middle lies. count[h->bins]. */
void gram_histogram_take(struct gram_histogram *h, const double *count, double low, double high);
void gram_histogram_merge(struct gram_histogram *h, const double *count, double low, double high);

/* The same by the rule of torch.ao.quantization.HistogramObserver as of torch 2.6 (upsample_rate 16). */
void gram_histogram_add_torch(struct gram_histogram *h, const float *x, int64_t n, float low,
                              float high);

#endif
