/* Training on grids from outside the library: activations, caches, references, channels, samples, and that
 * none of it depends on threads or shows an interruption. */
#include <math.h>
#include <unistd.h>

#include "formats/store.h"
#include "support.h"

enum { STEPS = 6, STOP = 4, MOST_TEXT = 2500 };
static struct gram_runtime *rt;
static char text[600];

static int open_world(void **state)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_error err;
    size_t n;

    (void)state;
    options.threads = 3;
    snprintf(text, sizeof text, "%s/text.txt", fresh_folder());
    char *whole = read_file(source_path("CONTRIBUTING.md"), &n); /* which hamlet has not read */
    write_file(text, whole, n < MOST_TEXT ? n : MOST_TEXT);
    free(whole);
    return gram_runtime_open(&rt, &options, &err) == GRAM_OK ? 0 : -1;
}

static int close_world(void **state)
{
    (void)state;
    gram_runtime_close(&rt);
    return 0;
}

static struct gram_tune_options plain(void)
{
    struct gram_tune_options o = GRAM_TUNE_OPTIONS_INIT;

    o.method = "qat";
    o.data = text;
    o.context = 64;
    o.rows = 2;
    o.steps = STEPS;
    o.eval_share = 0.2;
    o.keep_every = 2;
    o.scheme = "w4a16-g32";
    return o;
}

/* Every way to train on a grid that has state or arithmetic of its own. */
static struct gram_tune_options by_tokens(void)
{
    struct gram_tune_options o = plain();
    o.scheme = "w8a8";
    return o;
}

static struct gram_tune_options by_ranges(void)
{
    struct gram_tune_options o = plain();
    o.scheme = "w8a8-static";
    o.watch_steps = 2;
    return o;
}

static struct gram_tune_options by_observed_ranges(void)
{
    struct gram_tune_options o = by_ranges();
    o.ranges = "observed";
    return o;
}

static struct gram_tune_options against_itself(void)
{
    struct gram_tune_options o = plain();
    o.scheme = "w2a16-g32";
    o.distill = 0.5;
    o.distill_temperature = 2.0;
    o.block_mse = 0.1;
    return o;
}

static struct gram_tune_options by_a_coreset(void)
{
    struct gram_tune_options o = plain();
    o.scheme = "w2a16-g32";
    o.coreset = 0.3;
    return o;
}

static struct gram_tune_options by_channels(void)
{
    struct gram_tune_options o = plain();
    o.scheme = "w3a16-g32";
    o.channels = 0.25;
    return o;
}

static struct gram_tune_options through_caches(void)
{
    struct gram_tune_options o = plain();
    o.scheme = "w2a16-g32";
    o.kv = "int8";
    return o;
}

static struct gram_tune_options on_its_own_words(void)
{
    struct gram_tune_options o = plain();
    o.data = "self";
    o.self_tokens = 1200;
    o.scheme = "w2a16-g32";
    o.distill = 1.0;
    return o;
}

static struct gram_tune_options on_a_codebook(void)
{
    struct gram_tune_options o = plain();
    o.scheme = "nf4";
    return o;
}

static struct gram_tune_options with_outliers(void)
{
    struct gram_tune_options o = plain();
    o.scheme = "llm.int8";
    return o;
}

static const struct {
    const char *name;
    struct gram_tune_options (*options)(void);
} ways[] = {
    {"w8a8", by_tokens},           {"w8a8-static", by_ranges},
    {"observed", by_observed_ranges}, {"distilled", against_itself},
    {"coreset", by_a_coreset},     {"channels", by_channels},
    {"caches", through_caches},    {"self", on_its_own_words},
    {"nf4", on_a_codebook},        {"llm.int8", with_outliers},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static const char *out_path(void)
{
    static char paths[4][600];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/out", fresh_folder());
    return path;
}

static void assert_same_file(const char *way, const char *a, const char *b, const char *name)
{
    char path[2][700];
    size_t n, m;

    snprintf(path[0], sizeof path[0], "%s/%s", a, name);
    snprintf(path[1], sizeof path[1], "%s/%s", b, name);
    char *x = read_file(path[0], &n), *y = read_file(path[1], &m);
    if (n != m || memcmp(x, y, n) != 0)
        fail_msg("%s: %s differs", way, name);
    free(x);
    free(y);
}

static const char *hamlet(void)
{
    return source_path("models/hamlet");
}

/* ---- what comes of it ---- */

static void every_way_learns_and_writes_a_model_that_opens(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        const struct gram_tune_options options = ways[i].options();
        struct gram_check_report checked;
        struct gram_tune_report report;
        struct gram_error err;
        const char *out = out_path();
        MUST(gram_tune(rt, hamlet(), out, &options, &report, NULL, &err));
        MUST(gram_check(&checked, rt, out, NULL, &err));
        if (!(report.held_after < report.held_before + 0.01))
            fail_msg("%s: %g -> %g", ways[i].name, report.held_before, report.held_after);
    }
}

