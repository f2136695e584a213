/* Training from outside the library: what it learns, what it leaves, and that interruptions do not show. */
#include <math.h>
#include <unistd.h>

#include "engine/adapter.h"
#include "engine/checkpoint.h"
#include "support.h"

enum { STEPS = 9, STOP = 5, MOST_TEXT = 3000 };
static struct gram_runtime *rt;
static char text[600];

static int open_world(void **state)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_error err;
    size_t n;

    (void)state;
    options.threads = 2;
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

static struct gram_tune_options options_of(const char *method)
{
    struct gram_tune_options o = GRAM_TUNE_OPTIONS_INIT;

    o.method = method;
    o.data = text;
    o.context = 64;
    o.rows = 2;
    o.steps = STEPS;
    o.eval_share = 0.2;
    o.keep_every = 4;
    o.lr = 1e-3;
    o.rank = 4;
    o.scheme = strcmp(method, "qat") == 0 ? "w2a16-g32" : NULL;
    return o;
}

static const char *out_path(void)
{
    static char paths[4][600];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/out", fresh_folder());
    return path;
}

static const char *inside(const char *folder, const char *name)
{
    static char path[700];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void assert_same_file(const char *a, const char *b, const char *name)
{
    size_t n, m;
    char *x = read_file(inside(a, name), &n), *y = read_file(inside(b, name), &m);

    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* The mean loss of the model on the text's tokens. */
static double loss_of(const char *path)
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
    MUST(gram_eval(&report, model, NULL, ids.at, ids.len, &options, NULL, &err));
    free(whole);
    gram_ids_reset(&ids);
    gram_tokenizer_close(&tokenizer);
    gram_model_close(&model);
    return log(report.ppl);
}

static void every_method_lowers_the_loss_on_what_it_was_not_shown(void **state)
{
    static const char *const methods[] = {"full", "lora", "qat"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct gram_tune_options options = options_of(methods[i]);
        struct gram_tune_report report;
        struct gram_error err;
        MUST(gram_tune(rt, source_path("models/hamlet"), out_path(), &options, &report, NULL, &err));
        if (!(report.held_after < report.held_before))
            fail_msg("%s: %g -> %g", methods[i], report.held_before, report.held_after);
        assert_int_equal(report.steps, STEPS);
        assert_true(report.held_samples > 0);
    }
}

static void a_trained_model_opens_like_any_other(void **state)
{
    struct gram_tune_options options = options_of("full");
    struct gram_check_report checked;
    struct gram_tune_report report;
    struct gram_error err;
    const char *out = out_path();

    (void)state;
    options.eval_share = 0.0;
    options.epochs = 2;
    MUST(gram_tune(rt, source_path("models/hamlet"), out, &options, &report, NULL, &err));
    MUST(gram_check(&checked, rt, out, NULL, &err));
    assert_true(loss_of(out) < loss_of(source_path("models/hamlet")));
}

static void what_is_trained_on_a_grid_beats_what_is_rounded_to_it(void **state)
{
    struct gram_quantize_options quantize = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_tune_options options = options_of("qat");
    struct gram_tune_report report;
    struct gram_error err;
    const char *rounded = out_path(), *trained = out_path();

    (void)state;
    quantize.scheme = "w2a16-g32";
    quantize.method = "mse";
    MUST(gram_quantize(rt, source_path("models/hamlet"), rounded, &quantize, NULL, NULL, &err));
    options.steps = 30;
    MUST(gram_tune(rt, source_path("models/hamlet"), trained, &options, &report, NULL, &err));
    const double before = loss_of(rounded), after = loss_of(trained);
    const double source = loss_of(source_path("models/hamlet"));
    if (!(after < before && before - after > 0.3 * (before - source)))
        fail_msg("loss %g, rounded %g, trained %g", source, before, after);
}

/* What was measured in training is what the written model gives: same grid, codes and steps. What is not on
 * the grid was f32 in training, and is bf16 in the file. */
static void a_trained_grid_is_written_as_it_was_trained(void **state)
{
    struct gram_tune_options options = options_of("qat");
    struct gram_tune_report report;
    struct gram_error err;
    const char *out = out_path();

    (void)state;
    options.eval_share = 0.0;
    options.eval_data = text;
    options.context = 64;
    MUST(gram_tune(rt, source_path("models/hamlet"), out, &options, &report, NULL, &err));
    struct gram_tune_options again = options_of("qat");
    again.eval_share = 0.0;
    again.eval_data = text;
    again.steps = 1;
    again.lr = 1e-12;
    again.method = "lora";
    again.scheme = NULL;
    struct gram_tune_report measured;
    MUST(gram_tune(rt, out, out_path(), &again, &measured, NULL, &err));
    assert_true(fabs(measured.held_before - report.held_after) < 0.01);
}

static void an_adapter_is_read_back(void **state)
{
    struct gram_tune_options options = options_of("lora");
    struct gram_checkpoint ck;
    struct gram_lora lora;
    struct gram_error err;
    const char *out = out_path();
    double largest = 0.0;

    (void)state;
    options.targets = "q_proj,down_proj";
    options.alpha = 12;
    MUST(gram_tune(rt, source_path("models/hamlet"), out, &options, NULL, NULL, &err));
    MUST(gram_checkpoint_open(&ck, source_path("models/hamlet"), &err));
    MUST(gram_lora_read(&lora, &ck.desc, out, &err));
    assert_int_equal(lora.n_pairs, 2 * ck.desc.hp.layers);
    assert_int_equal(lora.rank, 4);
    assert_true(gram_lora_scale(&lora, &lora.pairs[0]) == 3.0);
    for (int64_t i = 0; i < lora.pairs[0].slot->rows * lora.pairs[0].rank; i++)
        largest = fmax(largest, fabs((double)lora.pairs[0].b[i]));
    assert_true(largest > 0.0); /* it began at zero */
    gram_lora_reset(&lora);
    gram_checkpoint_reset(&ck);
}

static void an_adapter_is_trained_on_a_quantized_base(void **state)
{
    static const char *const schemes[] = {"w4a16-g32", "nf4"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct gram_quantize_options quantize = GRAM_QUANTIZE_OPTIONS_INIT;
        struct gram_tune_options options = options_of("lora");
        struct gram_tune_report report;
        struct gram_error err;
        const char *base = out_path();
        quantize.scheme = schemes[i];
        MUST(gram_quantize(rt, source_path("models/hamlet"), base, &quantize, NULL, NULL, &err));
        MUST(gram_tune(rt, base, out_path(), &options, &report, NULL, &err));
        assert_true(report.held_after < report.held_before);
    }
}

/* ---- interruptions ---- */

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

static void an_interruption_does_not_show(void **state)
{
    static const char *const methods[] = {"qat", "lora"};
    const struct gram_job job = {.cancelled = stop_in_between};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct gram_tune_options options = options_of(methods[i]);
        const char *straight = out_path(), *broken = out_path();
        const char *name = i == 1 ? "adapter_model.safetensors" : "model.safetensors";
        struct gram_tune_report report;
        struct gram_error err;
        options.on_step = count_step;
        options.eval_every = 3;
        options.patience = 9;
        MUST(gram_tune(rt, source_path("models/hamlet"), straight, &options, NULL, NULL, &err));
        steps_seen = 0;
        MUST_FAIL(GRAM_ECANCELED, "after step 5 of 9",
                  gram_tune(rt, source_path("models/hamlet"), broken, &options, NULL, &job, &err));
        assert_int_not_equal(access(broken, F_OK), 0);
        steps_seen = 0;
        MUST(gram_tune(rt, source_path("models/hamlet"), broken, &options, &report, NULL, &err));
        assert_int_equal(report.resumed_from, STOP);
        assert_int_equal(steps_seen, STEPS - STOP);
        assert_same_file(straight, broken, name);
        assert_same_file(straight, broken, "gram.json");
    }
}

