/* gram tokenize: lines of text to lines of ids, or back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "load.h"
#include "output.h"

struct tokenize_options {
    struct common_options common;
    bool special, plain, decode;
};

/* clang-format off */
#define AT(field) offsetof(struct tokenize_options, field)
static const struct option_row rows[] = {
    {.name = "special", .help = "add the special tokens that the model expects around a text",
     .offset = AT(special)},
    {.name = "plain", .help = "special tokens written out in the text are ordinary text",
     .offset = AT(plain)},
    {.name = "decode", .letter = 'd', .help = "the reverse: lines of ids to lines of text",
     .offset = AT(decode)},
    {.name = NULL},
};
#undef AT
/* clang-format on */

struct converter {
    const struct tokenize_options *options;
    struct gram_tokenizer *tokenizer;
    struct gram_ids ids;
    uint64_t line; /* from 1 */
};

static void print_ids(const struct gram_ids *ids, bool as_json)
{
    if (as_json)
        putchar('[');
    for (size_t i = 0; i < ids->len; i++)
        printf(i == 0 ? "%d" : as_json ? ",%d" : " %d", ids->at[i]);
    putchar(as_json ? ']' : '\n');
}

static enum gram_status encode_line(struct converter *c, char *text, size_t len,
                                    struct gram_error *err)
{
    const unsigned flags = (c->options->special ? GRAM_ENCODE_SPECIAL : 0u) |
                           (c->options->plain ? GRAM_ENCODE_PLAIN : 0u);

    c->ids.len = 0;
    const enum gram_status st = gram_tokenizer_encode(c->tokenizer, text, len, flags, &c->ids, err);
    if (st == GRAM_OK)
        print_ids(&c->ids, c->options->common.json);
    return st;
}

static enum gram_status add_id(struct gram_ids *ids, int64_t id, struct gram_error *err)
{
    if (ids->len == ids->cap) {
        const size_t cap = 2 * ids->cap + 64;
        int32_t *grown = realloc(ids->at, cap * sizeof *grown);
        if (!grown)
            return refuse(err, GRAM_ENOMEM, "memory ran out");
        ids->at = grown;
        ids->cap = cap;
    }
    ids->at[ids->len++] = (int32_t)id;
    return GRAM_OK;
}

static enum gram_status parse_ids(struct gram_ids *ids, char *text, struct gram_error *err)
{
    static const char space[] = " \t\r";
    enum gram_status st = GRAM_OK;

    for (char *at = text + strspn(text, space); *at && st == GRAM_OK; at += strspn(at, space)) {
        char *word = at;
        int64_t id;

        at += strcspn(at, space);
        if (*at)
            *at++ = '\0';
        if (!parse_integer(word, &id) || id < 0 || id > INT32_MAX)
            return refuse(err, GRAM_EFORMAT, "'%.40s' is not a token id", word);
        st = add_id(ids, id, err);
    }
    return st;
}

static enum gram_status decode_line(struct converter *c, char *line, size_t len,
                                    struct gram_error *err)
{
    char *text = NULL;
    size_t n = 0;

    c->ids.len = 0;
    enum gram_status st = strlen(line) == len ? parse_ids(&c->ids, line, err)
                                              : refuse(err, GRAM_EFORMAT, "a NUL byte among ids");
    if (st == GRAM_OK)
        st = gram_tokenizer_decode(c->tokenizer, c->ids.at, c->ids.len, !c->options->special, &text,
                                   &n, err);
    if (st != GRAM_OK)
        return st == GRAM_EINVAL ? (err->status = GRAM_EFORMAT) : st; /* the input's fault */
    if (c->options->common.json) {
        json_t *json = json_stringn(text, n);
        json_dumpf(json, stdout, JSON_ENCODE_ANY);
        json_decref(json);
    } else {
        fwrite(text, 1, n, stdout);
        putchar('\n');
    }
    free(text);
    return GRAM_OK;
}

static enum gram_status convert_line(struct converter *c, char *line, size_t len,
                                     struct gram_error *err)
{
    struct gram_error cause = {0};

    if (c->options->common.json && c->line > 1)
        putchar(',');
    const enum gram_status st =
        c->options->decode ? decode_line(c, line, len, &cause) : encode_line(c, line, len, &cause);
    if (st == GRAM_OK)
        return GRAM_OK;
    return refuse(err, st, "standard input, line %llu: %s", (unsigned long long)c->line,
                  cause.message);
}

static enum gram_status convert(struct converter *c, struct gram_error *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len = 0;
    enum gram_status st = GRAM_OK;

    errno = 0;
    while (st == GRAM_OK && !ferror(stdout) && (len = getline(&line, &cap, stdin)) > 0) {
        c->line++;
        if (line[len - 1] == '\n')
            line[--len] = '\0';
        st = convert_line(c, line, (size_t)len, err);
        if (st == GRAM_OK && signals_received())
            st = refuse(err, GRAM_ECANCELED, "interrupted");
    }
    if (st == GRAM_OK && len < 0 && !feof(stdin))
        st = refuse_errno(err, "standard input");
    free(line);
    return st;
}

static int run(const struct invocation *in)
{
    struct converter c = {.options = in->options};
    struct gram_error err = {0};

    enum gram_status st = gram_tokenizer_open(&c.tokenizer, in->operands[0], &err);
    if (st == GRAM_OK && in->common->json)
        fputs("{\"lines\":[", stdout);
    if (st == GRAM_OK)
        st = convert(&c, &err);
    if (st == GRAM_OK && in->common->json)
        puts("]}");
    const bool is_written = output_flush();
    gram_ids_reset(&c.ids);
    gram_tokenizer_close(&c.tokenizer);
    if (!is_written)
        return EXIT_FAILED;
    return st == GRAM_OK ? EXIT_DONE : report_failure(&err);
}

const struct command command_tokenize = {
    .name = "tokenize",
    .summary = "turn lines of text into lines of token ids, or back",
    .description = "Reads standard input and prints one line of ids, separated by spaces, per line "
                   "of text. The "
                   "newline at the end of a line is no part of its text. With --decode, lines of "
                   "ids become text, "
                   "without special tokens unless --special is given.",
    .operands =
        (const struct operand[]){{"MODEL|FILE", "model, tokenizer.json or tokenizer.model", false},
                                 {0}},
    .options = rows,
    .examples =
        (const struct example[]){
            {"gram tokenize llama-1b < text.txt", "ids"},
            {"gram tokenize llama-1b < text.txt | gram tokenize llama-1b -d", "and back"},
            {0}},
    .options_size = sizeof(struct tokenize_options),
    .run = run,
};
