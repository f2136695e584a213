/* Ranges and scales of activations against torch's observers (torch 2.6 and 1.13). */
#include "support.h"

#include <math.h>

#include "base/json.h"
#include "calib/observe.h"

static const char *folder; /* of the case at hand, below the shared folder */

static struct npy array(const char *input, const char *observer, const char *what)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s%s%s%s%s.npy", folder, input, *observer ? "." : "", observer,
             *what ? "." : "", what);
    return npy_load(shared_path(path));
}

static bool is_close(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

/* One observer of the case, as torch names its parts. */
struct observer {
    const char *name, *class, *scheme;
    struct gram_levels levels;
    double weight; /* of the moving average; 1 and 0: none */
    int axis, bins;
};

static struct observer read_observer(const char *name, const json_t *o)
{
    struct observer self = {.name = name, .weight = -1};
    const json_t *weight = json_object_get(o, "averaging_constant");

    self.class = json_string_value(json_object_get(o, "cls"));
    self.scheme = json_string_value(json_object_get(o, "qscheme"));
    self.levels.low = (int)json_integer_value(json_object_get(o, "quant_min"));
    self.levels.high = (int)json_integer_value(json_object_get(o, "quant_max"));
    self.levels.symmetric = strstr(self.scheme, "symmetric") != NULL;
    self.weight = json_is_number(weight) ? json_number_value(weight) : -1;
    self.axis = json_is_integer(json_object_get(o, "ch_axis"))
                    ? (int)json_integer_value(json_object_get(o, "ch_axis"))
                    : -1;
    self.bins = (int)json_integer_value(json_object_get(o, "bins"));
    return self;
}

/* The scale and the zero point of each range [2][channels] of the case. */
static void check_scales(const char *input, const struct observer *o, const char *ranges)
{
    struct npy range = array(input, o->name, ranges), scale = array(input, o->name, "scale");
    struct npy zero = array(input, o->name, "zp");
    const float *low = range.data, *high = low + scale.count;

    assert_int_equal(range.count, 2 * scale.count);
    for (int64_t c = 0; c < scale.count; c++) {
        const struct gram_scale got = gram_levels_scale(&o->levels, low[c], high[c]);
        if (got.scale != ((float *)scale.data)[c] || got.zero != ((int32_t *)zero.data)[c])
            fail_msg("%s %s channel %d: scale %g zero %d, expected %g %d", input, o->name, (int)c,
                     (double)got.scale, got.zero, (double)((float *)scale.data)[c],
                     ((int32_t *)zero.data)[c]);
    }
    free(range.data);
    free(scale.data);
    free(zero.data);
}

static void range_of(const float *x, int64_t n, float *low, float *high)
{
    *low = *high = x[0];
    for (int64_t i = 1; i < n; i++) {
        *low = fminf(*low, x[i]);
        *high = fmaxf(*high, x[i]);
    }
}

/* Feed the histogram observer batch by batch, hold its counts and its search against torch's. */
static void check_histogram(const char *input, const struct observer *o)
{
    struct npy x = array(input, "", ""), counts = array(input, o->name, "histogram");
    struct npy minmax = array(input, o->name, "minmax");
    struct npy found = array(input, o->name, "search_minmax");
    const int64_t batch = x.count / x.shape[0];
    struct gram_arena arena = {0};
    struct gram_histogram *h = gram_histogram_open(o->bins, &arena);
    double missed = 0;

    for (int64_t i = 0; i < x.shape[0]; i++) {
        float low, high;
        const float *at = (float *)x.data + i * batch;
        range_of(at, batch, &low, &high);
        gram_histogram_add_torch(h, at, batch, low, high);
    }
    assert_true(h->low == (double)((float *)minmax.data)[0]);
    assert_true(h->high == (double)((float *)minmax.data)[1]);
    for (int b = 0; b < o->bins; b++)
        missed += fabs(h->count[b] - (double)((float *)counts.data)[b]);
    /* Pieces of 1/16 of a count may fall on the other side of a bin's edge, by f32 rounding. */
    assert_true(missed <= 2.0);

    const double bin = (h->high - h->low) / h->bins;
    const struct gram_clip clip = gram_clip_torch(h, &o->levels);
    assert_true(is_close((double)clip.low, (double)((float *)found.data)[0], bin * 1.001));
    assert_true(is_close((double)clip.high, (double)((float *)found.data)[1], bin * 1.001));
    gram_arena_reset(&arena);
    free(x.data);
    free(counts.data);
    free(minmax.data);
    free(found.data);
}

/* The search alone, from the counts of the case. */
static void check_search(const char *input, const struct observer *o)
{
    struct npy counts = array(input, o->name, "histogram"), minmax = array(input, o->name, "minmax");
    struct npy found = array(input, o->name, "search_minmax");
    struct gram_arena arena = {0};
    struct gram_histogram *h = gram_histogram_open(o->bins, &arena);

    h->low = (double)((float *)minmax.data)[0];
    h->high = (double)((float *)minmax.data)[1];
    for (int b = 0; b < o->bins; b++)
        h->count[b] = (double)((float *)counts.data)[b];
    const double bin = (h->high - h->low) / h->bins;
    const struct gram_clip clip = gram_clip_torch(h, &o->levels);
    if (!is_close((double)clip.low, (double)((float *)found.data)[0], bin * 1.001) ||
        !is_close((double)clip.high, (double)((float *)found.data)[1], bin * 1.001))
        fail_msg("%s %s: searched %g..%g, expected %g..%g", input, o->name, (double)clip.low,
                 (double)clip.high, (double)((float *)found.data)[0],
                 (double)((float *)found.data)[1]);
    gram_arena_reset(&arena);
    free(counts.data);
    free(minmax.data);
    free(found.data);
}

/* Ranges [2][channels] as torch's observers keep them: all values, or averaged over batches. */
static void check_ranges(const char *input, const struct observer *o)
{
    struct npy x = array(input, "", ""), minmax = array(input, o->name, "minmax");
    const int64_t rows = x.shape[1], cols = x.shape[2], channels = minmax.count / 2;
    float *low = calloc((size_t)channels, sizeof *low), *high = calloc((size_t)channels, sizeof *high);

    for (int64_t i = 0; i < x.shape[0]; i++) {
        for (int64_t c = 0; c < channels; c++) {
            const float *at = (float *)x.data + i * rows * cols;
            float least = INFINITY, most = -INFINITY;
            for (int64_t k = 0; k < rows * cols; k++) {
                const int64_t channel = o->axis < 0 ? 0 : o->axis == 0 ? k / cols : k % cols;
                least = channel == c ? fminf(least, at[k]) : least;
                most = channel == c ? fmaxf(most, at[k]) : most;
            }
            if (o->weight < 0) {
                low[c] = i == 0 ? least : fminf(low[c], least);
                high[c] = i == 0 ? most : fmaxf(high[c], most);
            } else {
                const float weight = i == 0 ? 1.0f : (float)o->weight;
                low[c] += weight * (least - low[c]);
                high[c] += weight * (most - high[c]);
            }
        }
    }
    for (int64_t c = 0; c < channels; c++) {
        assert_true(is_close((double)low[c], (double)((float *)minmax.data)[c], 1e-6));
        assert_true(is_close((double)high[c], (double)((float *)minmax.data)[channels + c], 1e-6));
    }
    free(low);
    free(high);
    free(x.data);
    free(minmax.data);
}

static int check_case(const char *at, bool is_old)
{
    char path[256];
    struct gram_error err;
    json_t *root, *o;
    const char *name;
    int n = 0;

    folder = at;
    snprintf(path, sizeof path, "%s/case.json", at);
    need_shared(path);
    MUST(gram_json_load(&root, shared_path(path), &err));
    json_object_foreach(json_object_get(root, "observers"), name, o) {
        for (int i = 0; i < 2; i++, n++) {
            const char *input = i ? "Xpos" : "X";
            const struct observer observer = read_observer(name, o);
            const bool has_histogram = strstr(observer.class, "Histogram") != NULL;
            check_scales(input, &observer, has_histogram ? "search_minmax" : "minmax");
            if (has_histogram)
                check_search(input, &observer);
            if (has_histogram && !is_old)
                check_histogram(input, &observer);
            if (!has_histogram)
                check_ranges(input, &observer);
        }
    }
    json_decref(root);
    return n;
}

static void observers_of_torch_2_are_reproduced(void **state)
{
    (void)state;
    assert_int_equal(check_case("golden/quant/torch/observers", false), 56);
}

/* Its histograms cut the ends of the range off (they count between int(min) and int(max)), so only the search
 * and the scales are held against it. */
static void searches_of_torch_1_are_reproduced(void **state)
{
    (void)state;
    assert_int_equal(check_case("golden/quant/torch113/observers", true), 8);
}

/* A bell of width 1 with one value in 20000 at 40. */
static struct gram_histogram *bell(struct gram_arena *arena, bool is_positive)
{
    struct gram_histogram *h = gram_histogram_open(GRAM_HISTOGRAM_BINS, arena);

    h->low = is_positive ? 0 : -40;
    h->high = 40;
    for (int b = 0; b < h->bins; b++) {
        const double x = h->low + (b + 0.5) * (h->high - h->low) / h->bins;
        h->count[b] = rint(1e6 * exp(-0.5 * x * x) / 63.9);
    }
    h->count[h->bins - 1] += 50;
    return h;
}

static void outliers_are_clipped_and_bodies_are_not(void **state)
{
    struct gram_arena arena = {0};

    (void)state;
    for (int i = 0; i < 8; i++) {
        const struct gram_levels levels = gram_levels_of(i & 1, i >> 1 & 1, false);
        const struct gram_histogram *h = bell(&arena, i >> 2 & 1);
        const struct gram_clip clips[] = {gram_clip_percentile(h, &levels, 0.9995),
                                          gram_clip_entropy(h, &levels)};
        for (int k = 0; k < 2; k++) {
            /* Where 256 levels of the whole range follow a smooth bell, its divergence is nothing. */
            const float most = k == 0 ? 12.0f : 40.0f;
            if (clips[k].high < 2.5f || clips[k].high > most)
                fail_msg("levels %d, rule %d: clipped at %g", i, k, (double)clips[k].high);
        }
    }
    gram_arena_reset(&arena);
}

/* The expected error of a range, by brute force: many points of each bin. */
static double brute_error(const struct gram_histogram *h, const struct gram_levels *levels,
                          struct gram_clip clip)
{
    enum { POINTS = 16 };
    const double width = (h->high - h->low) / h->bins;
    const struct gram_scale s = gram_levels_scale(levels, clip.low, clip.high);
    double sum = 0;

    for (int b = 0; b < h->bins; b++) {
        for (int i = 0; h->count[b] > 0 && i < POINTS; i++) {
            const double x = h->low + (b + (i + 0.5) / POINTS) * width;
            const double q = fmin(fmax(rint(x / (double)s.scale) + s.zero, levels->low), levels->high);
            const double miss = x - (q - s.zero) * (double)s.scale;
            sum += h->count[b] / POINTS * miss * miss;
        }
    }
    return sum;
}

static void the_mse_range_is_about_the_best_of_all(void **state)
{
    struct gram_arena arena = {0};

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct gram_levels levels = gram_levels_of(i & 1, i >> 1 & 1, false);
        const struct gram_histogram *h = bell(&arena, i >> 2 & 1);
        const double found = brute_error(h, &levels, gram_clip_mse(h, &levels));
        for (float high = 0.5f; high <= 40; high += 0.5f) {
            const struct gram_clip other = {i >> 2 & 1 ? 0 : -high, high};
            assert_true(found <= 1.02 * brute_error(h, &levels, other));
        }
    }
    gram_arena_reset(&arena);
}

