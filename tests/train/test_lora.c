/* LoRA against a reference: gradients of both halves, five steps of AdamW, and the adapted model's
 * logits. */
#include <math.h>

#include "formats/store.h"
#include "support.h"
#include "train/loss.h"
#include "train/params.h"
#include "trainee.h"

static const char name[] = "llama_lora_r4_qv";
enum { STEPS = 5, B = 3, T = 14 };

/* The halves of all pairs against a file that calls them as PEFT does. */
static void hold_halves(const struct trainee *m, const char *file, float *const *ours, double share,
                        double absolute, double outliers)
{
    struct gram_error err;
    struct gram_store *store;

    MUST(gram_store_open(&store, training_file(name, file), &err));
    assert_int_equal(gram_store_count(store), 2 * m->lora.n_pairs);
    for (size_t i = 0; i < 2 * m->lora.n_pairs; i++) {
        const size_t at = m->ck.desc.n_slots + i;
        char tensor[256];
        snprintf(tensor, sizeof tensor, "base_model.model.%s.lora_%c.weight",
                 m->lora.pairs[i / 2].slot->module, i % 2 == 0 ? 'A' : 'B');
        const struct gram_tensor *t = gram_store_find(store, tensor);
        if (!t)
            fail_msg("%s: no %s", file, tensor);
        hold_tensor(tensor, ours[at], t->data, m->counts[at], share, absolute, outliers);
    }
    gram_store_close(&store);
}

static void open_params(struct gram_params *params, const struct trainee *m)
{
    const size_t first = m->ck.desc.n_slots, n = m->n_params - first;
    struct gram_param from[16] = {0};
    const struct gram_optimizer *adamw;
    struct gram_error err;

    assert_true(n <= 16);
    for (size_t i = 0; i < n; i++)
        from[i] = (struct gram_param){
            .w = m->weights[first + i], .g = m->grads[first + i], .n = m->counts[first + i]};
    MUST(gram_optimizer_find(&adamw, "adamw", &err));
    MUST(gram_params_open(params, from, n, adamw, m->rt->pool, &err));
    MUST(gram_params_place(params, NULL, &err));
}

static void an_adapter_is_trained_as_the_reference_does(void **state)
{
    struct trainee m;
    struct training_batch batch;
    char hf[256], adapter[256];

    (void)state;
    need_shared("golden/train/llama_lora_r4_qv/case.json");
    snprintf(hf, sizeof hf, "%s", training_file(name, "hf"));
    snprintf(adapter, sizeof adapter, "%s", training_file(name, "."));
    const struct gram_stepper_limits limits = {
        .rows = B * T, .sequences = B, .length = T, .keeps_logits = true};
    open_trainee(&m, hf, adapter, 2, limits);
    assert_int_equal(m.lora.n_pairs, 4);
    double *ids = training_array(name, "batch_input_ids.npy");
    double *labels = training_array(name, "batch_labels.npy");
    double *losses = training_array(name, "trace_loss.npy");
    const struct gram_optimizer_options options = {
        .lr = 5e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    struct gram_params params;

    open_params(&params, &m);
    for (int step = 0; step < STEPS; step++) {
        training_batch_fill(&batch, ids, labels, step, B, T);
        gram_params_clear(&params);
        const double loss = gram_stepper_run(&m.stepper, &batch.sequences,
                                             (double)gram_loss_count(batch.labels, B * T));
        if (!(fabs(loss - losses[step]) <= 1e-4))
            fail_msg("the loss of step %d is %.9g, not %.9g", step, loss, losses[step]);
        if (step == 0)
            hold_halves(&m, "grads0.safetensors", m.grads, 1e-4, 1e-7, 0.0);
        gram_params_step(&params, &options, step + 1);
    }
    hold_halves(&m, "adapter_final.safetensors", m.weights, 0.0, 5e-5, 0.001);

    training_batch_fill(&batch, ids, labels, 0, B, T);
    gram_stepper_loss(&m.stepper, &batch.sequences, 1.0);
    double *logits = training_array(name, "logits_final.npy");
    for (int64_t i = 0; i < B * T * m.ck.desc.hp.vocab; i++)
        if (!(fabs((double)m.stepper.logits[i] - logits[i]) <= 2e-4 + 1e-4 * fabs(logits[i])))
            fail_msg("logit %d is %g, not %g", (int)i, (double)m.stepper.logits[i], logits[i]);

    gram_params_close(&params);
    free(ids);
    free(labels);
    free(losses);
    free(logits);
    close_trainee(&m);
}

static void what_an_adapter_may_not_be_is_refused_by_name(void **state)
{
    static const struct {
        const char *config, *part;
    } cases[] = {
        {"[]", "not an object"},
        {"{\"peft_type\":\"IA3\"}", "IA3"},
        {"{\"peft_type\":\"LORA\",\"use_dora\":true}", "use_dora"},
        {"{\"peft_type\":\"LORA\",\"bias\":\"all\"}", "bias"},
        {"{\"peft_type\":\"LORA\",\"alpha_pattern\":[4]}", "alpha_pattern"},
        {"{\"peft_type\":\"LORA\",\"r\":0}", "r"},
        {"{\"peft_type\":\"LORA\"}", "adapter_model.safetensors"},
    };
    const char *folder = fresh_folder();
    struct gram_checkpoint ck;
    struct gram_error err;
    char path[512];

    (void)state;
    MUST(gram_checkpoint_open(&ck, source_path("models/hamlet"), &err));
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_lora lora;
        write_file(path, cases[i].config, strlen(cases[i].config));
        const enum gram_status status = gram_lora_read(&lora, &ck.desc, folder, &err);
        gram_lora_reset(&lora);
        if (status == GRAM_OK || !strstr(err.message, cases[i].part))
            fail_msg("%s: status %d, '%s'", cases[i].config, (int)status, err.message);
    }
    gram_checkpoint_reset(&ck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_is_trained_as_the_reference_does),
        cmocka_unit_test(what_an_adapter_may_not_be_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
