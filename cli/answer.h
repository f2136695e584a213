/* A prompt and the text that a model writes after it. */
#ifndef GRAM_CLI_ANSWER_H
#define GRAM_CLI_ANSWER_H

#include "load.h"
#include "stop.h"

struct run_options {
    struct common_options common;
    int64_t n, top_k, context, seed;
    double temperature, top_p, min_p;
    struct text_list stops, adapters;
    const char *kv;
    bool no_bos, echo;
};

/* Zero bytes are a valid empty one; answer_close() also after a failure. */
struct answer {
    struct loaded loaded;
    struct gram_session *session;
    struct gram_sampler *sampler;
    struct gram_detokenizer *detokenizer;
    struct stopper stopper;
    bool keep;     /* keep the text instead of printing it */
    float *logits; /* [vocab] of the last token */
    struct gram_ids prompt;
    int32_t *ids; /* generated, an end-of-text token included */
    int64_t n_ids;
    char *text; /* what was kept, without special tokens and the stop string */
    size_t text_len;
    const char *reason; /* "eos", "stop", "length" or "context" */
    double prompt_seconds, seconds;
};

/* Read the prompt (standard input for NULL and "-"), open the model and everything generation
 * needs. */
enum gram_status answer_open(struct answer *a, const char *model, const char *prompt,
                             const struct run_options *options, struct gram_error *err);
void answer_close(struct answer *a);

/* The prompt as its tokens decode. */
enum gram_status answer_echo(struct answer *a, struct gram_error *err);
/* Compute the prompt, then generate and show; fills ids, reason and the times. */
enum gram_status answer_generate(struct answer *a, int64_t n, struct gram_error *err);

#endif
