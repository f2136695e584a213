/* Every implementation of every kernel, gram_<op>__<isa>: for table.c and the files that define
 * them. */
#ifndef GRAM_KERNELS_VARIANTS_H
#define GRAM_KERNELS_VARIANTS_H

#include "kernels/kernels.h"

/* Products and rows in f32, which every level above ref has. */
#define GRAM_DECLARE_F32(isa)                                                                      \
    gram_gemm_f32_fn gram_gemm_f32__##isa;                                                         \
    gram_dot_f32_fn gram_dot_f32__##isa;                                                           \
    gram_axpy_fn gram_axpy__##isa;                                                                 \
    gram_float_linear_fn gram_float_linear__##isa, gram_float_linear_add__##isa;                   \
    gram_attend_fn gram_attend_f32__##isa, gram_attend_f16__##isa, gram_attend_i8__##isa;          \
    gram_attend_store_fn gram_attend_store_f32__##isa, gram_attend_store_f16__##isa,               \
        gram_attend_store_i8__##isa;                                                               \
    gram_rmsnorm_fn gram_rmsnorm__##isa;                                                           \
    gram_softmax_fn gram_softmax__##isa;                                                           \
    gram_swiglu_fn gram_swiglu__##isa;                                                             \
    gram_swiglu_vjp_fn gram_swiglu_vjp__##isa;                                                     \
    gram_add_fn gram_add__##isa;                                                                   \
    gram_rope_fn gram_rope__##isa

#define GRAM_DECLARE_DECODE(isa)                                                                   \
    gram_decode_fn gram_decode_f16__##isa, gram_decode_bf16__##isa, gram_decode_s8__##isa,         \
        gram_decode_u2__##isa, gram_decode_u3__##isa, gram_decode_u4__##isa,                       \
        gram_decode_u5__##isa, gram_decode_u6__##isa, gram_decode_u8__##isa,                       \
        gram_decode_t4__##isa, gram_decode_f8__##isa

GRAM_DECLARE_F32(ref);
gram_decode_fn gram_decode_f32__ref, gram_decode_f16__ref, gram_decode_bf16__ref,
    gram_decode_codes__ref, gram_decode_table__ref;
gram_quantize_i8_fn gram_quantize_i8__ref;
gram_acts_layout_fn gram_acts_layout__ref;
gram_quantize_acts_fn gram_quantize_acts__ref;
gram_int_linear_fn gram_int_linear__ref;

GRAM_DECLARE_F32(avx2);
GRAM_DECLARE_DECODE(avx2);
gram_quantize_i8_fn gram_quantize_i8__avx2;
gram_quantize_acts_fn gram_quantize_acts__avx2;
gram_int_linear_fn gram_int_linear__avx2;

GRAM_DECLARE_F32(avx512);
GRAM_DECLARE_DECODE(avx512);
gram_quantize_i8_fn gram_quantize_i8__avx512;
gram_quantize_acts_fn gram_quantize_acts__avx512vnni;
gram_int_linear_fn gram_int_linear__avx512vnni;
gram_acts_layout_fn gram_acts_layout__amx;
gram_int_linear_fn gram_int_linear__amx;

GRAM_DECLARE_F32(neon);
gram_decode_fn gram_decode_f16__neon, gram_decode_bf16__neon, gram_decode_s8__neon,
    gram_decode_u4__neon, gram_decode_u8__neon, gram_decode_t4__neon, gram_decode_f8__neon;
gram_quantize_i8_fn gram_quantize_i8__neon;
gram_quantize_acts_fn gram_quantize_acts__neon;
gram_int_linear_fn gram_int_linear__neon;
gram_int_linear_fn gram_int_linear__dotprod;

#endif