/* Loss of a written model on the text, as `gram eval` measures it. */
static double loss_of(const char *path, const char *kv)
{
    struct gram_eval_options options = GRAM_EVAL_OPTIONS_INIT;
    struct gram_eval_report report;
    struct gram_tokenizer *tokenizer;
    struct gram_model *model;
    struct gram_ids ids = {0};
    struct gram_error err;
    size_t n;

    MUST(gram_model_open(&model, rt, path, &err));
    MUST(gram_tokenizer_open(&tokenizer, path, &err));
    char *whole = read_file(text, &n);
    MUST(gram_tokenizer_encode(tokenizer, whole, n, 0, &ids, &err));
    options.context = 64;
    options.kv = kv;
    MUST(gram_eval(&report, model, NULL, ids.at, ids.len, &options, NULL, &err));
    free(whole);
    gram_ids_reset(&ids);
    gram_tokenizer_close(&tokenizer);
    gram_model_close(&model);
    return log(report.ppl);
}

/* Rounded activations and caches in training are those of the engine. What is held out is the text itself,
 * which a window cuts elsewhere than a row: hence the room. */
static void what_training_measures_is_what_the_engine_gives(void **state)
{
    struct gram_tune_options (*const measured[])(void) = {by_tokens, by_ranges, through_caches};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct gram_tune_options options = measured[i]();
        struct gram_tune_report report;
        struct gram_error err;
        const char *out = out_path();
        options.eval_share = 0.0;
        options.eval_data = text;
        MUST(gram_tune(rt, hamlet(), out, &options, &report, NULL, &err));
        const double engine = loss_of(out, options.kv ? options.kv : "f32");
        if (!(fabs(engine - report.held_after) < 0.03))
            fail_msg("way %zu: %g in training, %g in the engine", i, report.held_after, engine);
    }
}

static void a_step_learns_fewer_weights_when_few_channels_move(void **state)
{
    struct gram_tune_options all = plain(), few = by_channels();
    struct gram_tune_report report, less;
    struct gram_error err;

    (void)state;
    all.steps = few.steps = 1;
    MUST(gram_tune(rt, hamlet(), out_path(), &all, &report, NULL, &err));
    MUST(gram_tune(rt, hamlet(), out_path(), &few, &less, NULL, &err));
    assert_true(less.trained < report.trained);
}

static void distilling_brings_the_model_back_to_its_reference(void **state)
{
    struct gram_tune_options options = on_its_own_words();
    struct gram_tune_report report;
    struct gram_error err;

    (void)state;
    options.steps = 30;
    MUST(gram_tune(rt, hamlet(), out_path(), &options, &report, NULL, &err));
    assert_true(report.last_loss < 0.7 * report.first_loss); /* a divergence, whose least is 0 */
    assert_true(report.last_loss > 0.0);
}

static void a_model_learns_from_nothing(void **state)
{
    struct gram_tune_options options = plain();
    struct gram_tune_report report, again;
    struct gram_error err;
    const char *first = out_path(), *second = out_path();

    (void)state;
    options.method = "full";
    options.scheme = NULL;
    options.from_random = true;
    options.lr = 3e-3;
    options.steps = 20;
    MUST(gram_tune(rt, hamlet(), first, &options, &report, NULL, &err));
    MUST(gram_tune(rt, hamlet(), second, &options, &again, NULL, &err));
    assert_true(fabs(report.held_before - log(2048.0)) < 0.5); /* every token alike */
    assert_true(report.held_after < report.held_before - 1.0);
    assert_same_file("from nothing", first, second, "model.safetensors");
}

/* What the model must not change when its steps are trained. */
static void hold_codes(const char *before, const char *after)
{
    struct gram_store *a, *b;
    struct gram_error err;
    int codes = 0, steps = 0;

    MUST(gram_store_open(&a, before, &err));
    MUST(gram_store_open(&b, after, &err));
    for (size_t i = 0; i < gram_store_count(a); i++) {
        const struct gram_tensor *x = gram_store_at(a, i), *y = gram_store_find(b, x->name);
        const bool is_step = strstr(x->name, "weight_scale") != NULL;
        assert_true(y && x->bytes == y->bytes && x->dtype == y->dtype);
        const bool is_same = memcmp(x->data, y->data, (size_t)x->bytes) == 0;
        assert_true(is_step || is_same);
        steps += is_step && !is_same;
        codes += !is_step;
    }
    assert_true(steps > 0 && codes > 0);
    gram_store_close(&a);
    gram_store_close(&b);
}

static void the_steps_alone_of_a_quantized_model_are_trained(void **state)
{
    static const char *const schemes[] = {"w2a16-g32", "w4a16-asym-g32", "w8a16", "fp8"};

    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct gram_quantize_options quantize = GRAM_QUANTIZE_OPTIONS_INIT;
        struct gram_tune_options options = plain();
        struct gram_tune_report report;
        struct gram_error err;
        const char *base = out_path(), *out = out_path();
        quantize.scheme = schemes[i];
        quantize.method = "mse";
        MUST(gram_quantize(rt, hamlet(), base, &quantize, NULL, NULL, &err));
        options.method = "steps";
        options.scheme = NULL;
        options.lr = 3e-3;
        options.steps = 12;
        MUST(gram_tune(rt, base, out, &options, &report, NULL, &err));
        if (!(report.held_after < report.held_before))
            fail_msg("%s: %g -> %g", schemes[i], report.held_before, report.held_after);
        hold_codes(base, out);
    }
}

