/* What the files that know the names of schemes share. */
#ifndef GRAM_TENSOR_SCHEME_INSIDE_H
#define GRAM_TENSOR_SCHEME_INSIDE_H

#include "tensor/scheme.h"

enum { GRAM_MAX_GROUP = 1 << 24 };

/* Schemes with a name of their own: what the name alone says, and which options it takes. */
struct gram_scheme_family {
    const char *name; /* NULL ends the table */
    struct gram_scheme scheme;
    bool takes_channel, takes_nested; /* -channel and -tensor; -dq */
    int64_t least_group, most_group;  /* of -g<N>, a power of two where the least is not the usual one */
};

const struct gram_scheme_family *gram_scheme_families(void);

/* Refuse a name that is none, with the one that was probably meant. */
enum gram_status gram_scheme_unknown(const char *text, struct gram_error *err);

#endif