static void an_even_distribution_is_not_clipped(void **state)
{
    struct gram_arena arena = {0};
    const struct gram_levels levels = gram_levels_of(true, true, false);
    struct gram_histogram *h = gram_histogram_open(GRAM_HISTOGRAM_BINS, &arena);

    (void)state;
    h->low = -1;
    h->high = 1;
    for (int b = 0; b < h->bins; b++)
        h->count[b] = 100;
    assert_true(gram_clip_entropy(h, &levels).high >= 0.99f);
    assert_true(gram_clip_mse(h, &levels).high >= 0.98f);
    assert_true(is_close((double)gram_clip_percentile(h, &levels, 0.5).high, 0.5, 1e-3));
    gram_arena_reset(&arena);
}

static void observers_are_found_by_name(void **state)
{
    size_t n;
    const struct gram_observer *all = gram_observers(&n), *found;
    struct gram_error err;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        MUST(gram_observer_find(&found, all[i].about->name, &err));
        assert_ptr_equal(found, &all[i]);
    }
    MUST_FAIL(GRAM_EINVAL, "there are minmax, ", gram_observer_find(&found, "guess", &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_of_torch_2_are_reproduced),
        cmocka_unit_test(searches_of_torch_1_are_reproduced),
        cmocka_unit_test(outliers_are_clipped_and_bodies_are_not),
        cmocka_unit_test(the_mse_range_is_about_the_best_of_all),
        cmocka_unit_test(an_even_distribution_is_not_clipped),
        cmocka_unit_test(observers_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
