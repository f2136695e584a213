/* Weights as f32: NEON, for 4 and 8 bits and 16-bit floats. */
#include <arm_neon.h>

#include "kernels/simd/decode.h"
#include "kernels/variants.h"

static inline void store_4(float *dst, int16x4_t centred, float scale)
{
    vst1q_f32(dst, vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(centred)), scale));
}

static inline void store_8(float *dst, int16x8_t codes, int bias, float scale)
{
    const int16x8_t centred = vsubq_s16(codes, vdupq_n_s16((int16_t)bias));
    store_4(dst, vget_low_s16(centred), scale);
    store_4(dst + 4, vget_high_s16(centred), scale);
}

static inline int16x8_t widen_u8(uint8x8_t codes)
{
    return vreinterpretq_s16_u16(vmovl_u8(codes));
}

static inline void run_u4(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                          float scale)
{
    int64_t i = decode_head(dst, codes, k, n, bias, scale);

    for (; i + 16 <= n; i += 16) {
        const uint8x8_t in = vld1_u8(codes->row + (k + i) / 2);
        const uint8x8_t even = vand_u8(in, vdup_n_u8(15)), odd = vshr_n_u8(in, 4);
        store_8(dst + i, widen_u8(vzip1_u8(even, odd)), bias, scale);
        store_8(dst + i + 8, widen_u8(vzip2_u8(even, odd)), bias, scale);
    }
    for (; i < n; i++)
        dst[i] = (float)(code_get(codes, k + i) - bias) * scale;
}

static inline void run_u8(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                          float scale)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        store_8(dst + i, widen_u8(vld1_u8(codes->row + k + i)), bias, scale);
    for (; i < n; i++)
        dst[i] = (float)(codes->row[k + i] - bias) * scale;
}

static inline void run_s8(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                          float scale)
{
    const int8_t *row = (const int8_t *)codes->row;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        store_8(dst + i, vmovl_s8(vld1_s8(row + k + i)), bias, scale);
    for (; i < n; i++)
        dst[i] = (float)(row[k + i] - bias) * scale;
}

void gram_decode_u4__neon(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_groups(dst, w, row, k0, n, 4, run_u4);
}

void gram_decode_u8__neon(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_groups(dst, w, row, k0, n, 8, run_u8);
}

void gram_decode_s8__neon(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_groups(dst, w, row, k0, n, 8, run_s8);
}

void gram_decode_f16__neon(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                           int64_t n)
{
    const uint16_t *src = (const uint16_t *)weight_row(w, row) + k0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(dst + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(src + i))));
    for (; i < n; i++)
        dst[i] = gram_f32_from_f16(src[i]);
}

void gram_decode_bf16__neon(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n)
{
    const uint16_t *src = (const uint16_t *)weight_row(w, row) + k0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(dst + i, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(src + i), 16)));
    for (; i < n; i++)
        dst[i] = gram_f32_from_bf16(src[i]);
}
