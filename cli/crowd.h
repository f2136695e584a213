/* Sequences that are generated together, a token of each at a time: what a server does. */
#ifndef GRAM_CLI_CROWD_H
#define GRAM_CLI_CROWD_H

#include "load.h"

/* The caller fills in the first four; crowd_close() also after a failure. */
struct crowd {
    int64_t n;          /* sequences */
    const int32_t *ids; /* [tokens]; each sequence has its own order of them */
    int64_t tokens;     /* of each sequence */
    const char *kv;     /* as struct gram_session_options has it */
    struct gram_batch *batch;
    struct gram_session **sessions; /* [n] */
    float *logits;                  /* [n, vocab] */
};

enum gram_status crowd_open(struct crowd *crowd, const struct loaded *loaded,
                            struct gram_error *err);
void crowd_close(struct crowd *crowd);
/* All tokens of all sequences from empty contexts; *rate in tokens per second. */
enum gram_status crowd_generate(struct crowd *crowd, double *rate, struct gram_error *err);

#endif
