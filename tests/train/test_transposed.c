/* GPT-2 stores its linears as [in, out]: what is trained of it is written as it was stored, its codes have no
 * container, and it has learned no positions behind its last one. */
#include "base/runtime.h"
#include "support.h"
#include "train/learner.h"

static const char *gpt2(void)
{
    need_shared("golden/models/gpt2/case.json");
    return shared_path("golden/models/gpt2/hf");
}

/* Written without a step in between, it is what it was. */
static void what_is_trained_is_written_as_it_was_stored(void **state)
{
    struct gram_error err;
    struct gram_runtime *rt;
    struct gram_checkpoint ck, written;
    struct gram_export export;
    struct gram_learner learner;
    struct gram_learner_plan plan = {0};
    struct gram_output *output;
    char out[512];
    const char *in = gpt2();
    (void)state;

    snprintf(out, sizeof out, "%s/out", fresh_folder());
    MUST(gram_runtime_open(&rt, NULL, &err));
    MUST(gram_checkpoint_open(&ck, in, &err));
    MUST(gram_export_open(&export, &ck, NULL, NULL, NULL, &err));
    MUST(gram_optimizer_find(&plan.optimizer, "adamw", &err));
    MUST(gram_learner_open(&learner, rt, &ck, &plan, &err));
    MUST(gram_output_open(&output, out, false, &err));
    MUST(gram_export_model(&export, output, rt->pool, NULL, gram_learner_values, &learner, &err));
    MUST(gram_output_publish(&output, &err));
    MUST(gram_checkpoint_open(&written, out, &err));
    for (size_t i = 0; i < ck.desc.n_slots; i++) {
        const struct gram_tensor *was = gram_checkpoint_tensor(&ck, &ck.desc.slots[i]);
        const struct gram_tensor *is = gram_checkpoint_tensor(&written, &ck.desc.slots[i]);
        assert_int_equal(was->bytes, is->bytes);
        assert_memory_equal(was->data, is->data, (size_t)was->bytes);
    }
    gram_checkpoint_reset(&written);
    gram_learner_close(&learner);
    gram_export_close(&export);
    gram_checkpoint_reset(&ck);
    gram_runtime_close(&rt);
}

static void codes_and_positions_that_it_cannot_have_are_refused(void **state)
{
    struct gram_error err;
    struct gram_runtime *rt;
    struct gram_model *model;
    struct gram_session *session;
    struct gram_quantize_options quantize = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    char out[512];
    const char *in = gpt2();
    (void)state;

    snprintf(out, sizeof out, "%s/out", fresh_folder());
    MUST(gram_runtime_open(&rt, NULL, &err));
    quantize.scheme = "w8a16-channel";
    MUST_FAIL(GRAM_EUNSUPPORTED, "[in, out]",
              gram_quantize(rt, in, out, &quantize, NULL, NULL, &err));
    MUST(gram_model_open(&model, rt, in, &err));
    options.context = 65;
    MUST_FAIL(GRAM_EINVAL, "64 positions", gram_session_open(&session, model, &options, &err));
    gram_model_close(&model);
    gram_runtime_close(&rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_trained_is_written_as_it_was_stored),
        cmocka_unit_test(codes_and_positions_that_it_cannot_have_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
