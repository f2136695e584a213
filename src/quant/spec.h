/*
 * Methods and transforms as users write them: a name, and behind a colon the options of this one,
 * "gptq:block=64,no-act-order". Which options there are is a table; each says who takes it.
 */
#ifndef GRAM_QUANT_SPEC_H
#define GRAM_QUANT_SPEC_H

#include <gram/quantize.h>
#include "base/error.h"
#include "base/json.h"

enum gram_field_type {
    GRAM_FIELD_FLAG,  /* bool */
    GRAM_FIELD_COUNT, /* int64_t */
    GRAM_FIELD_REAL,  /* double */
    GRAM_FIELD_ALIAS, /* none: stands for other options */
};

/* What is behind the option of the same index. */
struct gram_field {
    enum gram_field_type type;
    size_t offset;    /* in the struct that is filled */
    double low, high; /* range of a number */
    const char *word; /* that may stand in its place, */
    double meaning;   /* for this number */
    const char *alias;
};

struct gram_spec_table {
    const char *kind; /* "method" */
    const struct gram_option *options;
    const struct gram_field *fields;
};

/* Length of the name that `text` begins with. */
size_t gram_spec_name(const char *text);

/*
 * Set those fields of *out that the options in `text`, behind its name, speak of; `name` is who takes
 * them. GRAM_EINVAL says what is wrong and what there is.
 */
enum gram_status gram_spec_read(void *out, const struct gram_spec_table *table, const char *name,
                                const char *text, struct gram_error *err);

/* The fields as {"block": 128, "act-order": true, ..}: of what `name` takes, or all if it is NULL. NULL if
 * memory ran out. */
json_t *gram_spec_json(const void *fields, const struct gram_spec_table *table, const char *name);

#endif
