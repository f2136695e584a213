/* Any bytes as a recipe file, and as the name of a scheme; what is understood has one canonical name. */
#include <string.h>

#include "quant/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scheme(const struct gram_scheme *scheme)
{
    char name[GRAM_SCHEME_NAME], again[GRAM_SCHEME_NAME];
    struct gram_scheme back;
    struct gram_error err;

    gram_scheme_name(name, scheme);
    GRAM_ASSERT(gram_scheme_parse(&back, name, &err) == GRAM_OK);
    gram_scheme_name(again, &back);
    GRAM_ASSERT(strcmp(name, again) == 0);
}

static void parse_as_name(const uint8_t *data, size_t size)
{
    char text[GRAM_SCHEME_NAME + 8];
    struct gram_scheme scheme;
    struct gram_error err;
    const size_t n = size < sizeof text - 1 ? size : sizeof text - 1;

    memcpy(text, data, n);
    text[n] = '\0';
    if (gram_scheme_parse(&scheme, text, &err) == GRAM_OK)
        check_scheme(&scheme);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gram_arena arena = {0};
    struct gram_recipe recipe;
    struct gram_error err;
    json_t *file;

    parse_as_name(data, size);
    if (gram_json_parse(&file, data, size, "fuzz", &err) != GRAM_OK)
        return 0;
    if (gram_recipe_parse(&recipe, file, "fuzz", &arena, &err) == GRAM_OK) {
        for (size_t i = 0; i < recipe.n_rules; i++) {
            GRAM_ASSERT(recipe.rules[i].how.method && recipe.rules[i].pattern[0]);
            check_scheme(&recipe.rules[i].scheme);
        }
    }
    gram_arena_reset(&arena);
    json_decref(file);
    return 0;
}
