/* Which implementation serves which kernel: ref, then every level of the processor, weakest first.
 */
#include "base/cpu.h"
#include "kernels/levels.h" /* made by the build: GRAM_HAVE_<LEVEL> */
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
            [GRAM_STORE_T4] = gram_decode_table__ref,
            [GRAM_STORE_F8] = gram_decode_table__ref,
        },
    .gemm_f32 = gram_gemm_f32__ref,
    .quantize_i8 = gram_quantize_i8__ref,
    .acts_layout = gram_acts_layout__ref,
    .quantize_acts = gram_quantize_acts__ref,
    .int_linear = gram_int_linear__ref,
    .rmsnorm = gram_rmsnorm__ref,
    .softmax = gram_softmax__ref,
    .swiglu = gram_swiglu__ref,
    .swiglu_vjp = gram_swiglu_vjp__ref,
    .add = gram_add__ref,
    .rope = gram_rope__ref,
    .dot_f32 = gram_dot_f32__ref,
    .axpy = gram_axpy__ref,
    .float_linear = gram_float_linear__ref,
    .float_linear_add = gram_float_linear_add__ref,
    .attend =
        {
            [GRAM_KV_F32] = gram_attend_f32__ref,
            [GRAM_KV_F16] = gram_attend_f16__ref,
            [GRAM_KV_I8] = gram_attend_i8__ref,
        },
    .attend_store =
        {
            [GRAM_KV_F32] = gram_attend_store_f32__ref,
            [GRAM_KV_F16] = gram_attend_store_f16__ref,
            [GRAM_KV_I8] = gram_attend_store_i8__ref,
        },
};

#define USE_F32(kernels, isa)                                                                      \
    do {                                                                                           \
        (kernels)->gemm_f32 = gram_gemm_f32__##isa;                                                \
        (kernels)->dot_f32 = gram_dot_f32__##isa;                                                  \
        (kernels)->axpy = gram_axpy__##isa;                                                        \
        (kernels)->float_linear = gram_float_linear__##isa;                                        \
        (kernels)->float_linear_add = gram_float_linear_add__##isa;                                \
        (kernels)->attend[GRAM_KV_F32] = gram_attend_f32__##isa;                                   \
        (kernels)->attend[GRAM_KV_F16] = gram_attend_f16__##isa;                                   \
        (kernels)->attend[GRAM_KV_I8] = gram_attend_i8__##isa;                                     \
        (kernels)->attend_store[GRAM_KV_F32] = gram_attend_store_f32__##isa;                       \
        (kernels)->attend_store[GRAM_KV_F16] = gram_attend_store_f16__##isa;                       \
        (kernels)->attend_store[GRAM_KV_I8] = gram_attend_store_i8__##isa;                         \
        (kernels)->rmsnorm = gram_rmsnorm__##isa;                                                  \
        (kernels)->softmax = gram_softmax__##isa;                                                  \
        (kernels)->swiglu = gram_swiglu__##isa;                                                    \
        (kernels)->swiglu_vjp = gram_swiglu_vjp__##isa;                                            \
        (kernels)->add = gram_add__##isa;                                                          \
        (kernels)->rope = gram_rope__##isa;                                                        \
    } while (0)

#define USE_DECODE(kernels, isa)                                                                   \
    do {                                                                                           \
        (kernels)->decode[GRAM_STORE_F16] = gram_decode_f16__##isa;                                \
        (kernels)->decode[GRAM_STORE_BF16] = gram_decode_bf16__##isa;                              \
        (kernels)->decode[GRAM_STORE_S8] = gram_decode_s8__##isa;                                  \
        (kernels)->decode[GRAM_STORE_U2] = gram_decode_u2__##isa;                                  \
        (kernels)->decode[GRAM_STORE_U3] = gram_decode_u3__##isa;                                  \
        (kernels)->decode[GRAM_STORE_U4] = gram_decode_u4__##isa;                                  \
        (kernels)->decode[GRAM_STORE_U5] = gram_decode_u5__##isa;                                  \
        (kernels)->decode[GRAM_STORE_U6] = gram_decode_u6__##isa;                                  \
        (kernels)->decode[GRAM_STORE_U8] = gram_decode_u8__##isa;                                  \
        (kernels)->decode[GRAM_STORE_T4] = gram_decode_t4__##isa;                                  \
        (kernels)->decode[GRAM_STORE_F8] = gram_decode_f8__##isa;                                  \
    } while (0)

