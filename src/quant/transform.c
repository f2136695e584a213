/* The registry of transforms. */
#include "quant/transform.h"

#include <stdio.h>
#include <string.h>

static const struct gram_choice choices[] = {
    {"none", "weights as they are"},
    {"smoothquant", "makes inputs easy to round to int8, and weights harder, channel by channel"},
    {"awq", "scales up the weights whose inputs are large, and clips those that stretch their group"},
    {"rotate", "spreads outliers over all channels with random Hadamard rotations"},
    {NULL, NULL},
};

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

const struct gram_choice *gram_transforms(void)
{
    return choices;
}

enum gram_status gram_transform_find(const struct gram_transform **out, const char *name,
                                     struct gram_error *err)
{
    char names[256] = "";
    size_t at = 0;

    for (size_t i = 0; i < sizeof transforms / sizeof transforms[0]; i++) {
        if (strcmp(transforms[i].about->name, name) == 0) {
            *out = transforms[i].apply ? &transforms[i] : NULL;
            return GRAM_OK;
        }
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "",
                               transforms[i].about->name);
    }
    return gram_fail(err, GRAM_EINVAL, "unknown transform '%.64s'; there are %s", name, names);
}