static void the_number_of_threads_does_not_show(void **state)
{
    const struct gram_tune_options options = options_of("qat");
    struct gram_runtime_options one = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_runtime *other;
    struct gram_error err;
    const char *two_threads = out_path(), *one_thread = out_path();

    (void)state;
    one.threads = 1;
    MUST(gram_runtime_open(&other, &one, &err));
    MUST(gram_tune(rt, source_path("models/hamlet"), two_threads, &options, NULL, NULL, &err));
    MUST(gram_tune(other, source_path("models/hamlet"), one_thread, &options, NULL, NULL, &err));
    assert_same_file(two_threads, one_thread, "model.safetensors");
    gram_runtime_close(&other);
}

static void batches_and_accumulation_add_up_to_the_same_step(void **state)
{
    struct gram_tune_options options = options_of("full");
    struct gram_tune_report wide, narrow;
    struct gram_error err;

    (void)state;
    options.steps = 2; /* within an epoch: batches end with it */
    options.rows = 4;
    MUST(gram_tune(rt, source_path("models/hamlet"), out_path(), &options, &wide, NULL, &err));
    options.rows = 1;
    options.accumulate = 4;
    MUST(gram_tune(rt, source_path("models/hamlet"), out_path(), &options, &narrow, NULL, &err));
    assert_true(fabs(wide.last_loss - narrow.last_loss) < 1e-4);
    assert_true(fabs(wide.held_after - narrow.held_after) < 1e-4);
}

