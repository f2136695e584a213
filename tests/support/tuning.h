/* This repository's model, hamlet, as tests train it, quantize it and compare what comes out. */
#ifndef GRAM_TESTS_TUNING_H
#define GRAM_TESTS_TUNING_H

#include "support.h"

const char *hamlet(void);
/* A file that begins like CONTRIBUTING.md, which hamlet has not read: at most so many bytes of it. The path
 * is in a buffer of the callee, one for all calls. */
const char *unread_text(size_t most);
/* Where something may be written: a name in a fresh folder, in a buffer of the callee (16 of them).
 */
const char *out_path(void);

/* activations: as in the runtime's options, or NULL. gram_runtime_close() it. */
struct gram_runtime *open_runtime(int threads, const char *activations);

/* Hamlet in a scheme, by a method that needs no text: its path. */
const char *quantized(struct gram_runtime *rt, const char *scheme, const char *method);

/* Train into out, and be stopped after step `stop`; the same again, which must go on from there. */
void tune_until(int64_t stop, struct gram_runtime *rt, const char *model, const char *out,
                const struct gram_tune_options *options);
void tune_on_from(int64_t stop, struct gram_runtime *rt, const char *model, const char *out,
                  const struct gram_tune_options *options);

/* The call must be refused with a message that holds `part`, and leave no out. */
void refuse_to_tune(struct gram_runtime *rt, const char *model,
                    const struct gram_tune_options *options, const char *part);

/* Whether the file of this name is the same in both folders. */
bool is_same_file(const char *a, const char *b, const char *name);
/* The mean loss of a model on a text in windows of 64 tokens, as `gram eval` measures it. */
double loss_of(struct gram_runtime *rt, const char *model, const char *text, const char *kv);
/* The largest difference of two models' logits, over the largest logit; adapter: on top of a, or
 * NULL. */
double logits_apart(struct gram_runtime *rt, const char *a, const char *adapter, const char *b);

#endif
