/*
 * gram: makes trained transformers small, measures what that cost, and runs them.
 *
 * The nouns, in the order a program meets them:
 *   gram_runtime    threads and kernels; one per process is enough              (runtime.h)
 *   gram_model      an opened model directory; immutable, shared by threads     (model.h)
 *   gram_tokenizer  text to ids and back                                        (tokenizer.h)
 *   gram_session    one timeline of tokens with its KV cache                    (session.h)
 *   gram_batch      several timelines computed together                         (batch.h)
 *   gram_sampler    picks the next token                                        (sample.h)
 * and the jobs: gram_quantize, gram_tune, gram_merge, gram_eval, gram_inspect, gram_check,
 * gram_trace.
 *
 * Everywhere: status for control flow, `struct gram_error` (may be NULL) for one sentence to the
 * user. Nothing prints, exits or keeps global state. Option structs start with their own size, set
 * by the matching *_INIT macro, so that fields can be added at their end.
 */
#ifndef GRAM_H
#define GRAM_H

#include <gram/api.h>
#include <gram/status.h>
#include <gram/job.h>
#include <gram/runtime.h>
#include <gram/tensor.h>
#include <gram/model.h>
#include <gram/bench.h>
#include <gram/tokenizer.h>
#include <gram/session.h>
#include <gram/batch.h>
#include <gram/sample.h>
#include <gram/inspect.h>
#include <gram/check.h>
#include <gram/quantize.h>
#include <gram/eval.h>
#include <gram/trace.h>
#include <gram/tune.h>
#include <gram/merge.h>

GRAM_BEGIN_DECLS
/* The version of the library that is running, "major.minor.patch"; static storage. */
GRAM_API const char *gram_version(void);
GRAM_END_DECLS

#endif
