/*
 * Ranges from a histogram. A value is taken as spread evenly over its bin. For symmetric levels the
 * histogram is folded first: bins of |x| from 0 on, against the positive half of the levels.
 */
#include <math.h>

#include "base/checked.h"
#include "calib/observe.h"

enum { BINS = GRAM_HISTOGRAM_BINS, CANDIDATES = 256 };

/* Counts in bins of `width` from `low` on. Bins before `first` and from `end` on are empty. */
struct bins {
    double low, width;
    int n, first, end;
    double count[BINS];
};

static void trim(struct bins *b)
{
    b->first = 0;
    b->end = b->n;
    while (b->first < b->n - 1 && b->count[b->first] == 0.0)
        b->first++;
    while (b->end > b->first + 1 && b->count[b->end - 1] == 0.0)
        b->end--;
}

/* count, spread evenly over [from, to), into the bins of |x|. */
static void add_folded(struct bins *b, double from, double to, double count)
{
    const double density = count / (to - from);

    for (double sign = -1; sign <= 1; sign += 2) {
        const double low = fmax(sign < 0 ? -to : from, 0), high = sign < 0 ? -from : to;
        for (int i = (int)(low / b->width); i < b->n && i * b->width < high; i++)
            b->count[i] += density * fmax(0, fmin(high, (i + 1) * b->width) - fmax(low, i * b->width));
    }
}

static void as_bins(struct bins *b, const struct gram_histogram *h, bool symmetric)
{
    const double width = (h->high - h->low) / h->bins;

    *b = (struct bins){.low = h->low, .width = width, .n = h->bins};
    if (symmetric) {
        b->low = 0;
        b->width = fmax(fabs(h->low), fabs(h->high)) / h->bins;
    }
    for (int i = 0; i < h->bins; i++) {
        if (!symmetric)
            b->count[i] = h->count[i];
        else if (h->count[i] > 0)
            add_folded(b, h->low + i * width, h->low + (i + 1) * width, h->count[i]);
    }
    trim(b);
}

static struct gram_clip as_clip(double low, double high, bool symmetric)
{
    return (struct gram_clip){symmetric ? -(float)high : (float)low, (float)high};
}

/* Where the sum of counts comes to `share` of all, in units of bins. */
static double quantile(const struct bins *b, double share)
{
    double total = 0, sum = 0;

    for (int i = 0; i < b->n; i++)
        total += b->count[i];
    for (int i = b->first; i < b->end; i++) {
        const double count = b->count[i];
        if (count > 0 && sum + count >= share * total)
            return i + fmax(0, share * total - sum) / count;
        sum += count;
    }
    return b->end;
}

struct gram_clip gram_clip_percentile(const struct gram_histogram *h,
                                      const struct gram_levels *levels, double share)
{
    struct bins b;

    as_bins(&b, h, levels->symmetric);
    const double low = levels->symmetric ? 0 : quantile(&b, (1 - share) / 2);
    const double high = quantile(&b, levels->symmetric ? share : (1 + share) / 2);
    return as_clip(b.low + low * b.width, b.low + high * b.width, levels->symmetric);
}

/* The integral of (x - c)^2 over [c + from, c + to]. */
static double moment(double from, double to)
{
    return (to * to * to - from * from * from) / 3;
}

/*
 * Sum of squared errors when values are rounded to the middles of n cells of width `cell` from
 * `origin` (in units of bins) on: parts of a bin in its first and its last cell, and whole cells between.
 */
static double rounding_error(const struct bins *b, double origin, double cell, int n)
{
    double sum = 0;

    for (int i = b->first; i < b->end; i++) {
        const double from = i - origin, to = from + 1;
        const double a = fmin(fmax(floor(from / cell), 0), n - 1);
        const double z = fmin(fmax(floor(to / cell), 0), n - 1);
        sum += b->count[i] * (moment(from - (a + 0.5) * cell, cell / 2) +
                              (z - a - 1) * moment(-cell / 2, cell / 2) +
                              moment(-cell / 2, to - (z + 0.5) * cell));
    }
    return sum;
}

/* What is searched: symmetric levels from 0 on, or all between low and high; in units of bins. */
struct search {
    const struct bins *bins;
    int steps;        /* between the first and the last level */
    bool symmetric;
    double zero;      /* where the value 0 lies */
    double low, high; /* so far */
    double least;
};

/* The ends are levels themselves: cells begin half a step before. */
static void try_range(struct search *s, double low, double high)
{
    const double cell = (high - low) / s->steps;
    const double error = rounding_error(s->bins, low - cell / 2, cell, s->steps + 1);

    if (error < s->least) {
        s->least = error;
        s->low = low;
        s->high = high;
    }
}

