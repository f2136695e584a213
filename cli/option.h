/*
 * Options as rows. The same rows are parsed, printed by --help, written into the man pages and into
 * the completion scripts, so an option is described once.
 */
#ifndef GRAM_CLI_OPTION_H
#define GRAM_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/gram.h>

/* What an option's argument is, and the type of the field that receives it. */
enum option_type {
    OPTION_FLAG,   /* bool: no argument */
    OPTION_INT,    /* int64_t within low..high; a uint64_t where low is not negative */
    OPTION_REAL,   /* double within low..high */
    OPTION_SIZE,   /* uint64_t: digits, then k, m, g, t (powers of 1000) or ki, mi, gi, ti (of 1024)
                    */
    OPTION_TEXT,   /* const char *: anything, or what `choices` suggests */
    OPTION_CHOICE, /* const char *: one of `choices` */
    OPTION_LIST,   /* struct text_list: may be given several times */
};

struct text_list {
    const char **at; /* borrowed from argv */
    size_t n;
};

/* An array of rows ends with a row without a name. */
struct option_row {
    const char *name; /* long name without dashes */
    char letter;      /* short name, 0 for none */
    enum option_type type;
    const char *argument; /* "FILE", "N"; NULL for a flag; the name says what completion offers */
    const char
        *fallback;    /* what stands when the option is absent, as a user would type it; or NULL */
    double low, high; /* range of a number; both 0 for any */
    const struct gram_choice *(*choices)(void);
    const char
        *help;     /* lower case, no full stop; a default that is not in `fallback` in brackets */
    size_t offset; /* of the field in the command's struct */
    bool is_required;
};

/* What every command takes; the first member of every command's struct. */
struct common_options {
    bool help, json, quiet, no_progress, cache_packed;
    int64_t threads;
    const char *cpu;
    const char *activations;
};
extern const struct option_row common_rows[];

/* Operands are what is left of argv once the options are taken out. */
struct parsed {
    void *options; /* the command's struct, zeroed by the caller */
    char **operands;
    int n_operands;
};

/*
 * Parse argv[1..argc-1] by `rows` and the common rows into parsed->options. argv is permuted. Stops
 * at
 * --help with GRAM_OK and help set. Otherwise GRAM_OK, GRAM_EINVAL (the sentence names the option
 * and what was expected), GRAM_ENOMEM. The lists are yours, options_reset() frees them after any
 * result.
 */
enum gram_status options_parse(const struct option_row *rows, int argc, char **argv,
                               struct parsed *parsed, struct gram_error *err);
void options_reset(const struct option_row *rows, void *options);

/* One value for one row, as options_parse() does it. `text` is borrowed. */
enum gram_status option_store(const struct option_row *row, const char *text, void *options,
                              struct gram_error *err);

/* Number of rows before the end. */
size_t option_count(const struct option_row *rows);

/* All of `text` as a decimal integer; false if it is anything else or does not fit. */
bool parse_integer(const char *text, int64_t *out);

#endif
