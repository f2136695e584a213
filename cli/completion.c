/*
 * Completion for bash, zsh and fish, from the rows. What an argument completes to follows from its
 * name: files, directories, or the choices of its row.
 */
#include <string.h>

#include "command.h"

static const struct gram_choice shells[] = {
    {"bash", "GNU Bash"},
    {"zsh", "the Z shell"},
    {"fish", "the friendly interactive shell"},
    {NULL, NULL},
};

const struct gram_choice *completion_shells(void)
{
    return shells;
}

enum target { ANYTHING, FILES, FOLDERS };

static enum target target_of(const char *argument)
{
    static const struct {
        const char *argument;
        enum target target;
    } targets[] = {{"FILE", FILES}, {"MODEL", FOLDERS}, {"OUT", FOLDERS}, {"DIR", FOLDERS}};

    for (size_t i = 0; argument && i < sizeof targets / sizeof targets[0]; i++)
        if (strcmp(argument, targets[i].argument) == 0)
            return targets[i].target;
    return ANYTHING;
}

/* `text` with a backslash before each of `special`. */
static void escaped(FILE *out, const char *text, const char *special)
{
    for (; *text; text++) {
        if (strchr(special, *text))
            fputc('\\', out);
        fputc(*text, out);
    }
}

/* Inside single quotes of a shell. */
static void quoted(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
}

static void choice_words(FILE *out, const struct option_row *row)
{
    for (const struct gram_choice *c = row->choices(); c->name; c++)
        fprintf(out, "%s%s", c == row->choices() ? "" : " ", c->name);
}

static void bash_argument(FILE *out, const char *command, const struct option_row *row)
{
    static const char *const replies[] = {
        [ANYTHING] = "return",
        [FILES] = "COMPREPLY=($(compgen -f -- \"$cur\")); return",
        [FOLDERS] = "COMPREPLY=($(compgen -d -- \"$cur\")); return",
    };

    if (row->type == OPTION_FLAG)
        return;
    fprintf(out, "    '%s:--%s'", command, row->name);
    if (row->letter)
        fprintf(out, "|'%s:-%c'", command, row->letter);
    fputs(") ", out);
    if (row->choices) {
        fputs("words='", out);
        choice_words(out, row);
        fputs("' ;;\n", out);
    } else {
        fprintf(out, "%s ;;\n", replies[target_of(row->argument)]);
    }
}

static void bash_arguments(FILE *out, const char *command, const struct option_row *rows)
{
    for (; rows && rows->name; rows++)
        bash_argument(out, command, rows);
}

static void bash_names(FILE *out, const struct option_row *rows)
{
    for (; rows && rows->name; rows++)
        fprintf(out, " --%s", rows->name);
}

static void bash(FILE *out)
{
    fputs("# bash completion for gram; written by 'gram completion bash'\n"
          "_gram()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command= words=\n"
          "    ((COMP_CWORD > 1)) && command=${COMP_WORDS[1]}\n"
          "    COMPREPLY=()\n"
          "    case $command:$prev in\n",
          out);
    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden) {
            bash_arguments(out, (*c)->name, (*c)->options);
            bash_arguments(out, (*c)->name, common_rows);
        }
    fputs("    *) case $command in\n        '') words='", out);
    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden)
            fprintf(out, "%s ", (*c)->name);
    fputs("--help --version' ;;\n", out);
    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden) {
            fprintf(out, "        %s) words='", (*c)->name);
            bash_names(out, (*c)->options);
            bash_names(out, common_rows);
            fputs("' ;;\n", out);
        }
    fputs("        esac\n"
          "        if [[ -n $command && $cur != -* ]]; then\n"
          "            COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "            return\n"
          "        fi ;;\n"
          "    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "}\n"
          "complete -o filenames -F _gram gram\n",
          out);
}

static void zsh_rows(FILE *out, const struct option_row *rows)
{
    static const char *const actions[] = {
        [ANYTHING] = "", [FILES] = "_files", [FOLDERS] = "_files -/"};

    for (; rows && rows->name; rows++) {
        fputs(" \\\n        ", out);
        if (rows->letter)
            fprintf(out, "'(-%c --%s)'{-%c,--%s}'", rows->letter, rows->name, rows->letter,
                    rows->name);
        else
            fprintf(out, "'%s--%s", rows->type == OPTION_LIST ? "*" : "", rows->name);
        fputc('[', out);
        for (const char *c = rows->help; *c; c++) {
            if (strchr("[]:", *c))
                fputc('\\', out);
            fputs(*c == '\'' ? "'\\'" : "", out);
            fputc(*c, out);
        }
        fputc(']', out);
        if (rows->choices) {
            fprintf(out, ":%s:(", rows->argument);
            choice_words(out, rows);
            fputc(')', out);
        } else if (rows->argument) {
            fprintf(out, ":%s:%s", rows->argument, actions[target_of(rows->argument)]);
        }
        fputc('\'', out);
    }
}

static void zsh(FILE *out)
{
    fputs("#compdef gram\n# written by 'gram completion zsh'\n"
          "_gram() {\n    local line state\n    local -a commands=(\n",
          out);
    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden) {
            fprintf(out, "        '%s:", (*c)->name);
            quoted(out, (*c)->summary);
            fputs("'\n", out);
        }
    fputs("    )\n    _arguments -C '1:command:->command' '*::argument:->arguments'\n"
          "    [[ $state == command ]] && _describe command commands && return\n"
          "    case $line[1] in\n",
          out);
    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden) {
            fprintf(out, "    %s) _arguments '*:file:_files'", (*c)->name);
            zsh_rows(out, (*c)->options);
            zsh_rows(out, common_rows);
            fputs(" ;;\n", out);
        }
    fputs("    esac\n}\n_gram \"$@\"\n", out);
}

static void fish_rows(FILE *out, const char *command, const struct option_row *rows)
{
    for (; rows && rows->name; rows++) {
        fprintf(out, "complete -c gram -n '__fish_seen_subcommand_from %s' -l %s", command,
                rows->name);
        if (rows->letter)
            fprintf(out, " -s %c", rows->letter);
        if (rows->choices) {
            fputs(" -x -a '", out);
            choice_words(out, rows);
            fputc('\'', out);
        } else if (rows->argument) {
            fputs(target_of(rows->argument) == ANYTHING ? " -x" : " -r", out);
        }
        fputs(" -d '", out);
        escaped(out, rows->help, "'\\");
        fputs("'\n", out);
    }
}

static void fish(FILE *out)
{
    fputs("# fish completion for gram; written by 'gram completion fish'\n", out);
    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden) {
            fprintf(out, "complete -c gram -n __fish_use_subcommand -f -a %s -d '", (*c)->name);
            escaped(out, (*c)->summary, "'\\");
            fputs("'\n", out);
            fish_rows(out, (*c)->name, (*c)->options);
            fish_rows(out, (*c)->name, common_rows);
        }
}

void completion_script(FILE *out, const char *shell)
{
    static void (*const writers[])(FILE *) = {bash, zsh, fish};

    for (size_t i = 0; shells[i].name; i++)
        if (strcmp(shells[i].name, shell) == 0)
            writers[i](out);
}
