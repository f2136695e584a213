/*
 * The reverse pass and AdamW against torch: the loss, the gradient of every parameter, and a trace
 * of steps; and against finite differences, on models that have every op.
 */
#include <math.h>

#include "formats/store.h"
#include "support.h"
#include "train/loss.h"
#include "train/params.h"
#include "train/schedule.h"
#include "trainee.h"

/* ---- against torch ---- */

struct golden {
    const char *name;
    struct gram_optimizer_options adamw;
    double clip; /* 0: none */
    const char *schedule;
    struct gram_schedule_options rates;
    bool no_decay_of_vectors;
};

static const struct golden goldens[] = {
    {"llama_mha_adamw",
     {.lr = 2e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1},
     1.0,
     "cosine",
     {.warmup = 2, .total = 8, .cycles = 0.5},
     false},
    {"llama_gqa_tied_nodecay1d",
     {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6, .weight_decay = 0.05},
     0.0,
     "constant",
     {.total = 1},
     true},
    {"gpt2_adamw",
     {.lr = 2e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1},
     1.0,
     "linear",
     {.warmup = 1, .total = 6},
     false},
};

enum { STEPS = 5, B = 4, T = 16 };

/* [rows][cols] of what is stored as [cols][rows]. */
static float *turned(const float *from, const struct gram_weight_slot *slot)
{
    float *to = malloc((size_t)(slot->rows * slot->cols) * sizeof *to);
    assert_non_null(to);
    for (int64_t r = 0; r < slot->rows; r++)
        for (int64_t c = 0; c < slot->cols; c++)
            to[r * slot->cols + c] = from[c * slot->rows + r];
    return to;
}

/* The tensors of a safetensors file against what we have for the slots of the same names. */
static void hold_tensors(const struct trainee *m, const struct golden *g, const char *file,
                         float *const *ours, double share, double absolute, double outliers)
{
    struct gram_error err;
    struct gram_store *store;

    MUST(gram_store_open(&store, training_file(g->name, file), &err));
    for (size_t i = 0; i < m->ck.desc.n_slots; i++) {
        const struct gram_weight_slot *slot = &m->ck.desc.slots[i];
        const struct gram_tensor *t = gram_store_find(store, slot->tensor);
        if (!t && slot->alias)
            t = gram_store_find(store, slot->alias);
        if (!t)
            fail_msg("%s: no %s", file, slot->tensor);
        float *right = slot->is_transposed ? turned(t->data, slot) : NULL;
        /* A bias of keys adds the same to all scores of a query: its gradient is rounding, and Adam makes
         * steps of it. */
        const bool has_key_bias = outliers > 0.0 && slot->role == GRAM_W_QKV_BIAS;
        hold_tensor(slot->tensor, ours[i], right ? right : t->data, m->counts[i], share, absolute,
                    has_key_bias ? 1.0 / 3.0 : outliers);
        free(right);
    }
    gram_store_close(&store);
}

static void open_params(struct gram_params *params, const struct trainee *m, const struct golden *g)
{
    struct gram_param *from = calloc(m->n_params, sizeof *from);
    const struct gram_optimizer *adamw;
    struct gram_error err;

    for (size_t i = 0; i < m->n_params; i++)
        from[i] = (struct gram_param){.w = m->weights[i],
                                      .g = m->grads[i],
                                      .n = m->counts[i],
                                      .is_decayed = !g->no_decay_of_vectors ||
                                                    m->ck.desc.slots[i].kind != GRAM_KIND_VECTOR};
    MUST(gram_optimizer_find(&adamw, "adamw", &err));
    MUST(gram_params_open(params, from, m->n_params, adamw, m->rt->pool, &err));
    MUST(gram_params_place(params, NULL, &err));
    free(from);
}

static double rate(const struct golden *g, int64_t step)
{
    const struct gram_schedule *schedule;
    struct gram_error err;
    MUST(gram_schedule_find(&schedule, g->schedule, &err));
    return g->adamw.lr * schedule->share(&g->rates, step);
}

static void hold_close(const char *what, int step, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s of step %d is %.9g, not %.9g", what, step, got, want);
}

static void train_like_torch(const struct golden *g)
{
    struct trainee m;
    struct training_batch batch;
    char hf[256];

    snprintf(hf, sizeof hf, "%s", training_file(g->name, "hf"));
    const struct gram_stepper_limits limits = {
        .rows = B * T, .sequences = B, .length = T, .piece = B * T / 3, .keeps_all = true};
    open_trainee(&m, hf, NULL, 2, limits);
    double *ids = training_array(g->name, "batch_input_ids.npy"),
           *labels = training_array(g->name, "batch_labels.npy");
    double *losses = training_array(g->name, "trace_loss.npy"),
           *norms = training_array(g->name, "trace_gradnorm.npy");
    struct gram_params params;

    open_params(&params, &m, g);
    for (int step = 0; step < STEPS; step++) {
        training_batch_fill(&batch, ids, labels, step, B, T);
        gram_params_clear(&params);
        const double n = (double)gram_loss_count(batch.labels, B * T);
        const double loss = gram_stepper_run(&m.stepper, &batch.sequences, n);
        hold_close("the loss", step, loss, losses[step], 1e-4);
        if (step == 0)
            hold_tensors(&m, g, "grads0.safetensors", m.grads, 1e-4, 1e-7, 0.0);
        const double norm = gram_params_norm(&params);
        hold_close("the norm", step, norm, norms[step], 1e-3 * norms[step]);
        if (g->clip > 0.0)
            gram_params_clip(&params, norm, g->clip);
        struct gram_optimizer_options options = g->adamw;
        options.lr = rate(g, step);
        gram_params_step(&params, &options, step + 1);
    }
    hold_tensors(&m, g, "final_weights.safetensors", m.weights, 0.0, 5e-5, 0.001);
    gram_params_close(&params);
    free(ids);
    free(labels);
    free(losses);
    free(norms);
    close_trainee(&m);
}

