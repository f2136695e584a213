/*
 * Schemes: which grid, which weights share a scale, what happens to activations; and their names.
 * The grammar is in gram/quantize.h.
 */
#ifndef GRAM_TENSOR_SCHEME_H
#define GRAM_TENSOR_SCHEME_H

#include <stdbool.h>
#include <stdint.h>
#include <gram/quantize.h>
#include <gram/tensor.h>
#include "base/error.h"
#include "tensor/grid.h"
#include "tensor/weight.h"

enum { GRAM_SCHEME_NAME = 32, GRAM_MIN_GROUP = 16 };

enum gram_granularity {
    GRAM_PER_TENSOR,
    GRAM_PER_CHANNEL,
    GRAM_PER_GROUP,
};

enum gram_scheme_kind {
    GRAM_SCHEME_KEEP,  /* the tensor as it is */
    GRAM_SCHEME_CAST,  /* another float type */
    GRAM_SCHEME_CODES, /* codes on a grid */
};

struct gram_scheme {
    enum gram_scheme_kind kind;
    enum gram_dtype dtype; /* of a cast: f32, f16 or bf16 */
    int bits;              /* 2, 3, 4, 5, 6, 8 */
    bool asymmetric;
    enum gram_granularity granularity;
    int64_t group; /* columns per scale; 0 unless granularity is group */
    int act_bits;  /* 0, or 8: int8 per token, dynamic */

    const struct gram_codebook *codebook; /* NULL: integers */
    bool is_ternary;    /* integers -1, 0, 1 */
    bool is_nested;     /* scales are codes too (double quantization of bitsandbytes) */
    bool is_static;     /* act_bits is 8: one scale for all activations, found in calibration */
    float act_outlier;  /* act_bits is 8: inputs from this magnitude on stay float; 0: none do */
};

/* Parse a preset or a spelled-out scheme, "keep" included. GRAM_EINVAL names what is wrong and the
 * nearest preset. */
enum gram_status gram_scheme_parse(struct gram_scheme *out, const char *text,
                                   struct gram_error *err);

/* The canonical name: "w4a16-g128", "w8a16-channel-asym", "w8a8", "bf16", "keep". */
void gram_scheme_name(char out[GRAM_SCHEME_NAME], const struct gram_scheme *scheme);
/* What a weight is stored under; a float one is a cast to its type. */
struct gram_scheme gram_weight_scheme_of(const struct gram_weight *w);
/* The same for a weight as it was read: "f32", "bf16", "w4a16-g128". */
void gram_weight_scheme(char out[GRAM_SCHEME_NAME], const struct gram_weight *w);

/* The grid of its codes. scale_dtype is what the container would take; f32 where it has no choice. */
struct gram_grid gram_scheme_grid(const struct gram_scheme *scheme, enum gram_dtype scale_dtype);
/* The container that its codes are written in: "compressed-tensors" or "bitsandbytes". NULL if it has
 * no codes. */
const char *gram_scheme_container(const struct gram_scheme *scheme);

/* Columns that share a scale in a matrix of `cols` columns: the group, or all. */
int64_t gram_scheme_span(const struct gram_scheme *scheme, int64_t cols);

#endif