static void it_begins_with_the_codes_of_a_quantized_model(void **state)
{
    static const char *const schemes[] = {"w2a16-g32", "w3a16-channel-asym", "nf4"};

    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct gram_quantize_options quantize = GRAM_QUANTIZE_OPTIONS_INIT;
        struct gram_tune_options options = plain();
        struct gram_tune_report report;
        struct gram_error err;
        const char *base = out_path(), *out = out_path();
        const bool is_book = strcmp(schemes[i], "nf4") == 0;
        quantize.scheme = schemes[i];
        quantize.method = is_book ? "mse" : "gptq";
        quantize.calibration = text;
        MUST(gram_quantize(rt, hamlet(), base, &quantize, NULL, NULL, &err));
        options.scheme = schemes[i];
        options.start = base;
        options.steps = 1;
        options.lr = 1e-12;
        options.eval_share = 0.0;
        options.eval_data = text;
        MUST(gram_tune(rt, hamlet(), out, &options, &report, NULL, &err));
        assert_same_file(schemes[i], base, out, "model.safetensors");
    }
}

static void codes_of_another_grid_are_refused(void **state)
{
    struct gram_quantize_options quantize = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_tune_options options = plain();
    struct gram_error err;
    const char *base = out_path();

    (void)state;
    quantize.scheme = "w2a16-g32";
    MUST(gram_quantize(rt, hamlet(), base, &quantize, NULL, NULL, &err));
    options.start = base;
    MUST_FAIL(GRAM_EINVAL, "not on the grid",
              gram_tune(rt, hamlet(), out_path(), &options, NULL, NULL, &err));
}

/* ---- same bytes ---- */

static int steps_seen;

static void count_step(void *user, const struct gram_tune_step *step)
{
    (void)user, (void)step;
    steps_seen++;
}

static bool stop_in_between(void *user)
{
    (void)user;
    return steps_seen == STOP;
}

/* Straight through with three threads; interrupted, and resumed, with one. */
static void neither_interruptions_nor_threads_show_in_any_of_them(void **state)
{
    const struct gram_job job = {.cancelled = stop_in_between};
    struct gram_runtime_options one = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_runtime *other;
    struct gram_error err;

    (void)state;
    one.threads = 1;
    MUST(gram_runtime_open(&other, &one, &err));
    for (size_t i = 0; i < WAYS; i++) {
        struct gram_tune_options options = ways[i].options();
        const char *straight = out_path(), *broken = out_path();
        struct gram_tune_report report;
        options.on_step = count_step;
        MUST(gram_tune(rt, hamlet(), straight, &options, NULL, NULL, &err));
        steps_seen = 0;
        MUST_FAIL(GRAM_ECANCELED, "after step 4 of 6",
                  gram_tune(other, hamlet(), broken, &options, NULL, &job, &err));
        steps_seen = 0;
        MUST(gram_tune(other, hamlet(), broken, &options, &report, NULL, &err));
        assert_int_equal(report.resumed_from, STOP);
        assert_same_file(ways[i].name, straight, broken, "model.safetensors");
    }
    gram_runtime_close(&other);
}

/* ---- what cannot work ---- */

static void what_contradicts_itself_is_refused(void **state)
{
    struct gram_tune_options cases[5];
    static const char *const parts[] = {"must be shares", "learned or observed", "there to be held against",
                                        "scales are rounded together", "unknown kind of cache"};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        cases[i] = plain();
    cases[0].coreset = 0.0;
    cases[1].ranges = "guessed";
    cases[2].reference = hamlet();
    cases[3].scheme = "nf4-dq";
    cases[4].kv = "int3";
    for (size_t i = 0; i < 5; i++) {
        struct gram_error err;
        const enum gram_status status =
            gram_tune(rt, hamlet(), out_path(), &cases[i], NULL, NULL, &err);
        if (status == GRAM_OK || !strstr(err.message, parts[i]))
            fail_msg("case %zu: status %d, '%s'", i, (int)status, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_learns_and_writes_a_model_that_opens),
        cmocka_unit_test(what_training_measures_is_what_the_engine_gives),
        cmocka_unit_test(a_step_learns_fewer_weights_when_few_channels_move),
        cmocka_unit_test(distilling_brings_the_model_back_to_its_reference),
        cmocka_unit_test(a_model_learns_from_nothing),
        cmocka_unit_test(it_begins_with_the_codes_of_a_quantized_model),
        cmocka_unit_test(codes_of_another_grid_are_refused),
        cmocka_unit_test(the_steps_alone_of_a_quantized_model_are_trained),
        cmocka_unit_test(neither_interruptions_nor_threads_show_in_any_of_them),
        cmocka_unit_test(what_contradicts_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
