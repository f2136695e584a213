/* What a model is worth on a text, alone and beside its reference. */
#ifndef GRAM_EVAL_H
#define GRAM_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/job.h>
#include <gram/model.h>
#include <gram/tokenizer.h>

GRAM_BEGIN_DECLS

struct gram_eval_options {
    size_t struct_size;
    int64_t context;    /* tokens per window; 0 = the model's limit, at most 2048 [0] */
    int64_t max_tokens; /* use only so many tokens of the text; 0 = all [0] */
    const char *kv;     /* what the caches hold, as gram_session_options has it [NULL] */
};
#define GRAM_EVAL_OPTIONS_INIT {sizeof(struct gram_eval_options), 0, 0, NULL}

/*
 * The text's tokens are cut into consecutive windows of `context`; windows are independent, a last
 * window under two tokens is dropped, every token but the first of a window counts.
 */
struct gram_eval_report {
    uint64_t tokens;  /* counted tokens */
    uint64_t windows;
    double nll;       /* summed negative log-likelihood, natural log */
    double ppl;       /* exp(nll / tokens) */
    double seconds;
    bool has_reference;       /* the fields below are filled */
    double ppl_reference;
    double kl_mean;           /* mean over positions of KL(reference || model), nats */
    double kl_p99;            /* 99th percentile of the same */
    double top1_agreement;    /* share of positions where both have the same most probable token */
};

/*
 *   tokens, n   the text, tokenized once with the tokenizer's own BOS at its start only; n >= 2
 *   reference   NULL, or the model to hold `model` against; its vocabulary must be as large
 * Returns GRAM_OK, GRAM_EINVAL, GRAM_ENONFINITE (a logit that is not a number), GRAM_ENOMEM,
 * GRAM_ECANCELED. job and options may be NULL.
 */
GRAM_API enum gram_status gram_eval(struct gram_eval_report *report, const struct gram_model *model,
                                    const struct gram_model *reference, const int32_t *tokens,
                                    size_t n, const struct gram_eval_options *options,
                                    const struct gram_job *job, struct gram_error *err);

GRAM_END_DECLS
#endif