#ifdef GRAM_HAVE_AVX2
static void use_avx2(struct gram_kernels *kernels)
{
    USE_F32(kernels, avx2);
    USE_DECODE(kernels, avx2);
    kernels->quantize_i8 = gram_quantize_i8__avx2;
    kernels->quantize_acts = gram_quantize_acts__avx2;
    kernels->int_linear = gram_int_linear__avx2;
}
#endif

#ifdef GRAM_HAVE_AVX512
static void use_avx512(struct gram_kernels *kernels)
{
    USE_F32(kernels, avx512);
    USE_DECODE(kernels, avx512);
    kernels->quantize_i8 = gram_quantize_i8__avx512;
}
#endif

#ifdef GRAM_HAVE_AVX512VNNI
static void use_avx512vnni(struct gram_kernels *kernels)
{
    kernels->quantize_acts = gram_quantize_acts__avx512vnni;
    kernels->int_linear = gram_int_linear__avx512vnni;
}
#endif

#ifdef GRAM_HAVE_AMX
static void use_amx(struct gram_kernels *kernels)
{
    kernels->acts_layout = gram_acts_layout__amx;
    kernels->int_linear = gram_int_linear__amx;
}
#endif

#ifdef GRAM_HAVE_NEON
static void use_neon(struct gram_kernels *kernels)
{
    USE_F32(kernels, neon);
    kernels->decode[GRAM_STORE_F16] = gram_decode_f16__neon;
    kernels->decode[GRAM_STORE_BF16] = gram_decode_bf16__neon;
    kernels->decode[GRAM_STORE_S8] = gram_decode_s8__neon;
    kernels->decode[GRAM_STORE_U4] = gram_decode_u4__neon;
    kernels->decode[GRAM_STORE_U8] = gram_decode_u8__neon;
    kernels->decode[GRAM_STORE_T4] = gram_decode_t4__neon;
    kernels->decode[GRAM_STORE_F8] = gram_decode_f8__neon;
    kernels->quantize_i8 = gram_quantize_i8__neon;
    kernels->quantize_acts = gram_quantize_acts__neon;
    kernels->int_linear = gram_int_linear__neon;
}
#endif

#ifdef GRAM_HAVE_DOTPROD
static void use_dotprod(struct gram_kernels *kernels)
{
    kernels->int_linear = gram_int_linear__dotprod;
}
#endif

static const struct {
    unsigned flag;
    void (*use)(struct gram_kernels *kernels);
} levels[] = {
    {0, NULL},
#ifdef GRAM_HAVE_AVX2
    {GRAM_CPU_AVX2, use_avx2},
#endif
#ifdef GRAM_HAVE_AVX512
    {GRAM_CPU_AVX512, use_avx512},
#endif
#ifdef GRAM_HAVE_AVX512VNNI
    {GRAM_CPU_AVX512VNNI, use_avx512vnni},
#endif
#ifdef GRAM_HAVE_AMX
    {GRAM_CPU_AMX, use_amx},
#endif
#ifdef GRAM_HAVE_NEON
    {GRAM_CPU_NEON, use_neon},
#endif
#ifdef GRAM_HAVE_DOTPROD
    {GRAM_CPU_DOTPROD, use_dotprod},
#endif
};

void gram_kernels_init(struct gram_kernels *kernels, unsigned cpu_flags)
{
    *kernels = reference;
    kernels->cpu_flags = cpu_flags;
    for (size_t i = 1; i < sizeof levels / sizeof levels[0]; i++) {
        if (cpu_flags & levels[i].flag)
            levels[i].use(kernels);
    }
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
    if (w->table)
        return w->bits == 4 ? GRAM_STORE_T4 : GRAM_STORE_F8;
    if (w->is_signed)
        return GRAM_STORE_S8;
    GRAM_ASSERT(w->bits > 1 && w->bits < 9 && stream_of[w->bits] != GRAM_STORE_F32);
    return stream_of[w->bits];
}
