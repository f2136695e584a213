/* Long trainings: what they take and tell, and that neither limits nor files nor interruptions
 * show. */
#include <math.h>
#include <unistd.h>

#include "formats/store.h"
#include "tuning.h"

enum { STEPS = 6, STOP = 4 };
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

static struct gram_tune_options options_of(const char *optimizer)
{
    struct gram_tune_options o = GRAM_TUNE_OPTIONS_INIT;

    o.method = "full";
    o.data = text;
    o.context = 64;
    o.rows = 4;
    o.steps = STEPS;
    o.optimizer = optimizer;
    o.lr = 1e-3;
    return o;
}

static const char *inside(const char *folder, const char *name)
{
    static char path[2][700];
    static int next;
    char *at = path[next++ % 2];
    snprintf(at, sizeof path[0], "%s/%s", folder, name);
    return at;
}

/* ---- memory ---- */

static uint64_t told; /* the total that was told before the first step */

static void hear_memory(void *user, const struct gram_tune_memory *memory)
{
    (void)user;
    told = memory->total;
}

static void a_limit_is_kept_and_changes_no_bit(void **state)
{
    struct gram_tune_options options = options_of("adamw");
    struct gram_tune_report free_of_limits, limited;
    struct gram_error err;
    const char *straight = out_path(), *lean = out_path();

    (void)state;
    options.on_memory = hear_memory;
    MUST(gram_tune(rt, hamlet(), straight, &options, &free_of_limits, NULL, &err));
    assert_true(free_of_limits.memory.keeps_all && free_of_limits.memory.rows == 4);
    assert_int_equal(told, free_of_limits.memory.total);
    for (int i = 0; i < 3; i++) { /* each time less than the last */
        options.memory = told - 1;
        MUST(gram_tune(rt, hamlet(), lean, &options, &limited, NULL, &err));
        assert_true(told <= options.memory);
        assert_true(is_same_file(straight, lean, "model.safetensors"));
        options.force = true;
    }
    assert_true(!limited.memory.keeps_all || limited.memory.rows < 4);
}

static void what_does_not_fit_is_refused_in_a_sentence(void **state)
{
    struct gram_tune_options options = options_of("adamw");
    struct gram_error err;
    const char *out = out_path();

    (void)state;
    options.memory = 1 << 20;
    MUST_FAIL(GRAM_ENOMEM, "at the least and may take 1 MB",
              gram_tune(rt, hamlet(), out, &options, NULL, NULL, &err));
    assert_int_not_equal(access(out, F_OK), 0);
}

/* ---- states ---- */

static void states_in_8_bits_and_in_a_file_survive_an_interruption(void **state)
{
    struct gram_tune_options options = options_of("adamw8bit");
    const char *straight = out_path(), *broken = out_path();
    struct gram_error err;

    (void)state;
    MUST(gram_tune(rt, hamlet(), straight, &options, NULL, NULL, &err));
    options.paged = true;
    tune_until(STOP, rt, hamlet(), broken, &options);
    options.paged = false; /* where states lie is no part of the job */
    tune_on_from(STOP, rt, hamlet(), broken, &options);
    assert_true(is_same_file(straight, broken, "model.safetensors"));
}

static double loss_after(const char *optimizer)
{
    struct gram_tune_options options = options_of(optimizer);
    struct gram_tune_report report;
    struct gram_error err;

    options.steps = 30;
    options.eval_share = 0.2;
    MUST(gram_tune(rt, hamlet(), out_path(), &options, &report, NULL, &err));
    assert_true(report.held_after < report.held_before);
    return report.held_after;
}

/* Dettmers et al. 2022 find no difference after long trainings; this one is short, and its model
 * small. */
static void states_in_8_bits_learn_as_well_as_those_in_32(void **state)
{
    const double plain = loss_after("adamw"), coded = loss_after("adamw8bit");

    (void)state;
    if (!(fabs(coded - plain) < 0.02))
        fail_msg("held out: %g with f32, %g with 8 bits", plain, coded);
}

/* ---- what is written ---- */

static void weights_are_stored_as_asked(void **state)
{
    static const struct {
        const char *store, *name;
        enum gram_dtype dtype;
    } cases[] = {{"f32", "float32", GRAM_F32},
                 {"f16", "float16", GRAM_F16},
                 {"bf16", "bfloat16", GRAM_BF16}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct gram_tune_options options = options_of("adamw");
        struct gram_check_report checked;
        struct gram_store *store;
        struct gram_error err;
        const char *out = out_path();
        size_t n;
        options.store = cases[i].store;
        MUST(gram_tune(rt, hamlet(), out, &options, NULL, NULL, &err));
        MUST(gram_store_open(&store, out, &err));
        for (size_t k = 0; k < gram_store_count(store); k++)
            assert_int_equal(gram_store_at(store, k)->dtype, cases[i].dtype);
        gram_store_close(&store);
        char *config = read_file(inside(out, "config.json"), &n);
        assert_non_null(strstr(config, cases[i].name));
        free(config);
        MUST(gram_check(&checked, rt, out, NULL, &err));
    }
}

