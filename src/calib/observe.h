/*
 * Scales of activations from what calibration saw: an observer turns statistics into the range that
 * is kept, levels turn a range into a scale and a zero point.
 */
#ifndef GRAM_CALIB_OBSERVE_H
#define GRAM_CALIB_OBSERVE_H

#include <gram/quantize.h>
#include "calib/histogram.h"
#include "calib/stats.h"

/* The codes that values are rounded to: q = clamp(round(x / scale) + zero, low, high). */
struct gram_levels {
    int low, high;
    bool symmetric; /* zero is the middle: 0, or 128 of unsigned codes */
};

struct gram_scale {
    float scale; /* at least 2^-23 */
    int zero;
};

/* 8 bits, signed -128..127 or unsigned 0..255; reduce_range leaves out one bit, for processors whose
 * int8 products saturate. */
struct gram_levels gram_levels_of(bool is_signed, bool symmetric, bool reduce_range);
/* calculate_qparams of torch.ao.quantization: the range is widened to hold 0 first. */
struct gram_scale gram_levels_scale(const struct gram_levels *levels, float low, float high);

/* A range of values; low <= high. */
struct gram_clip {
    float low, high;
};

/*
 * Ranges from a histogram that holds at least one value; `levels` says how they will be used.
 *   percentile  share [0..1] of the values that is kept: symmetric, by magnitude, else as much on each side
 *   mse         the least expected squared error, rounding and clipping together
 *   entropy     the least divergence of the rounded from the original distribution (Migacz 2017, "8-bit
 *               inference with TensorRT")
 *   torch       the search of torch's HistogramObserver, which stops at the first range that is not better
 */
struct gram_clip gram_clip_percentile(const struct gram_histogram *h,
                                      const struct gram_levels *levels, double share);
struct gram_clip gram_clip_mse(const struct gram_histogram *h, const struct gram_levels *levels);
struct gram_clip gram_clip_entropy(const struct gram_histogram *h,
                                   const struct gram_levels *levels);
struct gram_clip gram_clip_torch(const struct gram_histogram *h, const struct gram_levels *levels);

struct gram_observer {
    const struct gram_choice *about;
    unsigned needs; /* enum gram_need */
    struct gram_clip (*clip)(const struct gram_input_stats *stats,
                             const struct gram_levels *levels);
};

/* All of them, in the order that help shows. */
const struct gram_observer *gram_observers(size_t *n);
/* GRAM_EINVAL, with the names that there are, for an unknown one. */
enum gram_status gram_observer_find(const struct gram_observer **out, const char *name,
                                    struct gram_error *err);

#endif
