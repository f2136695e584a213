/* Schedules against the rates that torch and transformers give. */
#include <math.h>

#include "support.h"
#include "train/schedule.h"

static const struct {
    const char *array, *name;
    double base;
    struct gram_schedule_options options;
} cases[] = {
    {"lr_step", "step", 0.1, {.every = 4, .gamma = 0.5}},
    {"lr_exp", "exponential", 0.1, {.gamma = 0.9}},
    {"lr_cosine", "cosine_annealing", 0.1, {.total = 15, .final = 1e-2}},
    {"lr_onecycle", "one_cycle", 0.5, {.total = 20}},
    {"lr_hf_cosine", "cosine", 0.1, {.cycles = 0.5, .warmup = 3, .total = 18}},
    {"lr_hf_linear", "linear", 0.1, {.warmup = 3, .total = 18}},
    {"lr_hf_constant_warmup", "constant", 0.1, {.warmup = 5}},
    {"lr_hf_poly", "polynomial", 0.1, {.warmup = 3, .total = 18, .final = 1e-3, .power = 2}},
    {"lr_hf_cosine_restarts", "cosine_restarts", 0.1, {.warmup = 2, .total = 18, .cycles = 3}},
    {"lr_hf_inverse_sqrt", "inverse_sqrt", 0.1, {.warmup = 4}},
};

static void rates_are_those_of_the_reference(void **state)
{
    (void)state;
    need_shared("golden/train/optim_traces/case.json");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[128];
        struct gram_error err;
        const struct gram_schedule *schedule;

        snprintf(path, sizeof path, "golden/train/optim_traces/%s.npy", cases[i].array);
        const struct npy npy = npy_load(shared_path(path));
        double *rates = npy_doubles(&npy);
        MUST(gram_schedule_find(&schedule, cases[i].name, &err));
        for (int64_t t = 0; t < npy.count; t++) {
            const double got = cases[i].base * schedule->share(&cases[i].options, t);
            if (fabs(got - rates[t]) > 1e-6 + 1e-5 * fabs(rates[t]))
                fail_msg("%s: step %d is %.9g, not %.9g", cases[i].array, (int)t, got, rates[t]);
        }
        free(rates);
        free(npy.data);
    }
}

static void warm_up_starts_at_zero_and_ends_at_the_base_rate(void **state)
{
    const struct gram_schedule_options options = {
        .warmup = 10, .total = 100, .power = 1, .cycles = 0.5};
    static const char *const names[] = {"constant", "linear", "cosine", "polynomial"};
    struct gram_error err;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct gram_schedule *s;
        MUST(gram_schedule_find(&s, names[i], &err));
        assert_true(s->share(&options, 0) == 0.0);
        assert_true(s->share(&options, 10) == 1.0);
    }
}

static void an_unknown_name_is_refused_with_the_names_that_there_are(void **state)
{
    const struct gram_schedule *s;
    struct gram_error err;
    (void)state;
    MUST_FAIL(GRAM_EINVAL, "cosine_annealing and one_cycle", gram_schedule_find(&s, "sawtooth", &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_those_of_the_reference),
        cmocka_unit_test(warm_up_starts_at_zero_and_ends_at_the_base_rate),
        cmocka_unit_test(an_unknown_name_is_refused_with_the_names_that_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
