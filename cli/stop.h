/* Stop strings in text that arrives piece by piece. */
#ifndef GRAM_CLI_STOP_H
#define GRAM_CLI_STOP_H

#include "option.h"

/*
 * Text is held back while it could be the beginning of a stop string, so that a stop string that
 * arrives in pieces is never shown in part. Zero bytes and `stops` are a valid empty one.
 */
struct stopper {
    struct text_list stops; /* none of them empty */
    char *held;
    size_t len, cap;
    size_t shown; /* bytes at the start of `held` that the last call gave out */
    bool is_done; /* a stop string was found; what follows is dropped */
};

/* Add text; *out (borrowed until the next call) are the *n bytes that can be shown now. Returns
 * GRAM_OK or GRAM_ENOMEM. */
enum gram_status stopper_push(struct stopper *s, const char *text, const char **out, size_t *n,
                              struct gram_error *err);
/* What is still held back once no more text comes. */
void stopper_flush(struct stopper *s, const char **out, size_t *n);
void stopper_reset(struct stopper *s);

#endif
