/* Is everything about a model in order? */
#ifndef GRAM_CHECK_H
#define GRAM_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <gram/job.h>
#include <gram/runtime.h>
#include <gram/status.h>

GRAM_BEGIN_DECLS

struct gram_check_report {
    uint64_t tensors, bytes; /* tensors looked at; bytes read */
    uint64_t hashes;         /* files whose SHA-256 was compared with gram.json */
};

/*
 * Open everything under `path` (a model directory, org/name, or a single .safetensors, tokenizer.json
 * or tokenizer.model file): configuration, every weight (shape, finite values), tokenizer, ids
 * against the embedding, and the hashes of gram.json where it exists. The first thing that is wrong
 * is the error. report and job may be NULL.
 * Returns GRAM_OK, GRAM_ENOENT, GRAM_EIO, GRAM_EFORMAT, GRAM_EUNSUPPORTED, GRAM_ENONFINITE, GRAM_ENOMEM,
 * GRAM_ECANCELED.
 */
GRAM_API enum gram_status gram_check(struct gram_check_report *report, struct gram_runtime *rt,
                                     const char *path, const struct gram_job *job,
                                     struct gram_error *err);

GRAM_END_DECLS
#endif
