/*
 * The one parser of command lines: getopt_long() finds the options, rows say what they are. Errors
 * are our own sentences, with the nearest name where one was misspelled.
 */
#include "option.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "suggest.h"

enum { MAX_ROWS = 64, LONG_BASE = 256 };

static const struct gram_choice cpu_levels[] = {
    {"ref", "plain C, the specification"},
    {"avx2", "x86 with AVX2 and FMA"},
    {"avx512", "x86 with AVX-512"},
    {"avx512vnni", "x86 with AVX-512 and its integer dot products"},
    {"amx", "x86 with tiles of integers"},
    {"neon", "64-bit Arm"},
    {"dotprod", "64-bit Arm with integer dot products"},
    {NULL, NULL},
};

static const struct gram_choice *cpu_choices(void)
{
    return cpu_levels;
}

static const struct gram_choice activation_kinds[] = {
    {"int16", "two parts of int8, sums exact"},
    {"int8", "one part"},
    {"f32", "as they are"},
    {NULL, NULL},
};

static const struct gram_choice *activation_choices(void)
{
    return activation_kinds;
}

/* clang-format off */
#define AT(field) offsetof(struct common_options, field)
const struct option_row common_rows[] = {
    {.name = "threads", .letter = 't', .type = OPTION_INT, .argument = "N", .low = 1, .high = 256,
     .help = "threads to compute with [as many as the process may use]", .offset = AT(threads)},
    {.name = "cpu", .type = OPTION_CHOICE, .argument = "LEVEL", .choices = cpu_choices,
     .help = "highest kernel level to use [$GRAM_CPU, else the best there is]", .offset = AT(cpu)},
    {.name = "activations", .type = OPTION_CHOICE, .argument = "KIND", .choices = activation_choices,
     .help = "what weight-only integer schemes multiply with: int16, int8, f32 [int16]",
     .offset = AT(activations)},
    {.name = "cache-packed", .offset = AT(cache_packed),
     .help = "keep repacked weights in a file beside the model, and map it the next time"},
    {.name = "json", .help = "print one JSON object on standard output", .offset = AT(json)},
    {.name = "quiet", .letter = 'q', .help = "results and errors only", .offset = AT(quiet)},
    {.name = "no-progress", .help = "no progress bar", .offset = AT(no_progress)},
    {.name = "help", .letter = 'h', .help = "explain the command", .offset = AT(help)},
    {.name = NULL},
};
#undef AT
/* clang-format on */

size_t option_count(const struct option_row *rows)
{
    size_t n = 0;

    while (rows && rows[n].name)
        n++;
    return n;
}

void options_reset(const struct option_row *rows, void *options)
{
    for (const struct option_row *row = rows; row && row->name; row++)
        if (row->type == OPTION_LIST) {
            struct text_list *list = (struct text_list *)(void *)((char *)options + row->offset);
            free(list->at);
            *list = (struct text_list){0};
        }
}

/* The rows of one command as getopt_long() wants them. */
struct getopt_table {
    const struct option_row *rows[MAX_ROWS];
    bool is_given[MAX_ROWS];
    struct option longs[MAX_ROWS + 1];
    char shorts[2 * MAX_ROWS + 2];
    size_t n;
};

static void add_rows(struct getopt_table *t, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row && row->name && t->n < MAX_ROWS; row++) {
        const int has = row->type == OPTION_FLAG ? no_argument : required_argument;
        const size_t len = strlen(t->shorts);

        t->longs[t->n] = (struct option){row->name, has, NULL, LONG_BASE + (int)t->n};
        if (row->letter) {
            t->shorts[len] = row->letter;
            t->shorts[len + 1] = has == required_argument ? ':' : '\0';
        }
        t->rows[t->n++] = row;
    }
}

static size_t find_row(const struct getopt_table *t, int code)
{
    if (code >= LONG_BASE)
        return (size_t)(code - LONG_BASE);
    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i]->letter == code)
            return i;
    return t->n;
}

