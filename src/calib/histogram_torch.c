/*
 * torch.ao.quantization.HistogramObserver, as of torch 2.6: when the range grows, each old bin is cut
 * into 16 pieces, whose counts go to the new bins that hold their middles. Its arithmetic is f32.
 */
#include <string.h>

#include "calib/histogram.h"

enum { PIECES = 16 };

/* torch.histc: equal bins over [low, high], values outside are left out. */
static void count_plain(double *count, int bins, const float *x, int64_t n, float low, float high)
{
    for (int64_t i = 0; i < n; i++) {
        if (x[i] < low || x[i] > high)
            continue;
        const int bin = (int)((x[i] - low) / (high - low) * (float)bins);
        count[bin < bins ? bin : bins - 1]++;
    }
}

/* torch.linspace(low, high, steps + 1)[i]: from the nearer end. */
static float linspace(float low, float high, int steps, int i)
{
    const float step = (high - low) / (float)steps;
    return i < (steps + 1) / 2 ? low + step * (float)i : high - step * (float)(steps - i);
}

/* The last bin of [low, high] that begins at or below x (torch.bucketize), found from a guess. */
static int bin_of(float x, float low, float high, int bins)
{
    int bin = (int)((x - low) / (high - low) * (float)bins);

    bin = bin < 0 ? 0 : bin >= bins ? bins - 1 : bin;
    while (bin + 1 < bins && linspace(low, high, bins, bin + 1) <= x)
        bin++;
    while (bin > 0 && linspace(low, high, bins, bin) > x)
        bin--;
    return bin;
}

/* Old counts of [h->low, h->high] added to count, which spans [low, high]. */
static void spread(double *count, const struct gram_histogram *h, float low, float high)
{
    const float from = (float)h->low, to = (float)h->high;
    const int pieces = h->bins * PIECES;
    const float width = (to - from) / (float)pieces;

    for (int i = 0; i < pieces; i++) {
        const float middle = linspace(from, to, pieces, i) + 0.5f * width;
        count[bin_of(middle, low, high, h->bins)] += h->count[i / PIECES] / PIECES;
    }
}

void gram_histogram_add_torch(struct gram_histogram *h, const float *x, int64_t n, float low,
                              float high)
{
    double count[GRAM_HISTOGRAM_BINS] = {0};

    if (h->is_begun) {
        low = low < (float)h->low ? low : (float)h->low;
        high = high > (float)h->high ? high : (float)h->high;
    }
    count_plain(count, h->bins, x, n, low, high);
    const bool is_same = h->is_begun && low == (float)h->low && high == (float)h->high;
    if (is_same) {
        for (int b = 0; b < h->bins; b++)
            count[b] += h->count[b];
    } else if (h->is_begun) {
        spread(count, h, low, high);
    }
    memcpy(h->count, count, sizeof count);
    h->low = low;
    h->high = high;
    h->is_begun = true;
}
