/* config.json: both forms of rope, derived sizes, traits of each architecture, and what is refused. */
#include "support.h"

#include <math.h>

#include "arch/arch.h"

/* A small LLaMA config; `extra` is JSON members to add or replace. */
static enum gram_status describe(struct gram_model_desc *desc, struct gram_arena *arena,
                                 const char *architecture, const char *extra,
                                 struct gram_error *err)
{
    char text[2048];
    json_t *config, *more;

    snprintf(text, sizeof text,
             "{\"architectures\": [\"%s\"], \"vocab_size\": 64, \"hidden_size\": 32,"
             " \"intermediate_size\": 48, \"num_hidden_layers\": 3, \"num_attention_heads\": 4,"
             " \"max_position_embeddings\": 128}",
             architecture);
    assert_int_equal(gram_json_parse(&config, text, strlen(text), "base", err), GRAM_OK);
    assert_int_equal(gram_json_parse(&more, extra, strlen(extra), "extra", err), GRAM_OK);
    json_object_update(config, more);
    const enum gram_status status = gram_arch_describe(desc, config, "config.json", arena, err);
    json_decref(config);
    json_decref(more);
    return status;
}

static void missing_sizes_are_derived(void **state)
{
    struct gram_model_desc d;
    struct gram_arena arena = {0};
    struct gram_error err;
    (void)state;

    MUST(describe(&d, &arena, "LlamaForCausalLM", "{}", &err));
    assert_string_equal(gram_arch_name(d.arch), "llama");
    assert_int_equal(d.hp.kv_heads, 4);
    assert_int_equal(d.hp.head_dim, 8);
    assert_false(d.hp.tied || d.hp.qkv_bias || d.hp.mlp_bias);
    assert_int_equal(d.n_slots, 1 + 3 * 9 + 2);
    MUST(describe(&d, &arena, "Qwen3ForCausalLM", "{}", &err));
    assert_int_equal(d.hp.head_dim, 128);
    MUST(describe(&d, &arena, "Qwen2ForCausalLM", "{\"tie_word_embeddings\": true}", &err));
    assert_true(d.hp.qkv_bias && !d.hp.output_bias && d.hp.tied);
    assert_int_equal(d.n_slots, 1 + 3 * 12 + 1);
    assert_string_equal(d.slots[0].alias, "lm_head.weight");
    gram_arena_reset(&arena);
}

static void slots_carry_the_names_of_checkpoint_and_graph(void **state)
{
    struct gram_model_desc d;
    struct gram_arena arena = {0};
    struct gram_error err;
    (void)state;

    MUST(describe(&d, &arena, "LlamaForCausalLM",
                  "{\"attention_bias\": true, \"num_key_value_heads\": 2}", &err));
    bool seen = false;
    for (size_t i = 0; i < d.n_slots; i++) {
        if (strcmp(d.slots[i].op, "layers.2.attn.k.bias") != 0)
            continue;
        seen = true;
        assert_string_equal(d.slots[i].tensor, "model.layers.2.self_attn.k_proj.bias");
        assert_string_equal(d.slots[i].module, "model.layers.2.self_attn.k_proj");
        assert_int_equal(d.slots[i].rows, 16);
        assert_int_equal(d.slots[i].kind, GRAM_KIND_VECTOR);
    }
    assert_true(seen);
    gram_arena_reset(&arena);
}

static void rope_is_read_in_both_forms(void **state)
{
    struct gram_model_desc old, new;
    struct gram_arena arena = {0};
    struct gram_error err;
    (void)state;

    MUST(describe(&old, &arena, "LlamaForCausalLM",
                  "{\"rope_theta\": 500000.0, \"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8,"
                  " \"low_freq_factor\": 1, \"high_freq_factor\": 4,"
                  " \"original_max_position_embeddings\": 32}}", &err));
    MUST(describe(&new, &arena, "LlamaForCausalLM",
                  "{\"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": \"llama3\","
                  " \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4,"
                  " \"original_max_position_embeddings\": 32}}", &err));
    assert_memory_equal(&old.hp.rope, &new.hp.rope, sizeof old.hp.rope);
    assert_int_equal(old.hp.rope.scaling, GRAM_ROPE_LLAMA3);
    gram_arena_reset(&arena);
}

