/* Ways to train less than all weights: adapters on codes, in codes, of zero points, and scales
 * alone. */
#include <math.h>

#include "engine/adapter.h"
#include "engine/checkpoint.h"
#include "quant/linalg.h"
#include "tuning.h"

enum { STEPS = 6, STOP = 4 };
static struct gram_runtime *rt;
static const char *text;

static int open_world(void **state)
{
    (void)state;
    text = unread_text(2000);
    rt = open_runtime(2, "f32");
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
    o.context = 32;
    o.rows = 2;
    o.steps = STEPS;
    o.eval_share = 0.2;
    o.keep_every = 3;
    o.lr = 2e-3;
    o.rank = 4;
    return o;
}

/* The cases that are trained: a method, and what it begins with (NULL: the float model). */
struct way {
    const char *method, *scheme, *base, *file;
};
static const struct way ways[] = {
    {"qlora", NULL, NULL, "adapter_model.safetensors"},
    {"qlora", "w4a16-g32-asym", NULL, "adapter_model.safetensors"},
    {"lora-qat", "w3a16-g32", NULL, "model.safetensors"},
    {"lora-qat", NULL, "w4a16-g32", "model.safetensors"},
    {"qa-lora", NULL, "w3a16-g32-asym", "adapter_model.safetensors"},
    {"lora-qat", "nf4", NULL, "model.safetensors"},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static const char *begin_with(const struct way *w)
{
    return w->base ? quantized(rt, w->base, "mse") : hamlet();
}

static void every_method_lowers_the_loss_on_what_it_was_not_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        struct gram_tune_options options = options_of(ways[i].method);
        struct gram_tune_report report;
        struct gram_error err;
        options.scheme = ways[i].scheme;
        options.lr = strcmp(ways[i].method, "qa-lora") == 0 ? 2e-2 : options.lr; /* whole steps */
        MUST(gram_tune(rt, begin_with(&ways[i]), out_path(), &options, &report, NULL, &err));
        if (!(report.held_after < report.held_before))
            fail_msg("%s of %s: %g -> %g", ways[i].method, ways[i].base ? ways[i].base : "floats",
                     report.held_before, report.held_after);
    }
}

/* ---- what comes out ---- */

static void an_adapter_of_zero_points_merges_exactly_into_the_grid(void **state)
{
    struct gram_tune_options options = options_of("qa-lora");
    struct gram_merge_options merging = GRAM_MERGE_OPTIONS_INIT;
    const char *base = quantized(rt, "w3a16-g32-asym", "mse"), *adapter = out_path(),
               *merged = out_path();
    struct gram_merge_report report;
    struct gram_error err;

    (void)state;
    options.steps = 20;
    options.lr = 5e-3;
    MUST(gram_tune(rt, base, adapter, &options, NULL, NULL, &err));
    MUST(gram_merge(rt, base, merged, &(struct gram_adapter){adapter, 1.0}, 1, &merging, &report,
                    NULL, &err));
    assert_int_equal(report.linears, 35);
    assert_int_equal(report.exact, 35);
    assert_true(report.change > 0.0);
    const double difference = logits_apart(rt, base, adapter, merged);
    if (!(difference < 1e-5))
        fail_msg("logits differ by %g of the largest", difference);
    assert_true(logits_apart(rt, base, NULL, merged) > 1e-3);
}

/* What was measured in training is what the written model gives. */
static void what_lora_qat_writes_is_what_it_trained(void **state)
{
    struct gram_tune_options options = options_of("lora-qat"), again = options_of("lora");
    struct gram_tune_report report, measured;
    struct gram_error err;
    const char *out = out_path();

    (void)state;
    options.scheme = "w2a16-g32";
    options.eval_share = 0.0;
    options.eval_data = text;
    MUST(gram_tune(rt, hamlet(), out, &options, &report, NULL, &err));
    again.eval_share = 0.0;
    again.eval_data = text;
    again.steps = 1;
    again.lr = 1e-12;
    MUST(gram_tune(rt, out, out_path(), &again, &measured, NULL, &err));
    if (!(fabs(measured.held_before - report.held_after) < 1e-3))
        fail_msg("trained %g, written %g", report.held_after, measured.held_before);
}

static void the_base_of_qlora_is_what_quantize_makes(void **state)
{
    static const char *const schemes[] = {"nf4-dq", "nf4", "w4a16-g32-asym"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct gram_tune_options options = options_of("qlora");
        const char *base = out_path();
        struct gram_error err;
        options.scheme = schemes[i];
        options.base_out = base;
        options.steps = 1;
        MUST(gram_tune(rt, hamlet(), out_path(), &options, NULL, NULL, &err));
        assert_true(is_same_file(base, quantized(rt, schemes[i], "rtn"), "model.safetensors"));
    }
}

static void loftq_begins_closer_to_the_weights(void **state)
{
    double after[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct gram_tune_options options = options_of("qlora");
        struct gram_tune_report report;
        struct gram_error err;
        options.rank = 16;
        options.loftq = i == 0 ? 1 : 3;
        options.base_out = i == 0 ? NULL : out_path();
        options.steps = 1;
        MUST(gram_tune(rt, hamlet(), out_path(), &options, &report, NULL, &err));
        assert_true(report.loftq_after < 0.95 * report.loftq_before);
        after[i] = report.loftq_after;
    }
    assert_true(after[1] < after[0]);
}

