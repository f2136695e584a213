/* The clipping search of AWQ. */
#ifndef GRAM_QUANT_AWQ_CLIP_H
#define GRAM_QUANT_AWQ_CLIP_H

#include "quant/rescale.h"

/*
 * Clip the weights of every group of the readers to the share of its greatest magnitude, out of 1, 0.95 ..
 * 0.55, whose error of the output of that group alone is least, the first of equals. s[channels]: what
 * the readers' columns have been multiplied by, NULL for nothing. Queries and keys, whose errors meet in
 * a product, are left, and so are linears whose method finds ranges itself. False if memory ran out.
 */
bool gram_awq_clip(struct gram_transform_call *call, const struct gram_rescale *at, const float *s);

#endif
