/* Adapters beside a model's weights: what they add, how they add up, what they may not be. */
#include <math.h>

#include "adapters.h"
#include "world.h"

/* hamlet: 256 hidden, 2 x 32 keys, 640 in the feed-forward */
#define Q    "layers.1.self_attn.q_proj"
#define K    "layers.2.self_attn.k_proj"
#define DOWN "layers.0.mlp.down_proj"

static const struct half plain[] = {
    {Q ".lora_A", 4, 256, 0.1}, {Q ".lora_B", 256, 4, 0.1},    {K ".lora_A", 4, 256, 0.1},
    {K ".lora_B", 64, 4, 0.1},  {DOWN ".lora_A", 4, 640, 0.1}, {DOWN ".lora_B", 256, 4, 0.1},
};
enum { HALVES = sizeof plain / sizeof plain[0] };
static const char config[] = "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"bias\":\"none\","
                             "\"target_modules\":[\"q_proj\",\"k_proj\",\"down_proj\"]}";

static float *adapted_logits(struct world *w, const struct gram_adapter *adapters, size_t n)
{
    struct gram_model *base = w->model;
    struct gram_error err;

    MUST(gram_model_adapt(&w->model, base, adapters, n, &err));
    float *logits = logits_of(w, 512, N, "f32");
    gram_model_close(&w->model);
    w->model = base;
    return logits;
}