static void a_type_that_cannot_be_stored_is_refused(void **state)
{
    struct gram_tune_options options = options_of("adamw");
    struct gram_error err;

    (void)state;
    options.store = "w4a16";
    MUST_FAIL(GRAM_EINVAL, "f32, f16 or bf16, not as 'w4a16'",
              gram_tune(rt, hamlet(), out_path(), &options, NULL, NULL, &err));
    options.store = "bf16";
    options.method = "lora";
    MUST_FAIL(GRAM_EINVAL, "belongs to method full",
              gram_tune(rt, hamlet(), out_path(), &options, NULL, NULL, &err));
}

/* ---- which model it started from ---- */

static const char *copy_model(void)
{
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors"};
    const char *folder = fresh_folder();

    for (size_t i = 0; i < 3; i++) {
        size_t n;
        char *bytes = read_file(inside(hamlet(), names[i]), &n);
        write_file(inside(folder, names[i]), bytes, n);
        free(bytes);
    }
    return folder;
}

static void a_model_that_changed_anywhere_is_another_job(void **state)
{
    const struct gram_tune_options options = options_of("adamw");
    const char *model = copy_model(), *out = out_path();
    size_t n;

    (void)state;
    tune_until(STOP, rt, model, out, &options);
    char *bytes = read_file(inside(model, "model.safetensors"), &n);
    bytes[n - 2] ^= 1; /* the end of the last tensor */
    write_file(inside(model, "model.safetensors"), bytes, n);
    free(bytes);
    tune_on_from(0, rt, model, out, &options);
}

/* ---- checkpoints that are damaged ---- */

static void damage(const char *out, const char *name)
{
    char path[700];
    size_t n;

    snprintf(path, sizeof path, "%s.partial/model/%s", out, name);
    char *bytes = read_file(path, &n);
    bytes[n / 2] ^= 1;
    write_file(path, bytes, n);
    free(bytes);
}

static void expect_warning(void *user, const char *sentence)
{
    int *heard = user;

    *heard += strstr(sentence, "the last checkpoint is damaged") != NULL;
}

/* Kept after step 3 and, stopped, 4. */
static void behind_a_damaged_checkpoint_stands_another(void **state)
{
    struct gram_tune_options options = options_of("adamw");
    const char *straight = out_path(), *broken = out_path();
    int heard = 0;
    const struct gram_job job = {.warn = expect_warning, .user = &heard};
    struct gram_tune_report report;
    struct gram_error err;

    (void)state;
    MUST(gram_tune(rt, hamlet(), straight, &options, NULL, NULL, &err));
    options.keep_every = 3;
    tune_until(STOP, rt, hamlet(), broken, &options);
    damage(broken, "checkpoint-1");
    MUST(gram_tune(rt, hamlet(), broken, &options, &report, &job, &err));
    assert_int_equal(heard, 1);
    assert_int_equal(report.resumed_from, 3);
    assert_true(is_same_file(straight, broken, "model.safetensors"));
}

static void without_a_whole_checkpoint_it_says_so_and_touches_nothing(void **state)
{
    struct gram_tune_options options = options_of("adamw");
    const char *out = out_path();
    struct gram_error err;

    (void)state;
    options.keep_every = 3;
    tune_until(STOP, rt, hamlet(), out, &options);
    damage(out, "checkpoint-0");
    damage(out, "checkpoint-1");
    MUST_FAIL(GRAM_EIO, "are damaged; remove the folder",
              gram_tune(rt, hamlet(), out, &options, NULL, NULL, &err));
}

/* ---- what is told on the way ---- */

static int reports;

static void hear_progress(void *user, const struct gram_progress *p)
{
    (void)user;
    if (strcmp(p->stage, "train") != 0)
        return;
    reports++;
    assert_int_equal(p->done, reports);
    assert_int_equal(p->total, STEPS);
    assert_non_null(strstr(p->item, "loss "));
    assert_non_null(strstr(p->item, " tokens/s"));
}

static void every_step_is_told_with_its_loss_and_speed(void **state)
{
    const struct gram_job job = {.progress = hear_progress};
    struct gram_tune_options options = options_of("adamw");
    struct gram_error err;

    (void)state;
    reports = 0;
    MUST(gram_tune(rt, hamlet(), out_path(), &options, NULL, &job, &err));
    assert_int_equal(reports, STEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_kept_and_changes_no_bit),
        cmocka_unit_test(what_does_not_fit_is_refused_in_a_sentence),
        cmocka_unit_test(states_in_8_bits_and_in_a_file_survive_an_interruption),
        cmocka_unit_test(states_in_8_bits_learn_as_well_as_those_in_32),
        cmocka_unit_test(weights_are_stored_as_asked),
        cmocka_unit_test(a_type_that_cannot_be_stored_is_refused),
        cmocka_unit_test(a_model_that_changed_anywhere_is_another_job),
        cmocka_unit_test(behind_a_damaged_checkpoint_stands_another),
        cmocka_unit_test(without_a_whole_checkpoint_it_says_so_and_touches_nothing),
        cmocka_unit_test(every_step_is_told_with_its_loss_and_speed),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