static void losses_gradients_and_steps_are_those_of_torch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
        char file[128];
        snprintf(file, sizeof file, "golden/train/%s/case.json", goldens[i].name);
        need_shared(file);
        train_like_torch(&goldens[i]);
    }
}

/* ---- against finite differences ---- */

static const char *const architectures[] = {"llama2_mha", "llama_bias_tied_mqa", "mistral_swa8",
                                            "qwen2_tied", "qwen3_untied_bf16store"};

/* Two sequences of unequal length, longer than mistral's window. */
static const int64_t lengths[2] = {19, 11};
enum { TOKENS = 30 };

static void hold_differences(struct trainee *m, const struct gram_sequences *in, const char *name)
{
    enum { TRIES = 3 };
    clear_gradients(m);
    gram_stepper_run(&m->stepper, in, 1.0);
    for (size_t i = 0; i < m->ck.desc.n_slots; i++) {
        int64_t at = 0;
        double most = 0.0;
        for (int64_t k = 0; k < m->counts[i]; k++) { /* the steepest: least noise */
            if (fabs((double)m->grads[i][k]) > most) {
                most = fabs((double)m->grads[i][k]);
                at = k;
            }
        }
        float *w = &m->weights[i][at];
        const float was = *w, step = 4e-3f;
        *w = was + step;
        const double up = gram_stepper_loss(&m->stepper, in, 1.0);
        const double high = (double)*w;
        *w = was - step;
        const double down = gram_stepper_loss(&m->stepper, in, 1.0);
        const double slope = (up - down) / (high - (double)*w), got = (double)m->grads[i][at];
        *w = was;
        if (!(fabs(slope - got) <= 0.02 * most + 2e-2))
            fail_msg("%s: %s[%lld]: gradient %g, difference %g", name, m->ck.desc.slots[i].tensor,
                     (long long)at, got, slope);
    }
}

static void gradients_are_the_slopes_of_the_loss(void **state)
{
    int32_t tokens[TOKENS], labels[TOKENS];
    (void)state;

    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = (i * 37 + 11) % 97;
        labels[i] = i % 5 == 0 ? GRAM_IGNORE : (i * 53 + 7) % 97;
    }
    const struct gram_sequences in = {tokens, labels, lengths, 2};
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++) {
        char path[128];
        struct trainee m;
        snprintf(path, sizeof path, "golden/models/%s/hf", architectures[i]);
        need_shared(path);
        open_trainee(&m, shared_path(path), NULL, 1,
                     (struct gram_stepper_limits){.rows = TOKENS, .sequences = 2, .length = 19});
        hold_differences(&m, &in, architectures[i]);
        close_trainee(&m);
    }
}

static void neither_threads_nor_pieces_nor_what_is_kept_change_a_gradient(void **state)
{
    struct trainee one, three;
    int32_t tokens[TOKENS], labels[TOKENS];
    (void)state;

    for (int i = 0; i < TOKENS; i++)
        tokens[i] = labels[i] = (i * 31 + 5) % 200;
    const struct gram_sequences in = {tokens, labels, lengths, 2};
    const struct gram_stepper_limits less = {
        .rows = 19, .total = TOKENS, .sequences = 2, .length = 19, .piece = 7};
    const struct gram_stepper_limits more = {
        .rows = TOKENS, .sequences = 2, .length = 19, .keeps_all = true};
    open_trainee(&one, source_path("models/hamlet"), NULL, 1, less);
    open_trainee(&three, source_path("models/hamlet"), NULL, 3, more);
    const double loss = gram_stepper_run(&one.stepper, &in, 1.0);
    assert_true(loss == gram_stepper_run(&three.stepper, &in, 1.0));
    for (size_t i = 0; i < one.ck.desc.n_slots; i++)
        assert_memory_equal(one.grads[i], three.grads[i], (size_t)one.counts[i] * sizeof(float));
    close_trainee(&one);
    close_trainee(&three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_gradients_and_steps_are_those_of_torch),
        cmocka_unit_test(gradients_are_the_slopes_of_the_loss),
        cmocka_unit_test(neither_threads_nor_pieces_nor_what_is_kept_change_a_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