/* The long names that start with `name`, "--top-k, --top-p"; how many there are. */
static size_t list_matches(const struct getopt_table *t, const char *name, char *out, size_t cap)
{
    size_t matches = 0, len = 0;

    for (size_t i = 0; i < t->n; i++)
        if (strncmp(t->rows[i]->name, name, strlen(name)) == 0 && len < cap)
            len += (size_t)snprintf(out + len, cap - len, "%s--%s", matches++ ? ", " : "",
                                    t->rows[i]->name);
    return matches;
}

static enum gram_status unknown_long(const struct getopt_table *t, const char *name,
                                     struct gram_error *err)
{
    struct suggestion s = {.wrong = name};
    char all[256];

    if (list_matches(t, name, all, sizeof all) > 1)
        return refuse(err, GRAM_EINVAL, "'--%s' could be %s", name, all);
    for (size_t i = 0; i < t->n; i++)
        suggest(&s, t->rows[i]->name);
    if (s.best)
        return refuse(err, GRAM_EINVAL, "unknown option '--%s'; did you mean '--%s'?", name,
                      s.best);
    return refuse(err, GRAM_EINVAL, "unknown option '--%s' (--help lists all)", name);
}

/* Why getopt_long() returned '?'. optopt is a letter, the code of a long option that takes no
 * argument, or 0 when a long name is unknown or could be several. */
static enum gram_status unknown_option(const struct getopt_table *t, const char *typed,
                                       struct gram_error *err)
{
    char name[64];

    if (optopt >= LONG_BASE && find_row(t, optopt) < t->n)
        return refuse(err, GRAM_EINVAL, "--%s takes no argument",
                      t->rows[find_row(t, optopt)]->name);
    if (optopt || strncmp(typed, "--", 2) != 0)
        return refuse(err, GRAM_EINVAL, "unknown option '-%c' (--help lists all)", optopt);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(typed + 2, "="), typed + 2);
    return unknown_long(t, name, err);
}

static enum gram_status store_defaults(const struct getopt_table *t, void *options,
                                       struct gram_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct option_row *row = t->rows[i];
        const enum gram_status st =
            row->fallback ? option_store(row, row->fallback, options, err) : GRAM_OK;
        if (st != GRAM_OK)
            return st;
    }
    return GRAM_OK;
}

static enum gram_status read_options(struct getopt_table *t, int argc, char **argv, void *options,
                                     struct gram_error *err)
{
    struct common_options *common = options;
    int code;

    opterr = 0;
    optind = 0; /* glibc: start afresh */
    while (!common->help && (code = getopt_long(argc, argv, t->shorts, t->longs, NULL)) != -1) {
        if (code == '?')
            return unknown_option(t, argv[optind - 1], err);
        const size_t i = find_row(t, code == ':' ? optopt : code);
        if (code == ':')
            return refuse(err, GRAM_EINVAL, "--%s needs an argument: %s", t->rows[i]->name,
                          t->rows[i]->argument);
        const enum gram_status st = option_store(t->rows[i], optarg ? optarg : "", options, err);
        if (st != GRAM_OK)
            return st;
        t->is_given[i] = true;
    }
    return GRAM_OK;
}

enum gram_status options_parse(const struct option_row *rows, int argc, char **argv,
                               struct parsed *parsed, struct gram_error *err)
{
    struct getopt_table table = {.shorts = ":"};

    add_rows(&table, rows);
    add_rows(&table, common_rows);
    enum gram_status st = store_defaults(&table, parsed->options, err);
    if (st == GRAM_OK)
        st = read_options(&table, argc, argv, parsed->options, err);
    if (st != GRAM_OK || ((const struct common_options *)parsed->options)->help)
        return st;
    for (size_t i = 0; i < table.n; i++)
        if (table.rows[i]->is_required && !table.is_given[i])
            return refuse(err, GRAM_EINVAL, "--%s %s is missing", table.rows[i]->name,
                          table.rows[i]->argument);
    parsed->operands = argv + optind;
    parsed->n_operands = argc - optind;
    return GRAM_OK;
}
