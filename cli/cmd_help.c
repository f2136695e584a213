/* Commands about gram itself: help, version, completion, and the hidden one that writes man pages.
 */
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "suggest.h"

struct plain_options {
    struct common_options common;
};

static json_t *command_json(const struct command *c)
{
    json_t *options = json_array();

    for (const struct option_row *row = c->options; row && row->name; row++)
        json_array_append_new(options, json_pack("{s:s, s:s*, s:s*, s:s}", "name", row->name,
                                                 "argument", row->argument, "default",
                                                 row->fallback, "help", row->help));
    return json_pack("{s:s, s:s, s:o}", "name", c->name, "summary", c->summary, "options", options);
}

static int help_json(void)
{
    json_t *list = json_array();

    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden)
            json_array_append_new(list, command_json(*c));
    return print_json(json_pack("{s:o}", "commands", list));
}

static int run_help(const struct invocation *in)
{
    const struct command *command = in->operands[0] ? command_find(in->operands[0]) : NULL;

    if (in->operands[0] && !command)
        return command_unknown(in->operands[0]);
    if (in->common->json)
        return command ? print_json(command_json(command)) : help_json();
    if (command)
        help_command(stdout, command);
    else
        help_overview(stdout);
    return EXIT_DONE;
}

static int run_version(const struct invocation *in)
{
    if (in->common->json)
        return print_json(json_pack("{s:s}", "version", gram_version()));
    printf("gram %s\n", gram_version());
    return EXIT_DONE;
}

static int completion_json(const char *shell)
{
    char *script = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&script, &len);

    if (out) {
        completion_script(out, shell);
        fclose(out);
    }
    json_t *json = script ? json_pack("{s:s, s:s}", "shell", shell, "script", script) : NULL;
    free(script);
    return print_json(json);
}

static int run_completion(const struct invocation *in)
{
    const char *shell = in->operands[0];

    for (const struct gram_choice *c = completion_shells(); c->name; c++)
        if (strcmp(c->name, shell) == 0) {
            if (in->common->json)
                return completion_json(shell);
            completion_script(stdout, shell);
            return EXIT_DONE;
        }
    complain("no completion for '%s'; bash, zsh and fish are known", shell);
    return EXIT_WRONG_USAGE;
}

static int run_manual(const struct invocation *in)
{
    const struct command *command = in->operands[0] ? command_find(in->operands[0]) : NULL;

    if (in->operands[0] && !command)
        return command_unknown(in->operands[0]);
    manual_page(stdout, command);
    return EXIT_DONE;
}

static const struct operand optional_command[] = {{"COMMAND", "name of a command", true}, {0}};

const struct command command_help = {
    .name = "help",
    .summary = "explain gram or one of its commands",
    .description = "Without COMMAND, lists the commands.",
    .operands = optional_command,
    .options_size = sizeof(struct plain_options),
    .run = run_help,
};

const struct command command_version = {
    .name = "version",
    .summary = "print the version",
    .description = "Prints the version of the library that is running.",
    .options_size = sizeof(struct plain_options),
    .run = run_version,
};

const struct command command_completion = {
    .name = "completion",
    .summary = "print a completion script for a shell",
    .description = "The scripts are installed with gram; this prints them for other places.",
    .operands = (const struct operand[]){{"SHELL", "bash, zsh or fish", false}, {0}},
    .examples = (const struct example[]){{"source <(gram completion bash)", "in ~/.bashrc"}, {0}},
    .options_size = sizeof(struct plain_options),
    .run = run_completion,
};

const struct command command_manual = {
    .name = "manual",
    .summary = "print a man page as roff",
    .description = "Writes the man page of COMMAND, or of gram; used when gram is built.",
    .operands = optional_command,
    .options_size = sizeof(struct plain_options),
    .run = run_manual,
    .is_hidden = true,
};