static double distance(const struct world *w, const float *a, const float *b)
{
    double most = 0.0;
    for (int64_t i = 0; i < N * w->info.vocab; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void weights_scale_what_an_adapter_adds_and_adapters_add_up(void **state)
{
    const char *path = make_adapter(config, plain, HALVES);
    const struct gram_adapter none = {path, 0.0}, whole = {path, 1.0};
    const struct gram_adapter halves[] = {{path, 0.25}, {path, 0.75}};
    struct world w;

    (void)state;
    open_threads(&w, source_path("models/hamlet"), 2);
    float *base = logits_of(&w, 512, N, "f32"), *zero = adapted_logits(&w, &none, 1);
    float *one = adapted_logits(&w, &whole, 1), *two = adapted_logits(&w, halves, 2);
    assert_true(distance(&w, base, zero) == 0.0);
    assert_true(distance(&w, base, one) > 0.05);
    assert_true(distance(&w, one, two) < 1e-4);
    free(base);
    free(zero);
    free(one);
    free(two);
    close_world(&w);
}

/* Sessions of a base and of two models that stand on it, side by side. */
static void sessions_of_one_base_choose_their_adapters(void **state)
{
    const struct gram_adapter adapter = {make_adapter(config, plain, HALVES), 1.0};
    struct gram_model *models[3] = {0};
    struct gram_session *sessions[3];
    struct gram_error err;
    struct world w;
    float *logits[3];

    (void)state;
    open_threads(&w, quantized("w4a16-g32-asym"), 2);
    models[0] = w.model;
    MUST(gram_model_adapt(&models[1], w.model, &adapter, 1, &err));
    MUST(
        gram_model_adapt(&models[2], w.model, &(struct gram_adapter){adapter.path, -1.0}, 1, &err));
    for (int i = 0; i < 3; i++) {
        logits[i] = calloc((size_t)w.info.vocab, sizeof(float));
        MUST(gram_session_open(&sessions[i], models[i], NULL, &err));
    }
    for (int t = 0; t < N; t++)
        for (int i = 0; i < 3; i++)
            MUST(gram_session_feed(sessions[i], &w.tokens[t], 1, logits[i], 1, &err));
    for (int i = 0; i < 3; i++)
        gram_session_close(&sessions[i]);
    assert_memory_not_equal(logits[0], logits[1], (size_t)w.info.vocab * sizeof(float));
    assert_memory_not_equal(logits[1], logits[2], (size_t)w.info.vocab * sizeof(float));
    struct gram_model *twice;
    MUST_FAIL(GRAM_EINVAL, "has adapters already",
              gram_model_adapt(&twice, models[1], &adapter, 1, &err));
    for (int i = 0; i < 3; i++)
        free(logits[i]);
    gram_model_close(&models[1]);
    gram_model_close(&models[2]);
    close_world(&w);
}

static void pieces_and_threads_change_no_bit_of_an_adapted_model(void **state)
{
    const struct gram_adapter adapter = {make_adapter(config, plain, HALVES), 1.0};
    float *right = NULL;

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        struct gram_error err;
        struct world w;
        open_threads(&w, source_path("models/hamlet"), threads);
        struct gram_model *base = w.model;
        MUST(gram_model_adapt(&w.model, base, &adapter, 1, &err));
        float *whole = logits_of(&w, 512, N, NULL), *pieces = logits_of(&w, 512, 7, NULL);
        must_be_equal(&w, whole, pieces, N);
        if (right)
            must_be_equal(&w, whole, right, N);
        free(right);
        free(pieces);
        right = whole;
        gram_model_close(&w.model);
        w.model = base;
        close_world(&w);
    }
    free(right);
}

/* A pair that reads sums over 32 columns is one whose A repeats its columns 32 times; PEFT takes
 * the mean times the number of groups, 8 / 32 of the sum. */
static void pooled_inputs_count_as_peft_counts_them(void **state)
{
    static const struct half pooled[] = {{Q ".lora_A", 4, 8, 0.1}, {Q ".lora_B", 256, 4, 0.1}};
    const char *by_sums =
        make_adapter("{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"use_qalora\":true,"
                     "\"qalora_group_size\":32,\"target_modules\":\"all-linear\"}",
                     pooled, 2);
    const char *by_columns =
        make_spread_adapter("{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":2}", pooled, 2, 32);
    const struct gram_adapter sums = {by_sums, 1.0}, columns = {by_columns, 1.0};
    struct world w;

    (void)state;
    open_threads(&w, source_path("models/hamlet"), 2);
    float *base = logits_of(&w, 512, N, "f32");
    float *one = adapted_logits(&w, &sums, 1), *other = adapted_logits(&w, &columns, 1);
    assert_true(distance(&w, base, one) > 1e-2);
    assert_true(distance(&w, other, one) < 1e-4);
    free(base);
    free(one);
    free(other);
    close_world(&w);
}

/* ---- patterns ---- */

static enum gram_status try_adapter(struct world *w, const char *how, const struct half *halves,
                                    int n, struct gram_error *err)
{
    const struct gram_adapter adapter = {make_adapter(how, halves, n), 1.0};
    struct gram_model *model;
    const enum gram_status status = gram_model_adapt(&model, w->model, &adapter, 1, err);

    gram_model_close(&model);
    return status;
}

static void ranks_alphas_and_targets_follow_patterns(void **state)
{
    static const struct half mixed[] = {{Q ".lora_A", 2, 256, 0.1},
                                        {Q ".lora_B", 256, 2, 0.1},
                                        {K ".lora_A", 4, 256, 0.1},
                                        {K ".lora_B", 64, 4, 0.1}};
    static const char *const fitting[] = {
        "{\"peft_type\":\"LORA\",\"r\":4,\"rank_pattern\":{\"q_proj\":2},\"alpha_pattern\":{\"k_"
        "proj\":3.5}}",
        "{\"peft_type\":\"LORA\",\"r\":2,\"rank_pattern\":{\"layers\\\\.2\\\\.self_attn\\\\.[kv]_"
        "proj\":4}}",
        "{\"peft_type\":\"LORA\",\"r\":4,\"rank_pattern\":{\"q_proj\":2},\"use_rslora\":true,"
        "\"target_modules\":\".*\\\\.self_attn\\\\.(q|k)_proj\",\"fan_in_fan_out\":true}",
    };
    struct gram_error err;
    struct world w;

    (void)state;
    open_threads(&w, source_path("models/hamlet"), 1);
    for (size_t i = 0; i < sizeof fitting / sizeof fitting[0]; i++)
        MUST(try_adapter(&w, fitting[i], mixed, 4, &err));
    MUST_FAIL(GRAM_EFORMAT, "has rank 2, but adapter_config.json says 4",
              try_adapter(&w, "{\"peft_type\":\"LORA\",\"r\":4}", mixed, 4, &err));
    MUST_FAIL(GRAM_EFORMAT, "not among target_modules",
              try_adapter(&w,
                          "{\"peft_type\":\"LORA\",\"r\":4,\"rank_pattern\":{\"q_proj\":2},"
                          "\"target_modules\":[\"q_proj\",\"proj\"]}",
                          mixed, 4, &err));
    MUST_FAIL(GRAM_EFORMAT, "target pattern",
              try_adapter(&w, "{\"peft_type\":\"LORA\",\"r\":4,\"target_modules\":\"(q_proj\"}",
                          mixed, 4, &err));
    MUST_FAIL(GRAM_EFORMAT, "alpha_pattern of 'q_proj'",
              try_adapter(&w, "{\"peft_type\":\"LORA\",\"alpha_pattern\":{\"q_proj\":\"two\"}}",
                          mixed, 4, &err));
    close_world(&w);
}

/* ---- hostile ones ---- */

static void what_does_not_fit_is_refused_by_a_sentence(void **state)
{
    static const struct {
        struct half halves[2];
        int n;
        const char *part;
    } cases[] = {
        {{{Q ".lora_A", 4, 256, 0.1}}, 1, "only one half"},
        {{{Q ".lora_B", 256, 4, 0.1}}, 1, "only one half"},
        {{{Q ".lora_A", 4, 255, 0.1}, {Q ".lora_B", 256, 4, 0.1}}, 2, "shape [4, 256]"},
        {{{Q ".lora_A", 4, 256, 0.1}, {Q ".lora_B", 256, 5, 0.1}}, 2, "shape [256, 4]"},
        {{{Q ".lora_A", 4, 256, NAN}, {Q ".lora_B", 256, 4, 0.1}}, 2, "not a number at element 3"},
        {{{"layers.9.self_attn.q_proj.lora_A", 4, 256, 0.1},
          {"layers.9.self_attn.q_proj.lora_B", 256, 4, 0.1}},
         2,
         "only 0 are halves"},
        {{{"embed_tokens.lora_embedding_A", 4, 256, 0.1}}, 1, "only 0 are halves"},
    };
    struct gram_error err;
    struct world w;

    (void)state;
    open_threads(&w, source_path("models/hamlet"), 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const enum gram_status status = try_adapter(&w, config, cases[i].halves, cases[i].n, &err);
        if (status == GRAM_OK || !strstr(err.message, cases[i].part))
            fail_msg("case %zu: status %d, '%s'", i, (int)status, err.message);
    }
    MUST_FAIL(GRAM_EUNSUPPORTED, "modules that were trained whole",
              try_adapter(&w, "{\"peft_type\":\"LORA\",\"modules_to_save\":[\"lm_head\"]}", plain,
                          HALVES, &err));
    MUST_FAIL(GRAM_EUNSUPPORTED, "changes the base",
              try_adapter(&w, "{\"peft_type\":\"LORA\",\"init_lora_weights\":\"pissa_niter_4\"}",
                          plain, HALVES, &err));
    MUST_FAIL(
        GRAM_EFORMAT, "does not divide",
        try_adapter(&w,
                    "{\"peft_type\":\"LORA\",\"r\":4,\"use_qalora\":true,\"qalora_group_size\":48}",
                    plain, HALVES, &err));
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_scale_what_an_adapter_adds_and_adapters_add_up),
        cmocka_unit_test(sessions_of_one_base_choose_their_adapters),
        cmocka_unit_test(pieces_and_threads_change_no_bit_of_an_adapted_model),
        cmocka_unit_test(pooled_inputs_count_as_peft_counts_them),
        cmocka_unit_test(ranks_alphas_and_targets_follow_patterns),
        cmocka_unit_test(what_does_not_fit_is_refused_by_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