/* Shrink one end towards zero, or (both) all of the range. */
static void shrink(struct search *s, bool move_low, bool move_high)
{
    const double low = s->low - s->zero, high = s->high - s->zero;

    for (int i = 1; i < CANDIDATES; i++) {
        const double share = (double)i / CANDIDATES;
        try_range(s, s->zero + low * (move_low ? share : 1),
                  s->zero + high * (move_high ? share : 1));
    }
}

struct gram_clip gram_clip_mse(const struct gram_histogram *h, const struct gram_levels *levels)
{
    struct bins b;
    as_bins(&b, h, levels->symmetric);
    struct search s = {
        .bins = &b,
        .steps = levels->high - levels->low,
        .symmetric = levels->symmetric,
        .zero = -b.low / b.width,
        .least = INFINITY,
    };
    if (levels->symmetric)
        s.steps /= 2;
    /* The range of the values, widened to hold 0 as the scale will be. */
    try_range(&s, fmin(b.first, s.zero), fmax(b.end, s.zero));
    shrink(&s, true, true);
    for (int round = 0; !levels->symmetric && round < 2; round++) {
        shrink(&s, true, false);
        shrink(&s, false, true);
    }
    return as_clip(b.low + s.low * b.width, b.low + s.high * b.width, levels->symmetric);
}

/* HistogramObserver._compute_quantization_error and _non_linear_param_search. */
struct gram_clip gram_clip_torch(const struct gram_histogram *h, const struct gram_levels *levels)
{
    enum { CELLS = 256 };
    const double step = 1e-5;
    double sums[BINS], total = 0, alpha = 0, beta = 1, least = INFINITY;
    int first = 0, last = h->bins - 1;
    struct bins b;

    (void)levels; /* it always looks for 8 bits */
    as_bins(&b, h, false);
    for (int i = 0; i < h->bins; i++)
        sums[i] = total += b.count[i];
    while (alpha < beta) {
        int left = first, right = last;
        while (left < last && sums[left] < (alpha + step) * total)
            left++;
        while (right > first && sums[right] > (beta - step) * total)
            right--;
        const bool move_left = left - first > last - right;
        alpha += move_left ? step : 0;
        beta -= move_left ? 0 : step;
        if (move_left ? left == first : right == last)
            continue;
        const int low = move_left ? left : first, high = move_left ? last : right;
        const double error =
            rounding_error(&b, low, (double)(high - low + 1) / CELLS, CELLS);
        if (error > least)
            break;
        least = error;
        first = low;
        last = high;
    }
    const float width = ((float)h->high - (float)h->low) / (float)h->bins;
    return (struct gram_clip){(float)h->low + width * (float)first,
                              (float)h->low + width * (float)(last + 1)};
}

/* Bins [first, end) merged into `levels` equal groups, each group's count spread over its bins that
 * are not empty; p receives those bins with what lies outside added to the ends. */
static double divergence(const struct bins *b, int first, int end, int levels)
{
    const double empty = 1e-4; /* counts of a bin that has none, as MXNet and onnxruntime smooth */
    const int n = end - first;
    double below = 0, above = 0, inside = 0, sum = 0, total = 0, q_total = 0;

    for (int i = b->first; i < first; i++)
        below += b->count[i];
    for (int i = end; i < b->end; i++)
        above += b->count[i];
    for (int g = 0; g < levels; g++) {
        const int from = first + (int)((int64_t)n * g / levels);
        const int to = first + (int)((int64_t)n * (g + 1) / levels);
        int taken = 0;
        inside = 0;
        for (int i = from; i < to; i++) {
            inside += b->count[i];
            taken += b->count[i] > 0;
        }
        for (int i = from; i < to; i++) {
            const double p = fmax(
                b->count[i] + (i == first ? below : 0) + (i == end - 1 ? above : 0), empty);
            const double q = b->count[i] > 0 ? inside / taken : empty;
            sum += p * log(p / q);
            total += p;
            q_total += q;
        }
    }
    return sum / total + log(q_total / total);
}

struct gram_clip gram_clip_entropy(const struct gram_histogram *h,
                                   const struct gram_levels *levels)
{
    struct bins b;
    as_bins(&b, h, levels->symmetric);
    const int n = (levels->high - levels->low + 1) / (levels->symmetric ? 2 : 1);
    const double zero = fmin(fmax(-b.low / b.width, b.first), b.end);
    double least = INFINITY, best = 1;

    for (int i = CANDIDATES; i > 0; i--) {
        const double share = (double)i / CANDIDATES;
        const int first = (int)(zero - (zero - b.first) * share);
        const int end = (int)ceil(zero + (b.end - zero) * share);
        if (end - first < n && i < CANDIDATES)
            break;
        const double d = divergence(&b, first, end, n);
        if (d < least) {
            least = d;
            best = share;
        }
    }
    return as_clip(b.low + (zero - (zero - b.first) * best) * b.width,
                   b.low + (zero + (b.end - zero) * best) * b.width, levels->symmetric);
}
