/* What --help prints, from the rows. */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "output.h"

enum { WIDTH = 96, COLUMN = 28 };

/* Words from column `from` on, broken before WIDTH; the cursor stands at column `at`. */
static void wrap(FILE *out, const char *text, int from, int at)
{
    while (*text) {
        const int len = (int)strcspn(text, " \n");
        if (at > from && at + 1 + len > WIDTH) {
            fprintf(out, "\n%*s", from, "");
            at = from;
        } else if (at > from) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", len, text);
        at += len;
        text += len;
        if (strncmp(text, "\n\n", 2) == 0) {
            fprintf(out, "\n\n%*s", from, "");
            at = from;
        }
        text += strspn(text, " \n");
    }
    fputc('\n', out);
}

static void help_line(FILE *out, const char *left, const char *text)
{
    const int len = (int)strlen(left);

    fprintf(out, "  %s", left);
    if (len + 4 > COLUMN)
        fputc('\n', out);
    fprintf(out, "%*s", len + 4 > COLUMN ? COLUMN : COLUMN - len - 2, "");
    wrap(out, text, COLUMN, COLUMN);
}

static void help_rows(FILE *out, const char *title, const struct option_row *rows)
{
    if (!rows || !rows->name)
        return;
    fprintf(out, "\n%s:\n", title);
    for (const struct option_row *row = rows; row->name; row++) {
        char left[64], text[512];

        snprintf(left, sizeof left, "%c%c%s --%s%s%s", row->letter ? '-' : ' ',
                 row->letter ? row->letter : ' ', row->letter ? "," : " ", row->name,
                 row->argument ? " " : "", row->argument ? row->argument : "");
        snprintf(text, sizeof text, "%s%s%s%s", row->help, row->fallback ? " [" : "",
                 row->fallback ? row->fallback : "", row->fallback ? "]" : "");
        help_line(out, left, text);
    }
}

void help_synopsis(FILE *out, const struct command *c)
{
    fprintf(out, "gram %s", c->name);
    for (const struct operand *o = c->operands; o && o->name; o++)
        fprintf(out, o->is_optional ? " [%s]" : " %s", o->name);
    for (const struct option_row *row = c->options; row && row->name; row++)
        if (row->is_required && row->letter)
            fprintf(out, " -%c %s", row->letter, row->argument);
        else if (row->is_required)
            fprintf(out, " --%s %s", row->name, row->argument);
    fputs(" [options]\n", out);
}

void help_command(FILE *out, const struct command *c)
{
    fputs("usage: ", out);
    help_synopsis(out, c);
    fputc('\n', out);
    wrap(out, c->description, 0, 0);
    if (c->operands && c->operands->name)
        fputs("\narguments:\n", out);
    for (const struct operand *o = c->operands; o && o->name; o++)
        help_line(out, o->name, o->help);
    help_rows(out, "options", c->options);
    help_rows(out, "common options", common_rows);
    if (c->examples && c->examples->line)
        fputs("\nexamples:\n", out);
    for (const struct example *e = c->examples; e && e->line; e++)
        fprintf(out, "  %s\n      %s\n", e->line, e->help);
}

void help_overview(FILE *out)
{
    fputs("usage: gram COMMAND [arguments] [options]\n\n"
          "gram makes trained transformers small, proves what that cost, and runs them.\n\n"
          "commands:\n",
          out);
    for (const struct command *const *c = commands; *c; c++)
        if (!(*c)->is_hidden)
            fprintf(out, "  %-12s %s\n", (*c)->name, (*c)->summary);
    fputs("\nMODEL is a Hugging Face model directory, or org/name in the local hub cache.\n"
          "'gram help COMMAND' explains a command and its options.\n",
          out);
}
