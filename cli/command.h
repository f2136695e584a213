/* Commands as rows, and what is made of them: dispatch, help, man pages, completion. */
#ifndef GRAM_CLI_COMMAND_H
#define GRAM_CLI_COMMAND_H

#include <stdio.h>
#include "option.h"

/* Arrays of these end with a row without a name (a command line, for examples). */
struct operand {
    const char *name; /* "MODEL"; says what completion offers */
    const char *help;
    bool is_optional;
};
struct example {
    const char *line;
    const char *help;
};

struct invocation;

struct command {
    const char *name;
    const char *summary;     /* one line, lower case, no full stop */
    const char *description; /* sentences; a blank line starts a paragraph */
    const struct operand *operands;
    const struct option_row *options; /* its own, without the common ones; may be NULL */
    const struct example *examples;
    size_t options_size; /* of its struct, which starts with struct common_options */
    int (*run)(const struct invocation *in); /* returns an exit code */
    bool is_hidden;
};

struct invocation {
    const struct command *command;
    const struct common_options *common;
    const void *options; /* the command's struct */
    char **operands;     /* as many as the command's rows allow; NULL where one was left out */
};

/* How a process ends. Interrupted is 128 + the signal. */
enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG_USAGE = 2, EXIT_GATE = 3 };
struct exit_row {
    int code;
    const char *meaning;
};
extern const struct exit_row exit_rows[]; /* ends with a NULL meaning */

/* All commands, hidden ones last; ends with NULL. */
extern const struct command *const commands[];
/* NULL if there is none of that name. */
const struct command *command_find(const char *name);
/* Print "gram: unknown command ..." with what may have been meant; returns EXIT_WRONG_USAGE. */
int command_unknown(const char *name);
/* Parse argv (argv[0] is the command's name) and run it; returns an exit code. */
int command_run(const struct command *command, int argc, char **argv);

void help_overview(FILE *out);
void help_command(FILE *out, const struct command *command);
/* "gram quantize MODEL -o OUT [options]" */
void help_synopsis(FILE *out, const struct command *command);

/* roff; NULL writes gram.1 */
void manual_page(FILE *out, const struct command *command);

/* shell is "bash", "zsh" or "fish" */
void completion_script(FILE *out, const char *shell);
const struct gram_choice *completion_shells(void);

extern const struct command command_quantize, command_tune, command_merge,
    command_eval, command_run_model, command_inspect,
    command_check, command_bench, command_trace, command_tokenize, command_schemes, command_methods,
    command_transforms, command_help, command_version, command_completion, command_manual;

#endif
