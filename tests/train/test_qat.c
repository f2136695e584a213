/* Training on grids from outside the library: activations, caches, references, channels, samples,
 * and that none of it depends on threads or shows an interruption. */
#include <math.h>

#include "tuning.h"

enum { STEPS = 6, STOP = 4 };
static struct gram_runtime *rt;
static const char *text;

static int open_world(void **state)
{
    (void)state;
    text = unread_text(2500);
    rt = open_runtime(3, NULL);
    return 0;
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
    {"w8a8", by_tokens},           {"w8a8-static", by_ranges}, {"observed", by_observed_ranges},
    {"distilled", against_itself}, {"coreset", by_a_coreset},  {"channels", by_channels},
    {"caches", through_caches},    {"self", on_its_own_words}, {"nf4", on_a_codebook},
    {"llm.int8", with_outliers},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

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

/* Rounded activations and caches in training are those of the engine. What is held out is the text
 * itself, which a window cuts elsewhere than a row: hence the room. */
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
        const double engine = loss_of(rt, out, text, options.kv ? options.kv : "f32");
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

static void its_own_words_may_stand_beside_a_text(void **state)
{
    struct gram_tune_options options = plain();
    struct gram_tune_report report, more;
    struct gram_error err;

    (void)state;
    options.steps = 1;
    MUST(gram_tune(rt, hamlet(), out_path(), &options, &report, NULL, &err));
    options.self_tokens = 640;
    MUST(gram_tune(rt, hamlet(), out_path(), &options, &more, NULL, &err));
    assert_in_range(more.samples + more.held_samples, report.samples + report.held_samples + 9,
                    report.samples + report.held_samples + 20);
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
    assert_true(is_same_file(first, second, "model.safetensors"));
}

/* ---- same bytes ---- */

/* Straight through with three threads; interrupted, and resumed, with one. */
static void neither_interruptions_nor_threads_show_in_any_of_them(void **state)
{
    struct gram_runtime *other = open_runtime(1, NULL);
    struct gram_error err;

    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        const struct gram_tune_options options = ways[i].options();
        const char *straight = out_path(), *broken = out_path();
        MUST(gram_tune(rt, hamlet(), straight, &options, NULL, NULL, &err));
        tune_until(STOP, other, hamlet(), broken, &options);
        tune_on_from(STOP, other, hamlet(), broken, &options);
        if (!is_same_file(straight, broken, "model.safetensors"))
            fail_msg("%s: an interruption shows", ways[i].name);
    }
    gram_runtime_close(&other);
}

/* ---- what cannot work ---- */

static void what_contradicts_itself_is_refused(void **state)
{
    struct gram_tune_options cases[5];
    static const char *const parts[] = {"must be shares", "learned or observed",
                                        "there to be held against", "scales are rounded together",
                                        "unknown kind of cache"};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        cases[i] = plain();
    cases[0].coreset = 0.0;
    cases[1].ranges = "guessed";
    cases[2].reference = hamlet();
    cases[3].scheme = "nf4-dq";
    cases[4].kv = "int3";
    for (size_t i = 0; i < 5; i++)
        refuse_to_tune(rt, hamlet(), &cases[i], parts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_learns_and_writes_a_model_that_opens),
        cmocka_unit_test(what_training_measures_is_what_the_engine_gives),
        cmocka_unit_test(a_step_learns_fewer_weights_when_few_channels_move),
        cmocka_unit_test(distilling_brings_the_model_back_to_its_reference),
        cmocka_unit_test(its_own_words_may_stand_beside_a_text),
        cmocka_unit_test(a_model_learns_from_nothing),
        cmocka_unit_test(neither_interruptions_nor_threads_show_in_any_of_them),
        cmocka_unit_test(what_contradicts_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
