/* The registry of transforms. */
#include "quant/transform.h"

#include <stddef.h>

#include "base/named.h"

static const struct gram_choice choices[] = {
    {"none", "weights as they are"},
    {"smoothquant", "makes inputs easy to round to int8, and weights harder, channel by channel"},
    {"awq", "scales up the weights whose inputs are large, and clips those that stretch their group"},
    {"rotate", "spreads outliers over all channels with random Hadamard rotations"},
    {NULL, NULL},
};

static int64_t tries_of_awq(const struct gram_transform_options *o)
{
    return o->grid;
}

static const struct gram_transform transforms[] = {
    {.about = &choices[0]},
    {
        .about = &choices[1],
        .needs = GRAM_NEED_RANGE | GRAM_NEED_GRAM,
        .check = gram_smoothquant_check,
        .apply = gram_smoothquant_apply,
    },
    {
        .about = &choices[2],
        .needs = GRAM_NEED_RANGE | GRAM_NEED_MEAN_ABS | GRAM_NEED_GRAM,
        .tries = tries_of_awq,
        .check = gram_awq_check,
        .apply = gram_awq_apply,
    },
    {
        .about = &choices[3],
        .rewrites_outside = true,
        .unties = true,
        .check = gram_rotate_check,
        .apply = gram_rotate_apply,
    },
};

static const struct gram_option options[] = {
    {"alpha", "X", "smoothquant", "share of the difficulty that weights take over [search; reference: 0.5]"},
    {"grid", "N", "awq", "ratios that are tried [20]"},
    {"clip", NULL, "awq", "clip weights that stretch their group too [on]"},
    {"reference", NULL, "smoothquant awq", "rewrite no more places than the reference [off]"},
    {NULL, NULL, NULL, NULL},
};

/* clang-format off */
#define AT(field) offsetof(struct gram_transform_options, field)
static const struct gram_field fields[] = {
    {.type = GRAM_FIELD_REAL, .offset = AT(alpha), .low = 0, .high = 1, .word = "search", .meaning = -1},
    {.type = GRAM_FIELD_COUNT, .offset = AT(grid), .low = 1, .high = 1000},
    {.type = GRAM_FIELD_FLAG, .offset = AT(clip)},
    {.type = GRAM_FIELD_FLAG, .offset = AT(as_reference)},
};
#undef AT
/* clang-format on */

const struct gram_spec_table gram_transform_table = {"transform", options, fields};

const struct gram_option *gram_transform_option_list(void)
{
    return options;
}

const struct gram_choice *gram_transforms(void)
{
    return choices;
}

enum gram_status gram_transform_find(const struct gram_transform **out, const char *name,
                                     struct gram_error *err)
{
    size_t at;

    GRAM_TRY(gram_named_find(&at, choices, sizeof choices[0], "transform", name, err));
    *out = transforms[at].apply ? &transforms[at] : NULL;
    return GRAM_OK;
}

enum gram_status gram_transform_read(const struct gram_transform **out, struct gram_transform_options *o,
                                     const char *text, struct gram_error *err)
{
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)gram_spec_name(text), text);
    GRAM_TRY(gram_transform_find(out, name, err));
    return gram_spec_read(o, &gram_transform_table, name, text, err);
}
