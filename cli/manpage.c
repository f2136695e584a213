/* Man pages in roff, from the rows; `gram manual` writes them when gram is built. */
#include <ctype.h>
#include <string.h>

#include "command.h"

/* Text as roff takes it literally: escaped backslashes and minus signs, no line that starts with a
 * request. A blank line becomes a paragraph. */
static void roff(FILE *out, const char *text)
{
    bool at_start = true;

    for (const char *c = text; *c; c++) {
        if (c[0] == '\n' && c[1] == '\n') {
            fputs("\n.PP\n", out);
            at_start = true;
            c++;
            continue;
        }
        if (at_start && (*c == '.' || *c == '\''))
            fputs("\\&", out);
        if (*c == '\\')
            fputs("\\e", out);
        else if (*c == '-')
            fputs("\\-", out);
        else
            fputc(*c, out);
        at_start = *c == '\n';
    }
}

static void title(FILE *out, const char *name)
{
    fputs(".TH ", out);
    for (const char *c = name; *c; c++)
        fputc(toupper((unsigned char)*c), out);
    fprintf(out, " 1 \"\" \"gram %s\" \"User Commands\"\n", gram_version());
}

static void option_entry(FILE *out, const struct option_row *row)
{
    fputs(".TP\n", out);
    if (row->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", out);
    roff(out, row->name);
    fputs("\\fR", out);
    if (row->argument)
        fprintf(out, " \\fI%s\\fR", row->argument);
    fputc('\n', out);
    roff(out, row->help);
    if (row->fallback) {
        fputs(" [", out);
        roff(out, row->fallback);
        fputc(']', out);
    }
    fputc('\n', out);
    if (row->choices) {
        fputs(".br\nOne of", out);
        for (const struct gram_choice *c = row->choices(); c->name; c++) {
            fputs(c == row->choices() ? " " : ", ", out);
            roff(out, c->name);
        }
        fputs(row->type == OPTION_CHOICE ? ".\n" : ", or spelled out.\n", out);
    }
}

static void option_entries(FILE *out, const struct option_row *rows)
{
    for (; rows && rows->name; rows++)
        option_entry(out, rows);
}

static void exit_status(FILE *out)
{
    fputs(".SH EXIT STATUS\n", out);
    for (const struct exit_row *row = exit_rows; row->meaning; row++) {
        fprintf(out, ".TP\n\\fB%d\\fR\n", row->code);
        roff(out, row->meaning);
        fputc('\n', out);
    }
}

static void examples(FILE *out, const struct example *rows)
{
    if (!rows || !rows->line)
        return;
    fputs(".SH EXAMPLES\n", out);
    for (; rows->line; rows++) {
        fputs(".TP\n\\fB", out);
        roff(out, rows->line);
        fputs("\\fR\n", out);
        roff(out, rows->help);
        fputc('\n', out);
    }
}

static void command_page(FILE *out, const struct command *c)
{
    char name[64];

    snprintf(name, sizeof name, "gram-%s", c->name);
    title(out, name);
    fputs(".SH NAME\n", out);
    roff(out, name);
    fputs(" \\- ", out);
    roff(out, c->summary);
    fputs("\n.SH SYNOPSIS\n", out);
    help_synopsis(out, c);
    fputs(".SH DESCRIPTION\n", out);
    roff(out, c->description);
    fputc('\n', out);
    for (const struct operand *o = c->operands; o && o->name; o++) {
        fprintf(out, ".TP\n\\fI%s\\fR\n", o->name);
        roff(out, o->help);
        fputc('\n', out);
    }
    fputs(".SH OPTIONS\n", out);
    option_entries(out, c->options);
    option_entries(out, common_rows);
    exit_status(out);
    examples(out, c->examples);
    fputs(".SH SEE ALSO\n.BR gram (1)\n", out);
}

static void main_page(FILE *out)
{
    title(out, "gram");
    fputs(".SH NAME\ngram \\- makes trained transformers small, proves what that cost, and runs "
          "them\n.SH SYNOPSIS\ngram COMMAND [arguments] [options]\n.SH DESCRIPTION\n",
          out);
    roff(out,
         "MODEL is a Hugging Face model directory, or org/name in the local hub cache. What gram "
         "writes is again such a directory.\n\nResults go to standard output, talk and progress "
         "to standard error. Each command has a page of its own.\n");
    fputs(".SH COMMANDS\n", out);
    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden) {
            fprintf(out, ".TP\n.BR gram\\-%s (1)\n", (*c)->name);
            roff(out, (*c)->summary);
            fputc('\n', out);
        }
    fputs(".SH OPTIONS\nEvery command takes these.\n", out);
    option_entries(out, common_rows);
    exit_status(out);
    fputs(".SH ENVIRONMENT\n.TP\n.B GRAM_CPU\nhighest kernel level to use\n"
          ".TP\n.B HF_HUB_CACHE, HF_HOME\nwhere org/name is looked up\n",
          out);
}

void manual_page(FILE *out, const struct command *command)
{
    if (command)
        command_page(out, command);
    else
        main_page(out);
}