static void the_best_product_of_a_rank_is_found(void **state)
{
    enum { ROWS = 7, COLS = 5, RANK = 2 };
    float x[ROWS * COLS], left[ROWS * RANK], right[RANK * ROWS];

    (void)state;
    for (int turned = 0; turned < 2; turned++) {
        const int rows = turned ? COLS : ROWS, cols = turned ? ROWS : COLS;
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < cols; j++) /* of rank 2 */
                x[i * cols + j] = (float)(sin(i + 1.0) * cos(j + 0.5) + 0.3 * (i - 2) * (j % 3));
        assert_int_equal(gram_low_rank_fit(left, right, x, rows, cols, RANK), GRAM_OK);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < cols; j++) {
                double sum = 0.0;
                for (int k = 0; k < RANK; k++)
                    sum += (double)left[i * RANK + k] * (double)right[k * cols + j];
                assert_true(fabs(sum - (double)x[i * cols + j]) < 1e-5);
            }
    }
}

/* ---- adapters as files ---- */

static void patterns_of_ranks_and_alphas_are_written_and_read_back(void **state)
{
    struct gram_tune_options options = options_of("lora");
    struct gram_checkpoint ck;
    struct gram_lora lora;
    struct gram_error err;
    const char *out = out_path();

    (void)state;
    options.targets = ".*layers\\.[01]\\..*(q|down)_proj";
    options.rank_pattern = "down_proj=7";
    options.alpha_pattern = "q_proj=3,layers.1.mlp.down_proj=5";
    options.use_rslora = true;
    options.dropout = 0.1;
    MUST(gram_tune(rt, hamlet(), out, &options, NULL, NULL, &err));
    MUST(gram_checkpoint_open(&ck, hamlet(), &err));
    MUST(gram_lora_read(&lora, &ck.desc, out, &err));
    assert_int_equal(lora.n_pairs, 4);
    assert_true(lora.is_rslora);
    assert_int_equal(lora.pairs[0].rank, 4);
    assert_true(lora.pairs[0].alpha == 3.0);
    assert_int_equal(lora.pairs[1].rank, 7);
    assert_true(lora.pairs[1].alpha == 8.0);
    assert_true(lora.pairs[3].alpha == 5.0);
    gram_lora_reset(&lora);
    gram_checkpoint_reset(&ck);
}

/* ---- interruptions ---- */

static void an_interruption_does_not_show(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        struct gram_tune_options options = options_of(ways[i].method);
        const char *base = begin_with(&ways[i]), *straight = out_path(), *broken = out_path();
        struct gram_error err;
        options.scheme = ways[i].scheme;
        options.dropout = strcmp(ways[i].method, "qlora") == 0 ? 0.2 : 0.0;
        options.loftq = i == 0;
        options.eval_share = 0.0;
        MUST(gram_tune(rt, base, straight, &options, NULL, NULL, &err));
        tune_until(STOP, rt, base, broken, &options);
        tune_on_from(STOP, rt, base, broken, &options);
        assert_true(is_same_file(straight, broken, ways[i].file));
    }
}

static void the_number_of_threads_does_not_show(void **state)
{
    struct gram_runtime *other = open_runtime(1, NULL);
    struct gram_error err;

    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        struct gram_tune_options options = options_of(ways[i].method);
        const char *base = begin_with(&ways[i]), *two_threads = out_path(),
                   *one_thread = out_path();
        options.scheme = ways[i].scheme;
        options.dropout = strcmp(ways[i].method, "qlora") == 0 ? 0.2 : 0.0;
        options.steps = 2;
        options.eval_share = 0.0;
        MUST(gram_tune(rt, base, two_threads, &options, NULL, NULL, &err));
        MUST(gram_tune(other, base, one_thread, &options, NULL, NULL, &err));
        assert_true(is_same_file(two_threads, one_thread, ways[i].file));
    }
    gram_runtime_close(&other);
}

static void what_cannot_work_is_refused_before_the_first_step(void **state)
{
    static const struct {
        const char *method, *base, *scheme, *part;
        double dropout;
        int64_t loftq;
    } cases[] = {
        {"qa-lora", NULL, NULL, "is not quantized", 0, 0},
        {"qa-lora", "w4a16-g32", NULL, "has no zero points by group", 0, 0},
        {"qa-lora", "w4a16-channel-asym", NULL, "has no zero points by group", 0, 0},
        {"lora-qat", NULL, "nf4-dq", "which cannot be trained", 0, 0},
        {"lora-qat", "w8a8", NULL, "rounded activations", 0, 0},
        {"qlora", "nf4", "nf4", "is quantized already", 0, 0},
        {"qlora", "nf4", NULL, "is quantized already", 0, 1},
        {"qlora", NULL, NULL, "changes the base's codes", 0, 2},
        {"lora", NULL, NULL, "belong to method qlora", 0, 1},
        {"lora-qat", NULL, NULL, "whose pairs stand beside the weights", 0.1, 0},
        {"qat", "w4a16-g32", NULL, "is quantized; train its steps", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_tune_options options = options_of(cases[i].method);
        options.scheme = cases[i].scheme;
        options.dropout = cases[i].dropout;
        options.loftq = cases[i].loftq;
        const char *base = cases[i].base ? quantized(rt, cases[i].base, "rtn") : hamlet();
        refuse_to_tune(rt, base, &options, cases[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_lowers_the_loss_on_what_it_was_not_shown),
        cmocka_unit_test(an_adapter_of_zero_points_merges_exactly_into_the_grid),
        cmocka_unit_test(what_lora_qat_writes_is_what_it_trained),
        cmocka_unit_test(the_base_of_qlora_is_what_quantize_makes),
        cmocka_unit_test(loftq_begins_closer_to_the_weights),
        cmocka_unit_test(the_best_product_of_a_rank_is_found),
        cmocka_unit_test(patterns_of_ranks_and_alphas_are_written_and_read_back),
        cmocka_unit_test(an_interruption_does_not_show),
        cmocka_unit_test(the_number_of_threads_does_not_show),
        cmocka_unit_test(what_cannot_work_is_refused_before_the_first_step),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
