/* Looking for NaN and Inf before they spread. */
#ifndef GRAM_TENSOR_FINITE_H
#define GRAM_TENSOR_FINITE_H

#include <gram/tensor.h>

/* Index of the first NaN or Inf among elements [first, first + n) of the array at src (any alignment); -1 if
 * there is none, or if the element type has none (integers). */
int64_t gram_find_nonfinite(const void *src, enum gram_dtype dtype, int64_t first, int64_t n);

#endif
