/* Optimizers against the weights that torch.optim leaves after every step. */
#include <math.h>

#include "support.h"
#include "train/optimizer.h"

#define ADAM .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8

static const struct {
    const char *array, *name;
    struct gram_optimizer_options options;
} cases[] = {
    {"w_sgd", "sgd", {.lr = 0.1}},
    {"w_sgd_momentum", "sgd", {.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01}},
    {"w_sgd_nesterov", "sgd", {.lr = 0.05, .momentum = 0.9, .nesterov = true}},
    {"w_sgd_dampening", "sgd", {.lr = 0.05, .momentum = 0.8, .dampening = 0.3}},
    {"w_adam", "adam", {ADAM, .lr = 0.01}},
    {"w_adam_l2", "adam", {ADAM, .lr = 0.01, .weight_decay = 0.1}},
    {"w_adam_amsgrad", "amsgrad", {ADAM, .lr = 0.01}},
    {"w_adamw",
     "adamw",
     {.lr = 0.01, .weight_decay = 0.1, .beta1 = 0.8, .beta2 = 0.98, .eps = 1e-6}},
    {"w_rmsprop", "rmsprop", {.eps = 1e-8, .lr = 0.01, .alpha = 0.95, .momentum = 0.5}},
    {"w_adagrad", "adagrad", {.lr = 0.1, .eps = 1e-10}},
};

enum { N = 35, STEPS = 12 };

static double *load(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "golden/train/optim_traces/%s.npy", name);
    const struct npy npy = npy_load(shared_path(path));
    double *values = npy_doubles(&npy);
    free(npy.data);
    return values;
}

static void check(size_t i, const double *start, const double *gradients)
{
    struct gram_error err;
    const struct gram_optimizer *optimizer;
    double *want = load(cases[i].array);
    float w[N], g[N], states[GRAM_MAX_STATES][N] = {{0}};

    MUST(gram_optimizer_find(&optimizer, cases[i].name, &err));
    for (int k = 0; k < N; k++)
        w[k] = (float)start[k];
    for (int64_t t = 0; t < STEPS; t++) {
        for (int k = 0; k < N; k++)
            g[k] = (float)gradients[t * N + k];
        optimizer->update(&(struct gram_update){.options = &cases[i].options,
                                                .step = t + 1,
                                                .w = w,
                                                .g = g,
                                                .n = N,
                                                .state = {states[0], states[1], states[2]}});
        for (int k = 0; k < N; k++) {
            const double right = want[t * N + k];
            if (fabs((double)w[k] - right) > 1e-6 + 1e-5 * fabs(right))
                fail_msg("%s: step %d, weight %d is %.9g, not %.9g", cases[i].array, (int)t + 1, k,
                         (double)w[k], right);
        }
    }
    free(want);
}

static void weights_move_as_those_of_the_reference(void **state)
{
    (void)state;
    need_shared("golden/train/optim_traces/case.json");
    double *start = load("w0"), *gradients = load("grads");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(i, start, gradients);
    free(start);
    free(gradients);
}

static void zero_gradients_leave_weights_but_for_decay(void **state)
{
    const struct gram_optimizer *o = gram_optimizers();
    (void)state;
    for (; o->name; o++) {
        const struct gram_optimizer_options options = GRAM_OPTIMIZER_OPTIONS_INIT;
        float w[3] = {1.0f, -2.0f, 0.0f}, g[3] = {0}, states[GRAM_MAX_STATES][3] = {{0}};
        o->update(&(struct gram_update){.options = &options,
                                        .step = 1,
                                        .w = w,
                                        .g = g,
                                        .n = 3,
                                        .state = {states[0], states[1], states[2]}});
        assert_true(w[0] == 1.0f && w[1] == -2.0f && w[2] == 0.0f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_move_as_those_of_the_reference),
        cmocka_unit_test(zero_gradients_leave_weights_but_for_decay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
