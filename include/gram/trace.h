/* Named activations of a forward pass, to hold against another implementation. */
#ifndef GRAM_TRACE_H
#define GRAM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/model.h>

GRAM_BEGIN_DECLS

/*
 * Receives the output of one op: values [rows, cols] f32, borrowed for the call.
 * name is the op's ("embed", "layers.3.attn.q", "layers.3.out", "norm", "lm_head"); layer is -1 outside the
 * blocks. Return false to stop the pass (gram_trace then returns GRAM_ECANCELED).
 */
typedef bool gram_trace_fn(void *user, const char *name, int layer, const float *values,
                           int64_t rows, int64_t cols);

/*
 * Run one sequence of n tokens from position 0 and call `fn` for every op of the graph, in order. The
 * hidden states of transformers' output_hidden_states are "embed", "layers.<i>.out" for all but the
 * last layer, and "norm". Returns GRAM_OK, GRAM_EINVAL (an id outside the vocabulary), GRAM_ENOMEM,
 * GRAM_ECANCELED.
 */
GRAM_API enum gram_status gram_trace(const struct gram_model *model, const int32_t *tokens, size_t n,
                                     gram_trace_fn *fn, void *user, struct gram_error *err);

GRAM_END_DECLS
#endif
