/* Finding what is not a number, fast enough to look at every weight that passes by. */
#ifndef GRAM_TENSOR_FINITE_H
#define GRAM_TENSOR_FINITE_H

#include <stdint.h>
#include <gram/tensor.h>

/* Index (from 0) of the first NaN or Inf among n elements at data (any alignment) of dtype f64,
 * f32, f16 or bf16; n if there is none. Other types have none. */
int64_t gram_find_nonfinite(const void *data, enum gram_dtype dtype, int64_t n);

#endif
