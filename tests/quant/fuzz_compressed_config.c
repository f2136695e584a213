/* Any bytes as a quantization_config: what is taken has widths, groups and patterns that can be used. */
#include <stdio.h>
#include <string.h>

#include "formats/compressed_tensors.h"
#include "formats/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_group(const struct gram_compressed_group *group)
{
    GRAM_ASSERT(group->bits >= 2 && group->bits <= 8 && group->bits != 7);
    GRAM_ASSERT(group->act_bits == 0 || group->act_bits == 8);
    GRAM_ASSERT(group->granularity != GRAM_PER_GROUP || group->group > 0);
}

static void check(const struct gram_compressed *ct)
{
    static const char *const modules[] = {"", "lm_head", "model.layers.0.mlp.down_proj",
                                          "model.layers.11.self_attn.q_proj"};
    struct gram_error err;

    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        const struct gram_compressed_group *group = NULL;
        if (gram_compressed_find(ct, modules[i], &group, &err) == GRAM_OK && group)
            check_group(group);
    }
    for (size_t i = 0; i < ct->n_names; i++) {
        const struct gram_compressed_group *group = NULL;
        GRAM_ASSERT(gram_compressed_find(ct, ct->names[i].name, &group, &err) == GRAM_OK && group);
        check_group(group);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gram_arena arena = {0};
    struct gram_error err;
    void *state = NULL;
    json_t *config;

    if (gram_json_parse(&config, data, size, "fuzz", &err) != GRAM_OK)
        return 0;
    const char *method = json_string_value(json_object_get(config, "quant_method"));
    const struct gram_container *container = gram_container_find(method ? method : "");
    if (container && container->open(config, "fuzz", &arena, &state, &err) == GRAM_OK)
        check(state);
    gram_arena_reset(&arena);
    json_decref(config);
    return 0;
}
