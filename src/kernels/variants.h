/* Every implementation of every kernel, gram_<op>__<isa>: for table.c and the files that define them. */
#ifndef GRAM_KERNELS_VARIANTS_H
#define GRAM_KERNELS_VARIANTS_H

#include "kernels/kernels.h"

gram_decode_fn gram_decode_f32__ref, gram_decode_f16__ref, gram_decode_bf16__ref,
    gram_decode_codes__ref;
gram_gemm_f32_fn gram_gemm_f32__ref;
gram_quantize_i8_fn gram_quantize_i8__ref;
gram_dot_i8_fn gram_dot_i8__ref;
gram_rmsnorm_fn gram_rmsnorm__ref;
gram_softmax_fn gram_softmax__ref;
gram_swiglu_fn gram_swiglu__ref;
gram_add_fn gram_add__ref;
gram_rope_fn gram_rope__ref;
gram_dot_f32_fn gram_dot_f32__ref;
gram_axpy_fn gram_axpy__ref;

#endif