static void windows_follow_each_family(void **state)
{
    struct gram_model_desc d;
    struct gram_arena arena = {0};
    struct gram_error err;
    (void)state;

    MUST(describe(&d, &arena, "MistralForCausalLM", "{\"sliding_window\": 8}", &err));
    assert_true(d.hp.windowed[0] && d.hp.windowed[2] && d.hp.window == 8);
    MUST(describe(&d, &arena, "MistralForCausalLM", "{\"sliding_window\": null}", &err));
    assert_false(d.hp.windowed[0]);
    MUST(describe(&d, &arena, "Qwen2ForCausalLM", "{\"sliding_window\": 8}", &err));
    assert_false(d.hp.windowed[2]);
    MUST(describe(&d, &arena, "Qwen2ForCausalLM",
                  "{\"sliding_window\": 8, \"use_sliding_window\": true, \"max_window_layers\": 2}",
                  &err));
    assert_true(!d.hp.windowed[1] && d.hp.windowed[2]);
    MUST(describe(&d, &arena, "Qwen3ForCausalLM",
                  "{\"sliding_window\": 8, \"use_sliding_window\": true, \"layer_types\":"
                  " [\"sliding_attention\", \"full_attention\", \"full_attention\"]}", &err));
    assert_true(d.hp.windowed[0] && !d.hp.windowed[1]);
    gram_arena_reset(&arena);
}

static void contradictions_are_refused_by_name(void **state)
{
    static const struct {
        const char *extra, *message;
        enum gram_status status;
    } bad[] = {
        {"{\"hidden_size\": null}", "hidden_size is missing", GRAM_EFORMAT},
        {"{\"hidden_size\": \"32\"}", "hidden_size: expected an integer, found a string", GRAM_EFORMAT},
        {"{\"hidden_size\": 4294967304}", "hidden_size is 4294967304", GRAM_EFORMAT},
        {"{\"num_attention_heads\": 0}", "num_attention_heads", GRAM_EFORMAT},
        {"{\"num_attention_heads\": 3}", "does not divide hidden_size", GRAM_EFORMAT},
        {"{\"num_key_value_heads\": 3}", "does not divide num_attention_heads", GRAM_EFORMAT},
        {"{\"head_dim\": 7}", "odd", GRAM_EFORMAT},
        {"{\"num_hidden_layers\": 1000000000}", "num_hidden_layers", GRAM_EFORMAT},
        {"{\"rms_norm_eps\": -1}", "rms_norm_eps", GRAM_EFORMAT},
        {"{\"rope_theta\": 0}", "rope_theta", GRAM_EFORMAT},
        {"{\"rope_scaling\": {\"type\": \"spiral\", \"factor\": 2}}", "spiral", GRAM_EUNSUPPORTED},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}}", "factor", GRAM_EFORMAT},
        {"{\"rope_scaling\": {\"type\": \"yarn\"}}", "without a factor", GRAM_EFORMAT},
        {"{\"rope_scaling\": []}", "not an object", GRAM_EFORMAT},
        {"{\"hidden_act\": \"gelu\"}", "hidden_act 'gelu'", GRAM_EUNSUPPORTED},
        {"{\"architectures\": [7]}", "architectures[0]", GRAM_EFORMAT},
        {"{\"architectures\": null}", "neither architectures nor model_type", GRAM_EFORMAT},
        {"{\"architectures\": [\"NoSuchForCausalLM\"]}", "NoSuchForCausalLM", GRAM_EUNSUPPORTED},
    };
    struct gram_model_desc d;
    struct gram_arena arena = {0};
    struct gram_error err;
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        MUST_FAIL(bad[i].status, bad[i].message,
                  describe(&d, &arena, "LlamaForCausalLM", bad[i].extra, &err));
    gram_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_sizes_are_derived),
        cmocka_unit_test(slots_carry_the_names_of_checkpoint_and_graph),
        cmocka_unit_test(rope_is_read_in_both_forms),
        cmocka_unit_test(windows_follow_each_family),
        cmocka_unit_test(contradictions_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
