/* Training from outside the library: what it learns, what it leaves, and that interruptions do not
 * show. */
#include <math.h>
#include <unistd.h>

#include "engine/adapter.h"
#include "engine/checkpoint.h"
#include "tuning.h"

enum { STEPS = 9, STOP = 5 };
static struct gram_runtime *rt;
static const char *text;

static int open_world(void **state)
{
    (void)state;
    text = unread_text(3000);
    rt = open_runtime(2, NULL);
    return 0;
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

static void every_method_lowers_the_loss_on_what_it_was_not_shown(void **state)
{
    static const char *const methods[] = {"full", "lora", "qat"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct gram_tune_options options = options_of(methods[i]);
        struct gram_tune_report report;
        struct gram_error err;
        MUST(gram_tune(rt, hamlet(), out_path(), &options, &report, NULL, &err));
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
    MUST(gram_tune(rt, hamlet(), out, &options, &report, NULL, &err));
    MUST(gram_check(&checked, rt, out, NULL, &err));
    assert_true(loss_of(rt, out, text, "f16") < loss_of(rt, hamlet(), text, "f16"));
}

static void what_is_trained_on_a_grid_beats_what_is_rounded_to_it(void **state)
{
    struct gram_tune_options options = options_of("qat");
    struct gram_tune_report report;
    struct gram_error err;
    const char *rounded = quantized(rt, "w2a16-g32", "mse"), *trained = out_path();

    (void)state;
    options.steps = 30;
    MUST(gram_tune(rt, hamlet(), trained, &options, &report, NULL, &err));
    const double before = loss_of(rt, rounded, text, "f16"),
                 after = loss_of(rt, trained, text, "f16");
    const double source = loss_of(rt, hamlet(), text, "f16");
    if (!(after < before && before - after > 0.3 * (before - source)))
        fail_msg("loss %g, rounded %g, trained %g", source, before, after);
}

/* What was measured in training is what the written model gives: same grid, codes and steps. What
 * is not on the grid was f32 in training, and is bf16 in the file. */
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
    MUST(gram_tune(rt, hamlet(), out, &options, &report, NULL, &err));
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
    MUST(gram_tune(rt, hamlet(), out, &options, NULL, NULL, &err));
    MUST(gram_checkpoint_open(&ck, hamlet(), &err));
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
        const struct gram_tune_options options = options_of("lora");
        const char *base = quantized(rt, schemes[i], "rtn");
        struct gram_tune_report report;
        struct gram_error err;
        MUST(gram_tune(rt, base, out_path(), &options, &report, NULL, &err));
        assert_true(report.held_after < report.held_before);
    }
}

/* ---- interruptions ---- */

static void an_interruption_does_not_show(void **state)
{
    static const char *const methods[] = {"qat", "lora"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct gram_tune_options options = options_of(methods[i]);
        const char *straight = out_path(), *broken = out_path();
        const char *name = i == 1 ? "adapter_model.safetensors" : "model.safetensors";
        struct gram_error err;
        options.eval_every = 3;
        options.patience = 9;
        MUST(gram_tune(rt, hamlet(), straight, &options, NULL, NULL, &err));
        tune_until(STOP, rt, hamlet(), broken, &options);
        tune_on_from(STOP, rt, hamlet(), broken, &options);
        assert_true(is_same_file(straight, broken, name));
        assert_true(is_same_file(straight, broken, "gram.json"));
    }
}

static void the_number_of_threads_does_not_show(void **state)
{
    const struct gram_tune_options options = options_of("qat");
    struct gram_runtime *other = open_runtime(1, NULL);
    struct gram_error err;
    const char *two_threads = out_path(), *one_thread = out_path();

    (void)state;
    MUST(gram_tune(rt, hamlet(), two_threads, &options, NULL, NULL, &err));
    MUST(gram_tune(other, hamlet(), one_thread, &options, NULL, NULL, &err));
    assert_true(is_same_file(two_threads, one_thread, "model.safetensors"));
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
    MUST(gram_tune(rt, hamlet(), out_path(), &options, &wide, NULL, &err));
    options.rows = 1;
    options.accumulate = 4;
    MUST(gram_tune(rt, hamlet(), out_path(), &options, &narrow, NULL, &err));
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
              gram_tune(rt, hamlet(), out, &options, NULL, NULL, &err));
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
    MUST(gram_tune(rt, hamlet(), out_path(), &options, &report, NULL, &err));
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

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_tune_options options = options_of("full");
        options.method = cases[i].method;
        options.scheme = cases[i].scheme;
        options.targets = cases[i].targets;
        options.lr = cases[i].lr;
        refuse_to_tune(rt, hamlet(), &options, cases[i].part);
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