/* ---- ends before the end ---- */

static void a_loss_that_is_not_finite_ends_it_with_the_last_checkpoint(void **state)
{
    struct gram_tune_options options = options_of("full");
    struct gram_error err;
    char partial[700];
    const char *out = out_path();

    (void)state;
    options.lr = 1e30;
    options.schedule = "constant";
    options.keep_every = 1;
    options.warmup = 0;
    options.eval_share = 0;
    options.optimizer = "sgd";
    options.clip = 0;
    MUST_FAIL(GRAM_ENUMERIC, "is not finite; the checkpoint of step 1 is kept",
              gram_tune(rt, source_path("models/hamlet"), out, &options, NULL, NULL, &err));
    assert_int_not_equal(access(out, F_OK), 0);
    snprintf(partial, sizeof partial, "%s.partial", out);
    assert_int_equal(access(partial, F_OK), 0);
}

static void patience_ends_it_with_the_best_weights(void **state)
{
    struct gram_tune_options options = options_of("full");
    struct gram_tune_report report;
    struct gram_error err;

    (void)state;
    options.lr = 0.05; /* too much: it gets worse */
    options.steps = 40;
    options.eval_every = 1;
    options.patience = 2;
    options.schedule = "constant";
    MUST(gram_tune(rt, source_path("models/hamlet"), out_path(), &options, &report, NULL, &err));
    assert_true(report.steps < 40);
    assert_true(report.held_after <= report.held_before);
}

static void what_cannot_work_is_refused_before_the_first_step(void **state)
{
    static const struct {
        const char *method, *scheme, *targets, *part;
        double lr;
    } cases[] = {
        {"half", NULL, NULL, "unknown method", 1e-3},
        {"full", "w4a16", NULL, "belongs to methods qat", 1e-3},
        {"qat", "nf4-dq", NULL, "cannot be trained", 1e-3},
        {"qat", "bf16", NULL, "has no grid", 1e-3},
        {"qat", "w2a16-g100", NULL, "do not divide", 1e-3},
        {"lora", NULL, "q_proj,k_prj", "no linear 'k_prj'", 1e-3},
        {"full", NULL, NULL, "lr", -1},
    };
    const char *out = out_path();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_tune_options options = options_of("full");
        struct gram_error err;
        options.method = cases[i].method;
        options.scheme = cases[i].scheme;
        options.targets = cases[i].targets;
        options.lr = cases[i].lr;
        const enum gram_status status =
            gram_tune(rt, source_path("models/hamlet"), out, &options, NULL, NULL, &err);
        if (status == GRAM_OK || !strstr(err.message, cases[i].part))
            fail_msg("case %zu: status %d, '%s'", i, (int)status, err.message);
        assert_int_not_equal(access(out, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_lowers_the_loss_on_what_it_was_not_shown),
        cmocka_unit_test(a_trained_model_opens_like_any_other),
        cmocka_unit_test(what_is_trained_on_a_grid_beats_what_is_rounded_to_it),
        cmocka_unit_test(a_trained_grid_is_written_as_it_was_trained),
        cmocka_unit_test(an_adapter_is_read_back),
        cmocka_unit_test(an_adapter_is_trained_on_a_quantized_base),
        cmocka_unit_test(an_interruption_does_not_show),
        cmocka_unit_test(the_number_of_threads_does_not_show),
        cmocka_unit_test(batches_and_accumulation_add_up_to_the_same_step),
        cmocka_unit_test(a_loss_that_is_not_finite_ends_it_with_the_last_checkpoint),
        cmocka_unit_test(patience_ends_it_with_the_best_weights),
        cmocka_unit_test(what_cannot_work_is_refused_before_the_first_step),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
