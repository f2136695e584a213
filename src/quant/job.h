/* A running gram_quantize, shared by the files that do its parts. */
#ifndef GRAM_QUANT_JOB_H
#define GRAM_QUANT_JOB_H

#include <gram/quantize.h>
#include "base/runtime.h"
#include "quant/journal.h"
#include "quant/layout.h"
#include "quant/sidecar.h"
#include "quant/stream.h"
#include "quant/transform.h"

struct quantize {
    struct gram_runtime *rt;
    const char *in, *out;
    const struct gram_quantize_options *options;
    const struct gram_job *job; /* may be NULL */
    struct gram_job silent;     /* of a rank that is not the first */

    struct gram_checkpoint ck;
    struct gram_recipe recipe;
    struct gram_assignment *assigned; /* [slots] */
    const struct gram_transform *transform; /* NULL: none */
    struct gram_transform_options transform_options;
    struct gram_layout layout;
    struct gram_blocks *blocks;       /* NULL: all of it streams */
    char calibration[GRAM_SHA256_HEX]; /* hash of the tokens and of all options; "" if it streams */
    struct gram_estimate need;
    struct gram_output *output;
    struct gram_stream stream;
    char (*source_hash)[GRAM_SHA256_HEX]; /* [files] */
    struct gram_written written;
    struct gram_arena arena;
};

/* One sentence to the user, printf with two strings. */
void gram_quantize_warn(const struct quantize *q, const char *format, const char *a, const char *b);

/* What must not have changed since an interrupted run. */
struct gram_fingerprint gram_quantize_fingerprint(const struct quantize *q);
/*
 * Take over what an interrupted run of the same job finished, or start afresh; then all shards are
 * open, with their headers, and there is room for the rest.
 */
enum gram_status gram_quantize_take_over(struct quantize *q, struct gram_error *err);

/* Make every unit that is not done, read all back, force it to disk and list the files. */
enum gram_status gram_quantize_make(struct quantize *q, struct gram_error *err);

#endif
