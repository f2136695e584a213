/* gram schemes, gram methods: what quantize can be asked for. */
#include "output.h"

struct list_options {
    struct common_options common;
};

/* The options of methods or transforms, behind their names. */
static void print_options(const struct gram_option *o)
{
    printf("\nOptions, behind the name: NAME:OPTION,OPTION=VALUE,no-OPTION\n");
    for (; o->name; o++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", o->name, o->argument ? "=" : "",
                 o->argument ? o->argument : "");
        printf("%-18s %s (%s)\n", name, o->summary, o->takers);
    }
}

static json_t *option_list(const struct gram_option *o)
{
    json_t *list = json_array();

    for (; o->name; o++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s?, s:s, s:s}", "name", o->name, "argument",
                                        o->argument, "takers", o->takers, "summary", o->summary));
    return list;
}

/* options may be NULL. */
static int print_list(const struct invocation *in, const char *key, const struct gram_choice *rows,
                      const struct gram_option *options)
{
    json_t *list = in->common->json ? json_array() : NULL;

    for (; rows->name; rows++)
        if (in->common->json)
            json_array_append_new(
                list, json_pack("{s:s, s:s}", "name", rows->name, "summary", rows->summary));
        else
            printf("%-18s %s\n", rows->name, rows->summary);
    if (in->common->json)
        return print_json(
            json_pack("{s:o, s:o*}", key, list, "options", options ? option_list(options) : NULL));
    if (options)
        print_options(options);
    return EXIT_DONE;
}

static int run_schemes(const struct invocation *in)
{
    return print_list(in, "schemes", gram_schemes(), NULL);
}

static int run_methods(const struct invocation *in)
{
    return print_list(in, "methods", gram_methods(), gram_method_option_list());
}

static int run_transforms(const struct invocation *in)
{
    return print_list(in, "transforms", gram_transforms(), gram_transform_option_list());
}

const struct command command_schemes = {
    .name = "schemes",
    .summary = "list the schemes that have a name",
    .description =
        "A scheme can also be spelled out: w<bits>a16 or w8a8 with 2, 3, 4, 5, 6 or 8 bits, then "
        "any "
        "of -g<N> (one scale per N weights), -channel (one per output), -tensor (one for all) and "
        "-asym (with zero points).",
    .options_size = sizeof(struct list_options),
    .run = run_schemes,
};

const struct command command_methods = {
    .name = "methods",
    .summary = "list the ways to choose codes",
    .description =
        "A method decides which code each weight gets; the scheme decides what codes mean. Options of "
        "a method follow its name and a colon: gptq:block=64,no-act-order.",
    .options_size = sizeof(struct list_options),
    .run = run_methods,
};

const struct command command_transforms = {
    .name = "transforms",
    .summary = "list the rewrites that come before a method",
    .description = "A transform changes weights so that they are easier to quantize, and leaves what the "
                   "float model computes as it is. Its options follow its name and a colon: "
                   "smoothquant:alpha=0.7.",
    .options_size = sizeof(struct list_options),
    .run = run_transforms,
};
