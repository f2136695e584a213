/* Any bytes as config.json: an error or a description, never a crash. */
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gram_arena arena = {0};
    struct gram_model_desc desc;
    json_t *config;

    if (gram_json_parse(&config, data, size, "config.json", NULL) == GRAM_OK)
        (void)gram_arch_describe(&desc, config, "config.json", &arena, NULL);
    json_decref(config);
    gram_arena_reset(&arena);
    return 0;
}
