/* The table of commands, and running one of them. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "suggest.h"

const struct command *const commands[] = {
    &command_inspect, &command_check,   &command_quantize,   &command_tune,    &command_merge,
    &command_eval,
    &command_run_model, &command_bench, &command_trace,      &command_tokenize, &command_schemes,
    &command_methods, &command_transforms,
    &command_help,    &command_version, &command_completion, &command_manual,  NULL,
};

const struct exit_row exit_rows[] = {
    {EXIT_DONE, "done"},
    {EXIT_FAILED, "the job failed"},
    {EXIT_WRONG_USAGE, "wrong usage"},
    {EXIT_GATE, "the job is done, but a limit set by --fail-if-... was crossed"},
    {130, "interrupted by Ctrl-C"},
    {143, "interrupted by SIGTERM"},
    {0, NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

int command_unknown(const char *name)
{
    struct suggestion s = {.wrong = name};

    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden)
            suggest(&s, (*c)->name);
    if (s.best)
        complain("there is no command '%s'; did you mean '%s'?", name, s.best);
    else
        complain("there is no command '%s' ('gram help' lists all)", name);
    return EXIT_WRONG_USAGE;
}

/* Put the operands where the rows say; too few or too many are wrong usage. */
static enum gram_status place_operands(const struct command *c, const struct parsed *parsed,
                                       char **places, struct gram_error *err)
{
    int n = 0;

    for (const struct operand *o = c->operands; o && o->name; o++, n++) {
        if (n < parsed->n_operands)
            places[n] = parsed->operands[n];
        else if (!o->is_optional)
            return refuse(err, GRAM_EINVAL, "%s is missing ('gram %s --help' explains)", o->name,
                          c->name);
    }
    if (parsed->n_operands > n)
        return refuse(err, GRAM_EINVAL, "'%s' is one argument too many ('gram %s --help' explains)",
                      parsed->operands[n], c->name);
    return GRAM_OK;
}

static int run(const struct command *c, const struct parsed *parsed)
{
    char *places[8] = {NULL};
    const struct invocation in = {c, parsed->options, parsed->options, places};
    struct gram_error err = {0};

    if (in.common->help) {
        help_command(stdout, c);
        return EXIT_DONE;
    }
    if (place_operands(c, parsed, places, &err) != GRAM_OK)
        return report_failure(&err);
    return c->run(&in);
}

int command_run(const struct command *command, int argc, char **argv)
{
    struct parsed parsed = {.options = calloc(1, command->options_size)};
    struct gram_error err = {0};
    int code;

    if (!parsed.options) {
        complain("memory ran out");
        return EXIT_FAILED;
    }
    if (options_parse(command->options, argc, argv, &parsed, &err) == GRAM_OK)
        code = run(command, &parsed);
    else
        code = report_failure(&err);
    options_reset(command->options, parsed.options);
    free(parsed.options);
    return code;
}
