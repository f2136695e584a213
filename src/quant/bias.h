/*
 * Bias correction (Nagel et al. 2019, "Data-free quantization", section 4.2; the empirical form of torch's
 * bias_correction). Rounding weights shifts the outputs of a linear, and so does the drift of what it reads:
 * its bias takes up W E[x in the float model] - W' E[x].
 */
#ifndef GRAM_QUANT_BIAS_H
#define GRAM_QUANT_BIAS_H

#include "quant/coded.h"

/* bias[rows] += original wanted - coded mean; original[rows][cols], mean[cols] of the inputs, wanted[cols] of
 * those of the float model, or mean again; row[cols] is scratch memory. */
void gram_correct_bias(float *bias, const struct gram_coded *coded, const float *original, const float *mean,
                       const float *wanted, float *row);

#endif
