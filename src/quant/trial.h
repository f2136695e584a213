/*
 * What quantizing linears will cost, before it is done: their weights, with columns scaled, rounded to
 * nearest on the grid that they will have, and the error of what comes out of them on calibration text,
 * from X'X. Transforms choose by it. Of large matrices a sample of rows is taken.
 */
#ifndef GRAM_QUANT_TRIAL_H
#define GRAM_QUANT_TRIAL_H

#include "quant/product.h"
#include "quant/rescale.h"

struct gram_trial {
    const struct gram_transform_call *call;
    const struct gram_rescale *at;  /* whose readers are tried */
    struct gram_kernels kernels;
    struct gram_product gram;
    float *s;                       /* [cols]: of the try at hand */
    struct gram_trial_sample *samples; /* [at->n_readers] */
    float *scratch;                 /* [workers][3][rows of a slice][cols] */
    struct gram_arena arena;
};

/* at->stats must have X'X and ranges; both must live until gram_trial_close(). False if memory ran out. */
bool gram_trial_open(struct gram_trial *trial, const struct gram_transform_call *call,
                     const struct gram_rescale *at);
void gram_trial_close(struct gram_trial *trial);

/* Will any of the readers have codes? If not, there is nothing to choose. */
bool gram_trial_matters(const struct gram_trial *trial);

/*
 * The sum over readers, rows and, on average, tokens of the squared error of the output when columns
 * are scaled by s[channels]: (w - w') G (w - w')' for weights, and where activations will be int8 their
 * rounding, uniform in a step of the greatest scaled input / 127.
 */
double gram_trial_error(struct gram_trial *trial, const float *s);

#endif
