/* Which implementation serves which kernel: ref, then every level of the processor, weakest first. */
#include "base/cpu.h"
#include "kernels/variants.h"

static const struct gram_kernels reference = {
    .decode =
        {
            [GRAM_STORE_F32] = gram_decode_f32__ref,
            [GRAM_STORE_F16] = gram_decode_f16__ref,
            [GRAM_STORE_BF16] = gram_decode_bf16__ref,
            [GRAM_STORE_S8] = gram_decode_codes__ref,
            [GRAM_STORE_U2] = gram_decode_codes__ref,
            [GRAM_STORE_U3] = gram_decode_codes__ref,
            [GRAM_STORE_U4] = gram_decode_codes__ref,
            [GRAM_STORE_U5] = gram_decode_codes__ref,
            [GRAM_STORE_U6] = gram_decode_codes__ref,
            [GRAM_STORE_U8] = gram_decode_codes__ref,
        },
    .gemm_f32 = gram_gemm_f32__ref,
    .quantize_i8 = gram_quantize_i8__ref,
    .dot_i8 = gram_dot_i8__ref,
    .rmsnorm = gram_rmsnorm__ref,
    .softmax = gram_softmax__ref,
    .swiglu = gram_swiglu__ref,
    .add = gram_add__ref,
    .rope = gram_rope__ref,
    .dot_f32 = gram_dot_f32__ref,
    .axpy = gram_axpy__ref,
};

void gram_kernels_init(struct gram_kernels *kernels, unsigned cpu_flags)
{
    *kernels = reference;
    kernels->cpu_flags = cpu_flags;
}

/* By bits; the widths between have no storage. */
static const enum gram_storage stream_of[9] = {
    [2] = GRAM_STORE_U2, [3] = GRAM_STORE_U3, [4] = GRAM_STORE_U4,
    [5] = GRAM_STORE_U5, [6] = GRAM_STORE_U6, [8] = GRAM_STORE_U8,
};

enum gram_storage gram_weight_storage(const struct gram_weight *w)
{
    if (w->bits == 0) {
        GRAM_ASSERT(w->dtype == GRAM_F32 || w->dtype == GRAM_F16 || w->dtype == GRAM_BF16);
        return w->dtype == GRAM_F32   ? GRAM_STORE_F32
               : w->dtype == GRAM_F16 ? GRAM_STORE_F16
                                      : GRAM_STORE_BF16;
    }
    if (w->is_signed)
        return GRAM_STORE_S8;
    GRAM_ASSERT(w->bits > 1 && w->bits < 9 && stream_of[w->bits] != GRAM_STORE_F32);
    return stream_of[w->bits];
}
