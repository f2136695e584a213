/* Training against a reference, by finite differences; and gradients through caches that round. */
#include <math.h>

#include "support.h"
#include "train/loss.h"
#include "train/teacher.h"
#include "trainee.h"

enum { TOKENS = 30, VOCAB = 97 };
static const int64_t lengths[2] = {19, 11};
static int32_t tokens[TOKENS], labels[TOKENS];
static const struct gram_sequences in = {tokens, labels, lengths, 2};
static const struct gram_stepper_limits limits = {
    .rows = TOKENS, .sequences = 2, .length = 19, .keeps_logits = true};

static int fill_sequences(void **state)
{
    (void)state;
    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = (i * 37 + 11) % VOCAB;
        labels[i] = i % 5 == 0 ? GRAM_IGNORE : (i * 53 + 7) % VOCAB;
    }
    return 0;
}

/* Away from the reference, so that there is something to hold against. */
static void move_weights(struct trainee *m)
{
    for (size_t i = 0; i < m->n_params; i++)
        for (int64_t k = 0; k < m->counts[i]; k++)
            m->weights[i][k] *= 1.0f + 0.1f * sinf((float)k);
}

static void hold_difference(struct trainee *m, size_t i, const char *name)
{
    const float step = 4e-3f;
    double most = 0.0;
    int64_t at = 0;

    clear_gradients(m);
    gram_stepper_run(&m->stepper, &in, 1.0);
    for (int64_t k = 0; k < m->counts[i]; k++) {
        if (fabs((double)m->grads[i][k]) > most) {
            most = fabs((double)m->grads[i][k]);
            at = k;
        }
    }
    const double got = (double)m->grads[i][at];
    float *w = &m->weights[i][at];
    const float was = *w;
    *w = was + step;
    const double up = gram_stepper_run(&m->stepper, &in, 1.0);
    *w = was - step;
    const double down = gram_stepper_run(&m->stepper, &in, 1.0);
    *w = was;
    const double slope = (up - down) / (2.0 * (double)step);
    if (!(fabs(slope - got) <= 0.03 * most + 2e-2))
        fail_msg("%s: %s[%lld]: gradient %g, difference %g", name, m->ck.desc.slots[i].tensor,
                 (long long)at, got, slope);
}

static void gradients_are_the_slopes_of_every_objective(void **state)
{
    static const struct {
        const char *name;
        struct gram_objective objective;
    } cases[] = {{"logits", {1.0, 2.0, 0.0}}, {"mixed", {0.4, 1.0, 0.0}}, {"blocks", {0.5, 1.5, 3.0}}};
    const char *path = "golden/models/qwen2_tied/hf";
    struct gram_teacher teacher;
    struct gram_error err;
    struct trainee m;

    (void)state;
    need_shared("golden/models/qwen2_tied/hf/config.json");
    open_trainee(&m, shared_path(path), NULL, 2, limits);
    move_weights(&m);
    MUST(gram_teacher_open(&teacher, m.rt, &m.ck, NULL, true, limits, &err));
    m.stepper.teacher = &teacher;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        m.stepper.objective = cases[c].objective;
        for (size_t i = 0; i < m.ck.desc.n_slots; i++)
            hold_difference(&m, i, cases[c].name);
    }
    gram_teacher_close(&teacher);
    close_trainee(&m);
}

static void a_model_that_is_its_reference_has_nothing_to_learn_from_it(void **state)
{
    struct gram_teacher teacher;
    struct gram_error err;
    struct trainee m;

    (void)state;
    open_trainee(&m, source_path("models/hamlet"), NULL, 2, limits);
    MUST(gram_teacher_open(&teacher, m.rt, &m.ck, source_path("models/hamlet"), true, limits, &err));
    m.stepper.teacher = &teacher;
    m.stepper.objective = (struct gram_objective){1.0, 1.0, 1.0};
    assert_true(fabs(gram_stepper_run(&m.stepper, &in, 1.0)) < 1e-6);
    for (size_t i = 0; i < m.n_params; i++)
        for (int64_t k = 0; k < m.counts[i]; k++)
            assert_true(fabs((double)m.grads[i][k]) < 1e-3);
    gram_teacher_close(&teacher);
    close_trainee(&m);
}

/* f16 rounds so little that gradients are those of f32 to its precision; int8 to that of its codes. */
static void gradients_pass_through_caches_that_round(void **state)
{
    static const struct {
        enum gram_kv_kind kind;
        double share;
    } caches[] = {{GRAM_KV_F16, 0.01}, {GRAM_KV_I8, 0.2}};
    struct trainee exact;

    (void)state;
    open_trainee(&exact, source_path("models/hamlet"), NULL, 2, limits);
    gram_stepper_run(&exact.stepper, &in, 1.0);
    for (size_t c = 0; c < 2; c++) {
        struct gram_stepper_limits rounded = limits;
        struct trainee m;
        rounded.kv = caches[c].kind;
        open_trainee(&m, source_path("models/hamlet"), NULL, 2, rounded);
        gram_stepper_run(&m.stepper, &in, 1.0);
        for (size_t i = 0; i < m.n_params; i++)
            hold_tensor("a gradient", m.grads[i], exact.grads[i], m.counts[i], caches[c].share, 1e-6,
                        0.001);
        close_trainee(&m);
    }
    close_trainee(&exact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes_of_every_objective),
        cmocka_unit_test(a_model_that_is_its_reference_has_nothing_to_learn_from_it),
        cmocka_unit_test(gradients_pass_through_caches_that_round),
    };
    return cmocka_run_group_tests(tests, fill_sequences, NULL);
}
