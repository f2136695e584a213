/* Inspect and check: statistics as computed by hand, predicted sizes as written, damage found. */
#include "support.h"

#include <math.h>

#include "base/buf.h"
#include "formats/safetensors.h"

enum { N = 600000 }; /* more than two chunks */

static struct gram_runtime *open_runtime(int threads)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_runtime *rt;
    struct gram_error err;
    options.threads = threads;
    MUST(gram_runtime_open(&rt, &options, &err));
    return rt;
}

/* One f32 tensor of N values in a file of its own; the path lives until the test ends. */
static const char *file_of(const float *values)
{
    static char path[256];
    const struct gram_tensor tensor = {.name = "w", .dtype = GRAM_F32, .rank = 2, .shape = {N / 10, 10}};
    struct gram_buf bytes = {0};

    snprintf(path, sizeof path, "%s/w.safetensors", fresh_folder());
    assert_true(gram_safetensors_header(&bytes, &tensor, 1));
    gram_buf_add(&bytes, values, N * sizeof *values);
    write_file(path, bytes.at, bytes.len);
    gram_buf_reset(&bytes);
    return path;
}

static float *heavy_tailed(void)
{
    float *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++)
        x[i] = 0.01f + 0.02f * sinf((float)i * 1.7f) + (i % 10000 == 77 ? 0.5f : 0);
    return x;
}

static void statistics_are_those_of_the_definition(void **state)
{
    struct gram_inspect_report report;
    struct gram_error err;
    float *x = heavy_tailed();
    double sum = 0, square = 0, fourth = 0, absmax = 0;
    int outliers = 0;
    (void)state;

    for (int i = 0; i < N; i++) {
        sum += (double)x[i];
        absmax = fmax(absmax, fabs((double)x[i]));
    }
    const double mean = sum / N;
    for (int i = 0; i < N; i++) {
        const double away = (double)x[i] - mean;
        square += away * away;
        fourth += away * away * away * away;
    }
    const double std = sqrt(square / N);
    for (int i = 0; i < N; i++)
        outliers += fabs((double)x[i] - mean) > 6 * std;
    struct gram_runtime *rt = open_runtime(3);
    MUST(gram_inspect(&report, rt, file_of(x), true, NULL, &err));
    assert_false(report.is_model);
    assert_int_equal(report.n_tensors, 1);
    const struct gram_tensor_report *t = &report.tensors[0];
    assert_true(t->has_values && t->absmax == absmax && t->nonfinite == 0);
    assert_true(fabs(t->mean - mean) < 1e-12 && fabs(t->std - std) < 1e-10);
    assert_true(fabs(t->kurtosis - fourth / N / pow(square / N, 2)) < 1e-6 * t->kurtosis);
    assert_true(outliers > 0 && fabs(t->outliers - (double)outliers / N) < 1e-12);
    gram_inspect_reset(&report);
    gram_runtime_close(&rt);
    free(x);
}

static void what_is_not_finite_is_counted_and_left_out(void **state)
{
    struct gram_inspect_report report;
    struct gram_error err;
    float *x = calloc(N, sizeof *x);
    (void)state;

    x[5] = NAN, x[N - 1] = -INFINITY, x[7] = 2;
    struct gram_runtime *rt = open_runtime(2);
    MUST(gram_inspect(&report, rt, file_of(x), true, NULL, &err));
    assert_int_equal(report.tensors[0].nonfinite, 2);
    assert_true(report.tensors[0].absmax == 2 && isfinite(report.tensors[0].kurtosis));
    gram_inspect_reset(&report);
    MUST_FAIL(GRAM_ENONFINITE, "tensor 'w' element 5 is nan",
              gram_check(NULL, rt, file_of(x), NULL, &err));
    gram_runtime_close(&rt);
    free(x);
}

static const char *quantized(struct gram_runtime *rt, const char *scheme,
                             struct gram_quantize_report *report)
{
    static char out[256];
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_error err;

    snprintf(out, sizeof out, "%s/out", fresh_folder());
    options.scheme = scheme;
    MUST(gram_quantize(rt, source_path("models/hamlet"), out, &options, report, NULL, &err));
    return out;
}

static void predicted_sizes_are_those_that_are_written(void **state)
{
    struct gram_inspect_report report;
    struct gram_quantize_report written;
    struct gram_error err;
    struct gram_runtime *rt = open_runtime(2);
    (void)state;

    MUST(gram_inspect(&report, rt, source_path("models/hamlet"), false, NULL, &err));
    assert_true(report.n_costs >= 8);
    for (size_t i = 0; i < report.n_costs; i++) {
        if (strstr(report.costs[i].scheme, "-static"))
            continue; /* needs calibration; but for one number a linear its bytes are those of w8a8 */
        quantized(rt, report.costs[i].scheme, &written);
        if (report.costs[i].bytes != written.bytes_after)
            fail_msg("%s: %llu bytes predicted, %llu written", report.costs[i].scheme,
                     (unsigned long long)report.costs[i].bytes, (unsigned long long)written.bytes_after);
    }
    gram_inspect_reset(&report);
    gram_runtime_close(&rt);
}

static void a_flipped_bit_is_found_by_its_hash(void **state)
{
    struct gram_check_report report;
    struct gram_quantize_report written;
    struct gram_error err;
    struct gram_runtime *rt = open_runtime(2);
    const char *out = quantized(rt, "w4a16", &written);
    char path[512];
    size_t size;
    (void)state;

    MUST(gram_check(&report, rt, out, NULL, &err));
    assert_true(report.hashes >= 2 && report.tensors > 100);
    snprintf(path, sizeof path, "%s/model.safetensors", out);
    char *bytes = read_file(path, &size);
    bytes[size - 1000] ^= 4;
    write_file(path, bytes, size);
    MUST_FAIL(GRAM_EFORMAT, "the file was changed", gram_check(&report, rt, out, NULL, &err));
    free(bytes);
    gram_runtime_close(&rt);
}

static void a_certificate_that_does_not_add_up_is_refused(void **state)
{
    static const char *const numbers[] = {"\"fallbacks\": ", "\"bytes_after\": "};
    struct gram_quantize_report written;
    struct gram_error err;
    struct gram_runtime *rt = open_runtime(2);
    char path[512], *text, *at;
    size_t size;
    (void)state;

    for (int i = 0; i < 2; i++) {
        const char *out = quantized(rt, "w4a16", &written);
        snprintf(path, sizeof path, "%s/gram.json", out);
        text = read_file(path, &size);
        at = memmem(text, size, numbers[i], strlen(numbers[i]));
        assert_non_null(at);
        at[strlen(numbers[i])] ^= 1; /* another digit */
        write_file(path, text, size);
        MUST_FAIL(GRAM_EFORMAT, i == 0 ? "totals.fallbacks is 1, and there are 0" : "totals.bytes_after",
                  gram_check(NULL, rt, out, NULL, &err));
        free(text);
    }
    gram_runtime_close(&rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_those_of_the_definition),
        cmocka_unit_test(what_is_not_finite_is_counted_and_left_out),
        cmocka_unit_test(predicted_sizes_are_those_that_are_written),
        cmocka_unit_test(a_flipped_bit_is_found_by_its_hash),
        cmocka_unit_test(a_certificate_that_does_not_add_up_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
