/* "did you mean ...?" */
#ifndef GRAM_CLI_SUGGEST_H
#define GRAM_CLI_SUGGEST_H

#include <stddef.h>
#include <gram/quantize.h>

/* Collects the nearest of the names it is shown; start with {.wrong = what was typed}. */
struct suggestion {
    const char *wrong;
    const char *best; /* NULL while nothing is near enough */
    size_t distance;
};
void suggest(struct suggestion *s, const char *name);

/* The nearest of a list; NULL if none is near enough. */
const char *suggest_choice(const char *wrong, const struct gram_choice *choices);

#endif
