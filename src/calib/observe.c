#include "calib/observe.h"

#include <math.h>

#include "base/named.h"

struct gram_levels gram_levels_of(bool is_signed, bool symmetric, bool reduce_range)
{
    const int levels = reduce_range ? 128 : 256;
    const int low = is_signed ? -levels / 2 : 0;
    return (struct gram_levels){low, low + levels - 1, symmetric};
}

struct gram_scale gram_levels_scale(const struct gram_levels *levels, float low, float high)
{
    const float least = 0x1p-23f;
    const float span = (float)(levels->high - levels->low);

    low = fminf(low, 0.0f);
    high = fmaxf(high, 0.0f);
    if (levels->symmetric)
        return (struct gram_scale){fmaxf(fmaxf(-low, high) / (span / 2), least),
                                   levels->low < 0 ? 0 : (levels->high + 1) / 2};
    const float scale = fmaxf((high - low) / span, least);
    const int zero = levels->low - (int)rintf(low / scale);
    return (struct gram_scale){scale, zero < levels->low    ? levels->low
                                      : zero > levels->high ? levels->high
                                                            : zero};
}

static struct gram_clip clip_minmax(const struct gram_input_stats *stats,
                                    const struct gram_levels *levels)
{
    struct gram_clip clip = {stats->low[0], stats->high[0]};

    (void)levels;
    for (int64_t k = 1; k < stats->cols; k++) {
        clip.low = fminf(clip.low, stats->low[k]);
        clip.high = fmaxf(clip.high, stats->high[k]);
    }
    return clip;
}

static struct gram_clip clip_moving(const struct gram_input_stats *stats,
                                    const struct gram_levels *levels)
{
    (void)levels;
    return (struct gram_clip){stats->moving_low, stats->moving_high};
}

static struct gram_clip clip_percentile(const struct gram_input_stats *stats,
                                        const struct gram_levels *levels)
{
    return gram_clip_percentile(stats->histogram, levels, 0.9999);
}

static struct gram_clip clip_mse(const struct gram_input_stats *stats,
                                 const struct gram_levels *levels)
{
    return gram_clip_mse(stats->histogram, levels);
}

static struct gram_clip clip_entropy(const struct gram_input_stats *stats,
                                     const struct gram_levels *levels)
{
    return gram_clip_entropy(stats->histogram, levels);
}

static struct gram_clip clip_torch(const struct gram_input_stats *stats,
                                   const struct gram_levels *levels)
{
    return gram_clip_torch(stats->histogram, levels);
}

static const struct gram_choice choices[] = {
    {"minmax", "all values that calibration saw"},
    {"moving-average", "range of a window, averaged over windows with weight 0.01"},
    {"percentile", "99.99 % of the values"},
    {"mse", "least squared error"},
    {"entropy", "least divergence from the distribution of values (TensorRT)"},
    {"torch-histogram", "the search of torch's HistogramObserver"},
    {NULL, NULL},
};

static const struct gram_observer observers[] = {
    {&choices[0], GRAM_NEED_RANGE, clip_minmax},
    {&choices[1], GRAM_NEED_RANGE, clip_moving},
    {&choices[2], GRAM_NEED_HISTOGRAM, clip_percentile},
    {&choices[3], GRAM_NEED_HISTOGRAM, clip_mse},
    {&choices[4], GRAM_NEED_HISTOGRAM, clip_entropy},
    {&choices[5], GRAM_NEED_HISTOGRAM, clip_torch},
};

const struct gram_choice *gram_activation_observers(void)
{
    return choices;
}

const struct gram_observer *gram_observers(size_t *n)
{
    *n = sizeof observers / sizeof *observers;
    return observers;
}

enum gram_status gram_observer_find(const struct gram_observer **out, const char *name,
                                    struct gram_error *err)
{
    size_t at;

    GRAM_TRY(gram_named_find(&at, choices, sizeof choices[0], "observer", name, err));
    *out = &observers[at];
    return GRAM_OK;
}
