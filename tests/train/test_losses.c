/* Losses and their gradients against torch's. */
#include <math.h>

#include "base/cpu.h"
#include "support.h"
#include "train/entropy.h"
#include "train/loss.h"

enum { ROWS = 9, COLS = 13, N = ROWS * COLS };

struct inputs {
    float logits[N], teacher[N], targets[N];
    int32_t labels[ROWS];
};

static double *load(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "golden/train/losses/%s.npy", name);
    const struct npy npy = npy_load(shared_path(path));
    double *values = npy_doubles(&npy);
    free(npy.data);
    return values;
}

static void load_floats(float *to, const char *name)
{
    double *values = load(name);
    for (int i = 0; i < N; i++)
        to[i] = (float)values[i];
    free(values);
}

static double ce(float *g, const struct inputs *in)
{
    return gram_loss_cross_entropy(g, in->logits, in->labels, ROWS, COLS, 0.0,
                                   (double)gram_loss_count(in->labels, ROWS));
}
static double ce_smooth(float *g, const struct inputs *in)
{
    return gram_loss_cross_entropy(g, in->logits, in->labels, ROWS, COLS, 0.1,
                                   (double)gram_loss_count(in->labels, ROWS));
}
static double ce_sum(float *g, const struct inputs *in)
{
    return gram_loss_cross_entropy(g, in->logits, in->labels, ROWS, COLS, 0.0, 1.0);
}
static double distill(float *g, const struct inputs *in)
{
    struct gram_kernels kernels;
    float teacher[N];
    double sum = 0.0;

    gram_kernels_init(&kernels, gram_cpu_detect());
    memcpy(teacher, in->teacher, sizeof teacher);
    for (int r = 0; r < N; r += COLS)
        sum += gram_divergence_row(&kernels, g + r, in->logits + r, teacher + r, COLS, 2.0, 1.0 / ROWS);
    return sum / ROWS;
}
static double mse(float *g, const struct inputs *in)
{
    return gram_loss_mse(g, in->logits, in->targets, N);
}
static double bce(float *g, const struct inputs *in)
{
    float yes[N]; /* the case was made with the signs of the targets */
    for (int i = 0; i < N; i++)
        yes[i] = in->targets[i] > 0.0f ? 1.0f : 0.0f;
    return gram_loss_bce_logits(g, in->logits, yes, N);
}
static double smooth_l1(float *g, const struct inputs *in)
{
    return gram_loss_huber(g, in->logits, in->targets, N, 1.0);
}
static double huber(float *g, const struct inputs *in)
{
    return gram_loss_huber(g, in->logits, in->targets, N, 0.5);
}
static double cosine(float *g, const struct inputs *in)
{
    return gram_loss_cosine(g, in->logits, in->targets, ROWS, COLS);
}

static const struct {
    const char *name;
    double (*loss)(float *grad, const struct inputs *in);
} cases[] = {
    {"ce", ce},
    {"ce_smooth01", ce_smooth},
    {"ce_sum", ce_sum},
    {"kl_distill_T2", distill},
    {"mse", mse},
    {"bce_logits", bce},
    {"smooth_l1", smooth_l1},
    {"huber05", huber},
    {"cosine", cosine},
};

static void losses_and_gradients_are_those_of_the_reference(void **state)
{
    static struct inputs in;
    (void)state;
    need_shared("golden/train/losses/case.json");
    load_floats(in.logits, "logits");
    load_floats(in.teacher, "teacher_logits");
    load_floats(in.targets, "float_targets");
    double *labels = load("targets");
    for (int r = 0; r < ROWS; r++)
        in.labels[r] = (int32_t)labels[r];
    free(labels);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[64];
        float grad[N];
        snprintf(name, sizeof name, "loss_%s", cases[i].name);
        double *loss = load(name);
        snprintf(name, sizeof name, "grad_%s", cases[i].name);
        double *right = load(name);
        const double got = cases[i].loss(grad, &in);
        if (fabs(got - loss[0]) > 1e-6 + 1e-5 * fabs(loss[0]))
            fail_msg("%s is %.9g, not %.9g", cases[i].name, got, loss[0]);
        for (int k = 0; k < N; k++)
            if (fabs((double)grad[k] - right[k]) > 1e-6 + 1e-5 * fabs(right[k]))
                fail_msg("%s: gradient %d is %.9g, not %.9g", name, k, (double)grad[k], right[k]);
        free(loss);
        free(right);
    }
}

static void rows_with_ignored_labels_count_for_nothing(void **state)
{
    const float logits[6] = {1, 2, 3, 4, 5, 6};
    const int32_t labels[2] = {GRAM_IGNORE, 1};
    float grad[6];

    (void)state;
    const double both = gram_loss_cross_entropy(grad, logits, labels, 2, 3, 0.0, 1.0);
    assert_true(both == gram_loss_cross_entropy(NULL, logits + 3, labels + 1, 1, 3, 0.0, 1.0));
    assert_true(grad[0] == 0.0f && grad[1] == 0.0f && grad[2] == 0.0f && grad[4] < 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_and_gradients_are_those_of_the_reference),
        cmocka_unit_test(rows_with_ignored_labels_count_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
